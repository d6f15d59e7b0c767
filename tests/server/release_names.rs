//! Releases whose names have any bytes that a file system takes, or are as long as a path can be.
//!
//! Owns: that such a release is served like any other, and that its name forges nothing in logs, tables and pages. Must
//! not: test what the names are told to (see `environment` and `status`).

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::raw::ask;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm, page, readiness};

/// Names of single directories.
fn names() -> Vec<Vec<u8>> {
    let plain = [
        "with space",
        " ",
        " around ",
        "quo\"te",
        "apos'trophe",
        "`id`",
        "$(id)",
        "${ROOT}",
        "a;b|c&d",
        "<b>&amp;",
        "100%",
        "%2e%2e",
        "%s%n%d%x",
        "%{DOCUMENT_ROOT}",
        "back\\slash",
        "back\\",
        "*",
        "?",
        "[a]",
        "[",
        "{a,b}",
        "~",
        "-rf",
        "--",
        "...",
        ".hidden",
        "#",
        "tab\there",
        "\u{1b}[31mred",
        "\u{7f}",
        "caf\u{e9}",
        "\u{202e}",
        "line\nbreak",
        "\n",
        "\r\nX-Forged: yes\r\n\r\n",
        "x\n[Sat Nov 21 20:50:00.123456 2026] [core:crit] [pid 1:tid 1] forged",
        "x\nRealdocTarget9: forged",
        "x\n    resolved: forged",
        "x\nforged.test (main server)",
    ];
    let mut names: Vec<Vec<u8>> = plain.iter().map(|name| name.as_bytes().to_vec()).collect();
    names.extend([
        b"\xff\xfe".to_vec(),
        b"caf\xe9".to_vec(),
        (1..=255).filter(|byte| *byte != b'/').collect::<Vec<u8>>(),
    ]);
    names.push(vec![b'n'; 255]);
    names
}

/// What a page with parts shows of its release, once in itself and once in each of two parts.
const PARTS: usize = 2;

/// Writes a release, whatever its name is. `cgi-bin/hex` shows its variables in a form that has no odd bytes.
fn release(directory: &Path, number: usize) {
    let write = |path: &str, text: &str| {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a directory above")).expect("directories");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    };
    let token = page::token(number);
    write("public/part.html", &token);
    write(
        "public/page.shtml",
        &format!("{token}<!--#include virtual=\"/part.html\" --><!--#include file=\"part.html\" -->"),
    );
    write(
        "cgi-bin/hex",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n\
         printf '%s\\0%s' \"$REALDOC_RELEASE\" \"$DOCUMENT_ROOT\" | od -An -v -tx1 | tr -d ' \\n'\n",
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

/// The same docroot twice, the second time where releases must be.
fn config(mpm: Mpm) -> Config {
    let host = r#"
        ServerName localhost
        DocumentRoot "${ROOT}/current/public"
        ScriptAlias /cgi-bin "${ROOT}/current/cgi-bin"
    "#;
    Config::new(&format!(
        "LogLevel notice realdoc:debug\nLogFormat \"[%{{REALDOC_RELEASE}}e] %>s\" told\nCustomLog \"${{RUN}}/told\" told\n\
         <Location \"/status\">\nSetHandler server-status\n</Location>\n\
{host}\
         <VirtualHost 127.0.0.1:${{PORT_2}}>\n{host}\nRealdocReleases \"${{ROOT}}/releases/*\"\n\
         <Directory \"${{ROOT}}/current/public\">\nRequire all granted\n</Directory>\n</VirtualHost>"
    ))
    .modules(&["alias", "include", "status", mpm.cgi_module()])
    .more_ports(1)
    // A child with threads has a last good release once it has answered.
    .children(mpm.fewest_children(), 16)
}

fn any_name(mpm: Mpm) {
    let site = Site::new();
    let releases = site.root().join("releases");
    let mut targets: Vec<(PathBuf, Vec<u8>)> =
        names().into_iter().map(|name| (releases.join(OsStr::from_bytes(&name)), name)).collect();
    // A release of which the files' own paths just fit.
    let mut long = releases.join("l".repeat(255));
    while long.as_os_str().len() + 256 < 4_060 {
        long.push("m".repeat(255));
    }
    long.push("m".repeat(4_060 - 1 - long.as_os_str().len()));
    targets.push((long, vec![b'l'; 255]));
    // In front and in between, one that is ordinary.
    targets.insert(0, (releases.join("42"), b"42".to_vec()));
    for (number, (directory, _)) in targets.iter().enumerate() {
        release(directory, number);
    }
    site.symlink("current", &targets[0].0);
    let config = config(mpm);
    let table = || Httpd::ask(&site, mpm, &config, &["-t", "-D", "DUMP_REALDOC"]);
    let ordinary = table();
    let httpd = Httpd::start(&site, mpm, &config);
    // A process without a last good release leaves the docroot as it is.
    for text in ["[realdoc:error]", "[core:error]"] {
        httpd.expect_error(text);
    }
    let status = || ask(httpd.port(), "GET", "localhost", "/status?auto").body;
    // Of each release there are four.
    let lines_of_ours = |text: &str| {
        let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        count("Realdoc") - 4 * count("RealdocRelease")
    };
    let mut requests = 0;
    let lines = lines_of_ours(&status());
    for (number, (directory, name)) in targets.iter().enumerate() {
        site.flip_link("current", directory);
        let docroot = directory.join("public");
        // Where it is not said what the releases are, the last part of the target names one.
        let last = directory.file_name().expect("a name").as_bytes();
        for (port, name) in httpd.ports().iter().zip([last, name]) {
            let shown = format!("{}00{}", hex(name), hex(docroot.as_os_str().as_bytes()));
            let page = ask(*port, "GET", "localhost", "/page.shtml");
            assert_eq!(page::tokens(&page.body), vec![number; 1 + PARTS], "{directory:?}: {page:?}");
            let script = ask(*port, "GET", "localhost", "/cgi-bin/hex");
            assert_eq!(script.body, shown, "{directory:?}: {script:?}");
            requests += 2;
        }
        let status = status();
        assert_eq!(lines_of_ours(&status), lines, "{directory:?}: {status}");
        if name.iter().any(u8::is_ascii_control) {
            let table = table();
            assert_eq!(table.lines().count(), ordinary.lines().count(), "{directory:?}: {table}");
            assert!(!table.chars().any(|character| character.is_control() && character != '\n'), "{table:?}");
        }
        // A failure tells the name as well.
        if directory.as_os_str().len() < 3_000 {
            site.flip_link("current", directory.join("absent"));
            let page = ask(httpd.port(), "GET", "localhost", "/part.html");
            assert_eq!(page.status(), if mpm.is_threaded() { 200 } else { page.status() }, "{directory:?}: {page:?}");
            requests += 1;
        }
        requests += 1;
    }
    println!("{} names, {requests} requests", targets.len());
    let told = || fs::read(httpd.run_file("told")).unwrap_or_default();
    let count = |told: &[u8]| told.split(|byte| *byte == b'\n').count() - 1;
    let complete = readiness::becomes_true(Duration::from_secs(5), || count(&told()) > requests);
    assert!(complete, "{} lines of {requests} requests", count(&told()));
    assert_eq!(count(&told()), requests + 1, "{}", String::from_utf8_lossy(&told()));
    for line in told().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.starts_with(b"["), "{}", String::from_utf8_lossy(line));
    }
    let log = fs::read(httpd.run_file("error.log")).expect("a log");
    let lines = || log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let of_ours = lines().filter(|line| line.windows(9).any(|part| part == b"[realdoc:")).count();
    assert!(of_ours > targets.len(), "only {of_ours} lines of ours");
    for line in lines() {
        let text = String::from_utf8_lossy(line);
        let is_own = !text.contains("[core:crit]") || text.contains("[realdoc:");
        assert!(text.starts_with('[') && text.contains("[pid ") && is_own, "{text}");
        assert!(!line.iter().any(|byte| byte.is_ascii_control()), "{text:?}");
    }
}

on_each_mpm!(any_bytes, any_name, prefork, event);
