//! The section that mod_status shows.
//!
//! Owns: the page and its form for machines. Must not: test what is counted (see the library's own tests).

use harness::raw::ask;
use harness::{Config, Httpd, Mpm, Site, on_each_mpm};

/// A directory name that is no HTML.
const ODD: &str = "a<b>&\"c\"";

const TEXT: &str = r#"
    DocumentRoot "${ROOT}/current/public"
    <Location "/status">
        SetHandler server-status
    </Location>
    <VirtualHost 127.0.0.1:${PORT}>
        ServerName first.test
        DocumentRoot "${ROOT}/current/public"
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT}>
        ServerName odd.test
        DocumentRoot "${ROOT}/odd"
    </VirtualHost>
    <VirtualHost 127.0.0.1:${PORT}>
        ServerName refused.test
        DocumentRoot "${ROOT}/elsewhere"
        RealdocReleases "${ROOT}/releases/*"
    </VirtualHost>
"#;

/// The values of a field in the form for machines.
fn field<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

fn section(mpm: Mpm) {
    let site = Site::with_releases(2, |release| release.write("public/page.html", "page"));
    site.directory("outside");
    site.symlink("elsewhere", "outside");
    site.write(&format!("{ODD}/page.html"), "odd");
    site.symlink("odd", ODD);
    let httpd = Httpd::start(&site, mpm, &Config::new(TEXT).modules(&["status"]).children(1, 8));
    for text in ["[realdoc:error]", "AH00161"] {
        httpd.expect_error(text);
    }
    let get = |host: &str, path: &str| ask(httpd.port(), "GET", host, path);
    for (host, status) in [("first.test", 200), ("odd.test", 200), ("refused.test", 503)] {
        assert_eq!(get(host, "/page.html").status(), status, "{host}");
    }
    let root = site.root().display().to_string();
    let children = httpd.children();

    let page = get("first.test", "/status").body;
    let (_, page) = page.split_once("mod_realdoc").expect("a section");
    for text in [
        format!("{root}/current/public"),
        format!("{root}/releases/0/public"),
        format!("{root}/odd"),
        format!("{root}/a&lt;b&gt;&amp;&quot;c&quot;"),
        format!("{root}/elsewhere"),
        "refused: ".to_owned(),
        " s ago".to_owned(),
    ] {
        assert!(page.contains(&text), "no {text} in\n{page}");
    }
    assert!(!page.contains("a<b>"), "{page}");
    let (_, pid) = page.split_once("process ").expect("a process");
    let pid: String = pid.chars().take_while(char::is_ascii_digit).collect();
    assert!(children.iter().any(|child| child.to_string() == pid), "process {pid}, not one of {children:?}");

    let machines = get("first.test", "/status?auto");
    assert!(machines.head.contains("text/plain"), "{machines:?}");
    let text = machines.body;
    assert!(children.iter().any(|child| child.to_string() == field(&text, "RealdocPid")), "{text}");
    assert_eq!(field(&text, "RealdocComputed"), "0");
    let number = |name: &str| field(&text, name).parse::<u64>().unwrap_or_else(|_| panic!("{name} in\n{text}"));
    let index = |docroot: &str| {
        let found: Vec<usize> = (0..4)
            .filter(|index| text.lines().any(|line| line == format!("RealdocDocroot{index}: {root}/{docroot}")))
            .collect();
        assert_eq!(found.len(), 1, "{docroot} in\n{text}");
        found[0]
    };
    for (docroot, target, failures) in [
        // One for the main server and the first host together.
        ("current/public", format!("{root}/releases/0/public"), 0),
        ("odd", format!("{root}/{ODD}"), 0),
        ("elsewhere", "refused: ".to_owned(), 1),
    ] {
        let index = index(docroot);
        assert!(field(&text, &format!("RealdocTarget{index}")).starts_with(&target), "{docroot}: {text}");
        assert!(number(&format!("RealdocResolutions{index}")) > 0, "{docroot}: {text}");
        assert_eq!(number(&format!("RealdocFailures{index}")).min(1), failures, "{docroot}: {text}");
    }
    assert!(!text.contains("RealdocDocroot3"), "{text}");

    let current = index("current/public");
    let since = |text: &str| field(text, &format!("RealdocSince{current}")).parse::<u64>().expect("seconds");
    site.flip(1);
    let after = get("first.test", "/status?auto").body;
    // The request for the status has looked itself.
    assert_eq!(field(&after, &format!("RealdocTarget{current}")), format!("{root}/releases/1/public"));
    assert!(since(&after) >= since(&text), "{after}");
}

on_each_mpm!(mod_status, section);
