//! A panic in the module: logged, answered, and nobody else notices.
//!
//! Owns: the build with faults on demand. Must not: be the only test of anything else, since that build is no release.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use harness::module::PANIC_HEADER;
use harness::{Config, Httpd, Module, Mpm, Page, Site, Verdict, on_each_mpm};

const PANICS: usize = 40;

/// One child with threads, or a few without.
fn children(mpm: Mpm) -> usize {
    if mpm.is_threaded() { 1 } else { 8 }
}

fn start(site: &Site, mpm: Mpm) -> Httpd {
    let config = Config::new("DocumentRoot \"${ROOT}/current\"");
    let config = config.children(children(mpm), 16);
    let module = Module::fault_injection().expect("the module with faults on demand");
    let httpd = Httpd::start_with(site, mpm, &config, Some(module)).expect("httpd with faults on demand");
    httpd.expect_error("panicked");
    httpd
}

/// Asks for panics while others ask for pages; `status` is what a request with a panic in it is answered.
fn panic_in(mpm: Mpm, place: &str, status: u16) {
    let site = Site::with_releases(1, |release| release.plain_page("page.html"));
    let httpd = start(&site, mpm);
    let before = httpd.all_children(children(mpm));
    let page = Page::new("/page.html", 1);
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = httpd.client();
                loop {
                    let response = client.get("/page.html").expect("a response, whatever panics elsewhere");
                    assert_eq!(page.judge(response.status, &response.body), Verdict::Whole(0));
                    served.fetch_add(1, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let client = httpd.client();
        for _ in 0..PANICS {
            let response = client.request("/page.html", &[(PANIC_HEADER, place)]).expect("a response");
            assert_eq!(response.status, status, "{}", response.body);
            if status == 200 {
                assert_eq!(page.judge(response.status, &response.body), Verdict::Whole(0));
            }
            // The same connection goes on to serve.
            let response = client.get("/page.html").expect("a response after a panic");
            assert_eq!(page.judge(response.status, &response.body), Verdict::Whole(0));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(served.into_inner() > PANICS, "the others were served meanwhile");
    assert_eq!(httpd.children(), before, "the children live on");
    let log = httpd.error_log();
    let said = log.lines().filter(|line| line.contains("panicked") && line.contains(place)).count();
    assert_eq!(said, PANICS, "each panic is one line in the log");
}

fn in_the_hook(mpm: Mpm) {
    panic_in(mpm, "post_read_request", 500);
}

fn in_the_cleanup(mpm: Mpm) {
    panic_in(mpm, "cleanup", 200);
}

on_each_mpm!(hook, in_the_hook);
on_each_mpm!(cleanup, in_the_cleanup);
