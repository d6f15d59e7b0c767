//! What one process counts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docroot::Moment;
use docroot::inuse::{Claim, EntryCell, File, InUse, Process, Release, claim::is_claimed};

use crate::{Site, claim, drain, enter, poll, release};

#[test]
fn a_request_counts_before_it_looks() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let reader = file.reader().unwrap();
    for shards in [1, 4] {
        let slot = claim(&file, shards);
        let (release, entry) = (release(&format!("/{shards}")), EntryCell::new());
        assert!(slot.enter(&entry, 0, || Some(())).is_none(), "it has no entry yet");
        let first = slot.look().enter(&release, &entry, 0);
        for connection in 0..9 {
            let (ticket, ()) = slot
                .enter(&entry, connection, || {
                    assert_eq!(reader.in_use(&release), InUse::Requests(2));
                    Some(())
                })
                .expect("an entry");
            if connection == 3 {
                slot.leave_failed(ticket)
            } else {
                slot.leave(ticket)
            }
            assert!(slot.enter(&entry, connection, || None::<()>).is_none());
            assert_eq!(reader.in_use(&release), InUse::Requests(1));
        }
        slot.leave(first);
        let snapshot = reader.snapshot().unwrap();
        let usage = snapshot.releases.iter().find(|usage| usage.release == release).unwrap();
        assert_eq!((usage.running, usage.total, usage.failed), (0, 10, 1), "what was taken back was no request");
    }
}

#[test]
fn a_look_that_panics_counts_nothing() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let (slot, entry) = (claim(&file, 1), EntryCell::new());
    let ticket = enter(&slot, "/1", &entry);
    slot.leave(ticket);
    let look = || -> Option<()> { panic!("a bug") };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| slot.enter(&entry, 0, look).is_some()));
    assert!(result.is_err());
    assert_eq!(file.reader().unwrap().in_use(&release("/1")), InUse::Free);
}

/// As many deploys as come in years, some of which have a request that goes on.
#[test]
fn any_number_of_deploys_fits() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let (slot, reader) = (claim(&file, 4), file.reader().unwrap());
    let mut kept = Vec::new();
    let mut sizes = Vec::new();
    for number in 0..1000 {
        let path = format!("/srv/releases/{number}");
        let entry = EntryCell::new();
        let ticket = enter(&slot, &path, &entry);
        if number % 100 == 0 {
            kept.push((path.clone(), ticket));
        } else {
            slot.leave(ticket);
        }
        slot.retire(&entry);
        if number % 100 == 99 {
            let snapshot = reader.snapshot().unwrap();
            sizes.push((snapshot.releases.len() - kept.len(), fs::metadata(site.file()).unwrap().blocks()));
            assert_eq!(snapshot.any, 0);
            for (path, _) in &kept {
                assert_eq!(snapshot.running(&release(path)), 1, "{path}");
            }
        }
    }
    assert!(sizes[0].0 < 40, "{sizes:?}");
    assert_eq!(sizes[0].1, sizes[9].1, "it takes more and more memory: {sizes:?}");
}

#[test]
fn a_docroot_that_comes_back_gets_an_entry_again() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let slot = claim(&file, 1);
    let entry = EntryCell::new();
    let ticket = enter(&slot, "/1", &entry);
    slot.leave(ticket);
    slot.retire(&entry);
    for number in 0..100 {
        let other = EntryCell::new();
        let ticket = enter(&slot, &format!("/other/{number}"), &other);
        slot.leave(ticket);
        slot.retire(&other);
    }
    assert!(slot.enter(&entry, 0, || Some(())).is_none(), "it was given away");
    let ticket = enter(&slot, "/1", &entry);
    assert!(slot.enter(&entry, 0, || None::<()>).is_none());
    assert_eq!(file.reader().unwrap().in_use(&release("/1")), InUse::Requests(1));
    slot.leave(ticket);
}

#[test]
fn long_paths_and_too_long_ones() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let (slot, reader) = (claim(&file, 4), file.reader().unwrap());
    for (length, of_other) in [(1, 0), (64, 0), (65, 0), (4095, 0), (4096, 1)] {
        let path = format!("/{}", "a".repeat(length - 1));
        let ticket = enter(&slot, &path, &EntryCell::new());
        assert_eq!(reader.in_use(&release(&path)), InUse::Requests(1), "{length}");
        let other = reader.snapshot().unwrap().running(&release("/other"));
        assert_eq!(other, of_other, "a request without an entry may use any release");
        slot.leave(ticket);
        assert_eq!(reader.in_use(&release(&path)), InUse::Free, "{length}");
    }
}

#[test]
fn more_releases_than_entries() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let (slot, reader) = (claim(&file, 1), file.reader().unwrap());
    let entries = docroot::inuse::format::ENTRIES;
    let tickets: Vec<_> =
        (0..entries + 3).map(|number| enter(&slot, &format!("/{number}"), &EntryCell::new())).collect();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!((snapshot.releases.len(), snapshot.any), (entries, 3));
    for ticket in tickets {
        slot.leave(ticket);
    }
    let ticket = enter(&slot, "/new", &EntryCell::new());
    let snapshot = reader.snapshot().unwrap();
    assert_eq!((snapshot.releases.len(), snapshot.any, snapshot.running(&release("/new"))), (entries, 0, 1));
    slot.leave(ticket);
}

/// The drain waits for the window that the process has said, and no look of the parent counts.
#[test]
fn windows() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let at = |milliseconds: u64| Moment::from_nanoseconds(milliseconds * 1_000_000);
    let slot = file.claim(&Process::current(), at(1000), Duration::from_secs(2), 1).unwrap();
    assert_eq!(slot.window(at(1500), Duration::from_secs(2)), Duration::from_millis(500));
    assert_eq!(slot.window(at(9000), Duration::from_secs(2)), Duration::from_secs(2));
    assert_eq!(slot.window(at(500), Duration::from_secs(2)), Duration::ZERO);
    let reader = file.reader().unwrap();
    assert_eq!(reader.snapshot().unwrap().window, Duration::from_secs(2));
    let mut drain = docroot::inuse::Drain::new(vec![reader], release("/1"), at(5000)).unwrap();
    let progress = drain.poll(at(5500)).unwrap();
    assert!(!progress.is_free && progress.wait == Duration::from_millis(1501), "{progress:?}");
    assert!(!drain.poll(at(4000)).unwrap().is_free, "a clock that was set back");
    assert!(drain.poll(at(7002)).unwrap().is_free);
}

/// What is free stays so, whatever comes for an instant.
#[test]
fn free_once_is_free_for_good() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let slot = claim(&file, 4);
    let looking = slot.look();
    let mut drain = drain(vec![file.reader().unwrap()], "/1");
    assert!(!poll(&mut drain).unwrap().is_free, "somebody looks");
    // Others look without end. They began later, so they find no link to the release.
    let after = slot.look();
    drop(looking);
    assert!(poll(&mut drain).unwrap().is_free);
    let ticket = after.enter(&release("/1"), &EntryCell::new(), 0);
    assert!(poll(&mut drain).unwrap().is_free);
    slot.leave(ticket);
}

/// Looks overlap, so that somebody looks at each moment.
#[test]
fn looks_without_end_hold_no_drain_up() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let slot = claim(&file, 4);
    let mut looking = slot.look();
    for round in 0..100 {
        let mut drain = drain(vec![file.reader().unwrap()], "/1");
        let polls = (0..10).take_while(|_| {
            looking = slot.look();
            !poll(&mut drain).unwrap().is_free
        });
        assert!(polls.count() <= 2, "round {round}");
    }
}

/// Stops the reader when a thread ends, by a panic too.
struct StopsAtDrop<'a>(&'a AtomicBool);

impl Drop for StopsAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn threads_lose_no_count() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let (slot, reader) = (claim(&file, 4), file.reader().unwrap());
    let paths: Vec<String> = (0..40).map(|number| format!("/{number}")).collect();
    let entries: Vec<EntryCell> = paths.iter().map(|_| EntryCell::new()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (slot, paths, entries, reader, stop) = (&slot, &paths, &entries, &reader, &stop);
            scope.spawn(move || {
                let _stops = StopsAtDrop(stop);
                for round in 0..20_000_usize {
                    let at = (round * 7 + thread * 13) % paths.len();
                    let fast = slot.enter(&entries[at], thread, || Some(())).map(|(ticket, ())| ticket);
                    let ticket = fast.unwrap_or_else(|| slot.look().enter(&release(&paths[at]), &entries[at], thread));
                    if round % 1000 == 0 {
                        assert!(matches!(reader.in_use(&release(&paths[at])), InUse::Requests(_)));
                    }
                    slot.leave(ticket);
                    // More than keep their entries, so that entries change hands all the time.
                    slot.retire(&entries[at]);
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // A torn path would be of no release.
                for usage in reader.snapshot().unwrap().releases {
                    assert!(paths.iter().any(|path| release(path) == usage.release), "{usage:?}");
                }
            }
        });
    });
    let snapshot = reader.snapshot().unwrap();
    assert!(snapshot.releases.iter().all(|usage| usage.running == 0), "{snapshot:?}");
    assert_eq!((snapshot.any, snapshot.looking), (0, 0));
}

#[test]
fn a_release_is_known_by_path_and_by_directory() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let (slot, reader) = (claim(&file, 1), file.reader().unwrap());
    fs::create_dir_all(site.path("42/public")).unwrap();
    let whole = Release::at(&site.path("42")).unwrap();
    let ticket = slot.look().enter(&Release::at(&site.path("42/public")).unwrap(), &EntryCell::new(), 0);
    assert_eq!(reader.in_use(&whole), InUse::Requests(1));
    slot.leave(ticket);
    let (device, inode) = whole.file();
    let ticket = slot.look().enter(&Release::new(b"/in/a/container", device, inode), &EntryCell::new(), 0);
    assert_eq!(reader.in_use(&whole), InUse::Requests(1));
    slot.leave(ticket);
}

#[test]
fn a_claim_is_seen_and_held_off() {
    let site = Site::new();
    let release = site.path("42");
    fs::create_dir(&release).unwrap();
    assert!(!is_claimed(&release) && !is_claimed(&site.path("none")));
    let claim = Claim::take(&release).unwrap().expect("nobody holds it");
    assert!(is_claimed(&release) && Claim::take(&release).unwrap().is_none());
    drop(claim);
    assert!(!is_claimed(&release));
}

#[test]
fn requests_without_an_entry_of_their_own_go_by_the_claim() {
    let site = Site::new();
    let file = File::create(&site.file()).unwrap();
    let (slot, reader) = (claim(&file, 1), file.reader().unwrap());
    let entry = EntryCell::new();
    assert_eq!(slot.look().enter_unlinked(&release("/1"), &entry, 0, || true), None);
    assert_eq!(reader.in_use(&release("/1")), InUse::Free);
    let ticket = slot.look().enter_unlinked(&release("/1"), &entry, 0, || false).expect("unclaimed");
    assert_eq!(reader.in_use(&release("/1")), InUse::Requests(1));
    slot.leave(ticket);
}
