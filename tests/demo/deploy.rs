//! The second act: ten sites that share their code, to which `realdoc` deploys tags under load.
//!
//! Owns: what is deployed, and the table of it. Must not: flip a link itself.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Result, ensure};
use harness::release::{SLOW_SSI_TOKENS, SSI_TOKENS};
use harness::{Config, Fpm, Httpd, Mpm, Page, Record, Repository, Site, Tool, Visitors, installation};

const SITES: usize = 10;
const WORKERS: usize = 12;

/// What is done, in this order, after v1 has been deployed.
const COMMANDS: [&[&str]; 3] =
    [&["deploy", "v2", "--to", "site-01"], &["deploy", "v3", "--all"], &["rollback", "--all"]];

/// Runs it, and says whether everything went well.
pub fn run(tool: &Tool) -> Result<bool> {
    println!(
        "\nSecond act: {SITES} sites share one code base. Each site's docroot is a symlink, all lead to one release,\n\
         and realdoc makes releases of git tags and flips the links while visitors are there.\n"
    );
    let site = Site::new();
    let repository = Repository::new(&site);
    for tag in 1..=3 {
        repository.tag(tag, |release| {
            release.ssi_page("public", "page.shtml");
            release.php_page("public", "page.php");
            release.slow_php_page("public", "slow.php");
            release.slow_ssi_page("public", "slow.shtml", "slow.php");
        });
    }
    let fpm = installation::php_fpm().is_ok().then(|| Fpm::start(&site, WORKERS)).transpose()?;
    let names: Vec<String> = (1..=SITES).map(|number| format!("site-{number:02}")).collect();
    site.write("realdoc.toml", &configuration(&site, fpm.as_ref(), &names));
    site.directory("www");
    for arguments in [&["init"][..], &["deploy", "v1", "--all"]] {
        succeed(tool, &site, arguments)?;
    }
    let mut pages = vec![Page::new("/page.shtml", SSI_TOKENS)];
    pages.extend(fpm.as_ref().map(|_| Page::new("/slow.shtml", SLOW_SSI_TOKENS)));
    let httpd =
        Httpd::start_with(&site, Mpm::Event, &virtual_hosts(fpm.as_ref(), &names), Some(harness::Module::release()?))?;

    println!("{}", line(["command", "seconds", "requests", "flips", "mixed", "failed"].map(str::to_owned)));
    println!("{}", "-".repeat(WIDTHS.iter().sum::<usize>() + 2 * (WIDTHS.len() - 1)));
    let mut all = Record::default();
    let mut overlapped = 0;
    for arguments in COMMANDS {
        let visitors = Visitors::new(&httpd.url(""), &names, &pages);
        let (said, record) = visitors.during(|| {
            let start = Instant::now();
            succeed(tool, &site, arguments).map(|said| (said, start.elapsed()))
        });
        let (said, took) = said?;
        let flipped: Vec<usize> =
            (0..SITES).filter(|site| said.lines().any(|line| line.starts_with(&names[*site]))).collect();
        for number in &flipped {
            let link = site.root().join("www").join(&names[*number]).symlink_metadata()?;
            let time = Duration::new(link.ctime().try_into()?, link.ctime_nsec().try_into()?);
            overlapped += record.overlapping(*number, UNIX_EPOCH + time);
        }
        println!(
            "{}",
            line([
                format!("realdoc {}", arguments.join(" ")),
                format!("{:.1}", took.as_secs_f64()),
                record.visits.len().to_string(),
                flipped.len().to_string(),
                record.mixed().to_string(),
                record.failed().to_string(),
            ])
        );
        all.visits.extend(record.visits);
    }
    httpd.finish();
    println!();
    if overlapped == 0 {
        println!("The second act proves nothing: no request was under way during a flip.");
        return Ok(false);
    }
    if all.mixed() + all.failed() > 0 {
        println!("Something went wrong: {}", all.examples().join("\n"));
        return Ok(false);
    }
    println!(
        "{overlapped} requests were under way while the link of their site moved. Each of them ended on the release it\n\
         began with. To deploy like this: docs/realdoc.md, and \"Deploying\" in README.md."
    );
    Ok(true)
}

fn configuration(site: &Site, fpm: Option<&Fpm>, names: &[String]) -> String {
    let root = site.root().display();
    let mut text =
        format!("[git]\nsource = \"./app\"\n[releases]\ndirectory = \"{root}/releases\"\nsubdirectory = \"public\"\n");
    if let Some(fpm) = fpm {
        let _ = writeln!(text, "[commands]\nreload = \"{}\"", fpm.reload_command());
    }
    text += "[instances]\n";
    for name in names {
        let _ = writeln!(text, "{name} = \"{root}/www/{name}\"");
    }
    text
}

fn virtual_hosts(fpm: Option<&Fpm>, names: &[String]) -> Config {
    let mut text = String::from("RealdocReleases \"${ROOT}/releases/*\"\n");
    text += &fpm.map(Fpm::directives).unwrap_or_default();
    for name in names {
        let _ = writeln!(
            text,
            "<VirtualHost *:${{PORT}}>\nServerName {name}\nDocumentRoot \"${{ROOT}}/www/{name}\"\n</VirtualHost>"
        );
    }
    Config::new(&text).modules(&["include", "proxy", "proxy_fcgi"])
}

fn succeed(tool: &Tool, site: &Site, arguments: &[&str]) -> Result<String> {
    let said = tool.run(site.root(), arguments)?;
    ensure!(said.code == Some(0), "realdoc {}: {}{}", arguments.join(" "), said.output, said.errors);
    Ok(said.output)
}

/// The widths of the table's columns: one of words, five of numbers.
const WIDTHS: [usize; 6] = [30, 7, 8, 5, 5, 6];

fn line(cells: [String; 6]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        line += &if column == 0 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
    }
    line.trim_end().to_owned()
}
