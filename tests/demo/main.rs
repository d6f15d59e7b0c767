//! The demo: a site under load while its docroot flips between two releases, without the module and with it.
//!
//! Owns: what a newcomer sees. Must not: know how servers start and responses are judged; that is the harness.

mod deploy;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use harness::release::{PHP_TOKENS, SSI_TOKENS};
use harness::{
    Config, FlipMode, Flipper, Fpm, Httpd, Load, Module, Mpm, Page, Site, Tally, Tool, Verdict, installation,
};
use indicatif::{ProgressBar, ProgressStyle};

const RELEASES: usize = 2;
const EACH_LASTS: Duration = Duration::from_secs(3);
const FLIPS_AFTER: usize = 4;
const REQUESTS_AFTER: usize = 100;

/// What is loaded in one run.
struct Subject {
    name: &'static str,
    page: Page,
}

/// One run and what it counted.
struct Row {
    module: Option<&'static Module>,
    subject: &'static str,
    tally: Tally,
    old: usize,
}

fn main() -> Result<ExitCode> {
    println!("A deploy flips a symlink, current -> releases/1, while requests are being served.");
    println!("Here it flips every 3 ms between two releases, under a load of 8 connections.\n");
    println!("Building mod_realdoc and realdoc ...");
    let module = Module::release()?;
    let tool = Tool::release()?;

    let site = Site::with_releases(RELEASES, |release| {
        release.ssi_page("public", "page.shtml");
        release.php_page("public", "page.php");
    });
    let mut subjects = vec![Subject { name: "SSI", page: Page::new("/page.shtml", SSI_TOKENS) }];
    let fpm = match installation::php_fpm() {
        Ok(_) => Some(Fpm::start(&site, 4)?),
        Err(missing) => {
            println!("No PHP page: {missing}.");
            None
        }
    };
    if fpm.is_some() {
        subjects.push(Subject { name: "PHP (php-fpm)", page: Page::new("/page.php", PHP_TOKENS) });
    }

    println!("\n{}", line(&["module", "page", "requests", "flips", "mixed", "failed", "old"].map(str::to_owned)));
    println!("{}", "-".repeat(WIDTHS.iter().sum::<usize>() + 2 * (WIDTHS.len() - 1)));
    let mut rows = Vec::new();
    for module in [None, Some(module)] {
        for subject in &subjects {
            let row = run(&site, fpm.as_ref(), module, subject)?;
            println!("{}", row.line());
            rows.push(row);
        }
    }
    println!();
    let good = conclude(&rows) && deploy::run(tool)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Loads one page for a while, under flips and then after some.
fn run(site: &Site, fpm: Option<&Fpm>, module: Option<&'static Module>, subject: &Subject) -> Result<Row> {
    let config = Config::new("DocumentRoot \"${ROOT}/current/public\"")
        .modules(&["include", "proxy", "proxy_fcgi"])
        .text(&fpm.map(Fpm::directives).unwrap_or_default());
    site.flip(0);
    let httpd = Httpd::start_with(site, Mpm::Event, &config, module)?;
    if module.is_none() {
        // The errors that it logs are what the table shows.
        httpd.expect_error("");
    }
    let targets = (0..RELEASES).map(|number| site.release_directory(number)).collect();
    let flipper = Flipper::rotate(site.link(), targets, FlipMode::Rename);
    // Drawn on a terminal only.
    let progress = ProgressBar::new(u64::try_from(EACH_LASTS.as_millis())?)
        .with_style(ProgressStyle::with_template("{bar:30} {msg}")?)
        .with_message(subject.name);
    let tally = Load::new(std::slice::from_ref(&subject.page)).lasts(EACH_LASTS).run_while(
        &httpd.url(""),
        &flipper,
        |time, requests| {
            progress.set_position(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            progress.set_message(format!(
                "{} {} the module: {requests} requests, {} flips",
                subject.name,
                if module.is_some() { "with" } else { "without" },
                flipper.now().returned
            ));
        },
    );
    progress.finish_and_clear();
    flipper.stop();
    let old = old_after_a_flip(site, &httpd, &subject.page)?;
    httpd.finish();
    Ok(Row { module, subject: subject.name, tally, old })
}

/// Deploys one release after the other, calmly, and counts the responses after it that are of another one.
fn old_after_a_flip(site: &Site, httpd: &Httpd, page: &Page) -> Result<usize> {
    let client = httpd.client();
    let mut old = 0;
    for flip in 0..FLIPS_AFTER {
        let release = flip % RELEASES;
        site.flip(release);
        for _ in 0..REQUESTS_AFTER / FLIPS_AFTER {
            let response = client.get(&page.path)?;
            old += usize::from(page.judge(response.status, &response.body) != Verdict::Whole(release));
        }
    }
    Ok(old)
}

/// The widths of the table's columns: two of words, five of numbers.
const WIDTHS: [usize; 7] = [7, 13, 8, 6, 6, 6, 4];

fn line(cells: &[String; 7]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        line += &if column < 2 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
    }
    line.trim_end().to_owned()
}

impl Row {
    fn line(&self) -> String {
        let Tally { requests, flips, mixed, failed, .. } = &self.tally;
        line(&[
            if self.module.is_some() { "with" } else { "without" }.to_owned(),
            self.subject.to_owned(),
            requests.to_string(),
            flips.to_string(),
            mixed.to_string(),
            failed.to_string(),
            self.old.to_string(),
        ])
    }

    /// Why this run proves nothing, if it does not.
    fn lack(&self) -> Option<&'static str> {
        let Tally { requests, flips, overlapped, mixed, failed, releases, .. } = &self.tally;
        if *requests == 0 || *flips == 0 || *overlapped == 0 {
            Some("no flip happened during a request")
        } else if self.module.is_some() {
            (releases.len() < RELEASES).then_some("not every release was seen")
        } else {
            (*mixed + *failed == 0 && self.old == 0).then_some("nothing went wrong without the module")
        }
    }
}

fn conclude(rows: &[Row]) -> bool {
    let mut good = true;
    for row in rows {
        if let Some(lack) = row.lack() {
            println!("The run {:?} proves nothing: {lack}.", row.line());
            good = false;
        }
        if row.module.is_some() && (row.tally.mixed + row.tally.failed > 0 || row.old > 0) {
            println!("With the module something went wrong: {}", row.tally.examples.join("\n"));
            good = false;
        }
    }
    if rows.iter().all(|row| row.tally.mixed == 0) {
        println!("The demo proves nothing: no response was mixed without the module.");
        good = false;
    }
    if !good {
        return false;
    }
    println!(
        "Without the module a response that is being put together while the link flips has pieces of both releases\n\
         (mixed), or lacks pieces that only the other release has (failed). PHP has a path cache of its own and may go\n\
         on with an old release for minutes (old: of 100 requests right after calm flips, those not of the new\n\
         release). With the module, each request keeps the release that the link led to when the request began.\n\n\
         In a real configuration (after `make install`):\n\n    \
         LoadModule realdoc_module modules/mod_realdoc.so\n    \
         DocumentRoot \"/srv/app/current/public\"\n    \
         # Sections for the link follow it to each release.\n    \
         <Directory \"/srv/app/current/public\">\n        \
         Require all granted\n    \
         </Directory>\n\n\
         And in the deploy, a flip that is atomic:\n\n    \
         ln -s releases/43 /srv/app/current.new && mv -T /srv/app/current.new /srv/app/current"
    );
    true
}
