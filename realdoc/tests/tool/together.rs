//! Many at once: deploys, rollbacks and prunes of several processes in one releases directory.
//!
//! Owns: that a link leads to a whole release at any moment, whoever does what. Must not: expect an order.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::place::Place;

const LINKS: [&str; 3] = ["www/a", "www/b", "www/c"];

#[test]
fn whoever_works_beside_others_breaks_nothing() {
    let rules = "keep = 0\nprune_after = \"0s\"\n[commands]\ncheck = \"test -e index.php\"\nreload = \"true\"";
    let place = Place::three(rules);
    place.ok(&["deploy", "v1", "--all"]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !is_over.load(Ordering::Relaxed) {
                for link in LINKS {
                    // As a request does it: once the link, and then two files of what it leads to.
                    let release = fs::read_link(place.at(link)).unwrap();
                    let tag = release.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
                    for file in ["index.php", "lib/deep.php"] {
                        match fs::read_to_string(release.join(file)) {
                            Ok(text) => assert_eq!(text, tag),
                            // Pruned at once, as these rules want it; but then nothing leads there any more.
                            Err(error) => assert_ne!(fs::read_link(place.at(link)).unwrap(), release, "{error}"),
                        }
                    }
                    looks += 1;
                }
            }
            looks
        });
        let worker = |commands: &'static [&'static [&'static str]]| {
            let place = &place;
            scope.spawn(move || {
                for _ in 0..6 {
                    for command in commands {
                        let said = place.run(command);
                        // Busy, partly nothing to go back to, flipped by somebody else; but never a surprise.
                        assert!([0, 1, 3, 4, 10].contains(&said.code), "{command:?}: {said:?}");
                        assert!(!said.err.contains("panicked"), "{said:?}");
                    }
                }
            })
        };
        let workers = [
            worker(&[&["deploy", "v2", "--all", "--wait"], &["rollback", "--all"]]),
            worker(&[&["deploy", "v3", "--to", "a", "--wait"], &["prune"], &["status"]]),
            worker(&[&["activate", "v1", "--to", "b"], &["rollback", "--to", "b", "--skip-check"], &["log"]]),
            worker(&[&["stage", "v1", "--wait"], &["rollback", "--from", "v2"], &["prune", "--wait"]]),
        ];
        let ended = workers.map(|worker| worker.join());
        // Before any of them is looked at: a worker that has panicked must not leave the reader waiting.
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
        for end in ended {
            end.unwrap();
        }
    });
    // Whoever comes last finds everything in order, and what is recorded is what is.
    place.ok(&["deploy", "v3", "--all"]);
    place.ok(&["status", "--check"]);
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
    for link in LINKS {
        assert!(place.leads(link).unwrap().starts_with("v3-"));
    }
}
