//! Files that cannot be had, or not understood: an error, never a hang, and never "free".

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use docroot::Os;
use docroot::inuse::format::{FIRST, LENGTH, RECORDS, SHARD_COUNT, STATE};
use docroot::inuse::{CreateError, Drain, File, InUse, Reader, Unknown};

use crate::child::{Holder, RELEASE};
use crate::{Site, claim, drain, open, poll, release};

/// What stands where the file is wanted, how that is made, the error of who would write, and of who would read.
type Case = (&'static str, fn(&Path), fn(&CreateError) -> bool, Unknown);

#[test]
fn what_is_no_file_of_requests_is_refused() {
    let cases: [Case; 4] = [
        (
            "a directory",
            |path| fs::create_dir(path).unwrap(),
            |error| matches!(error, CreateError::NotRegular),
            Unknown::NotRegular,
        ),
        (
            "a symlink",
            |path| symlink("/etc/hostname", path).unwrap(),
            |error| matches!(error, CreateError::NotRegular),
            Unknown::NotRegular,
        ),
        (
            "a FIFO",
            |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            |error| matches!(error, CreateError::NotRegular),
            Unknown::NotRegular,
        ),
        (
            "a file of two names",
            |path| {
                fs::write(path, "").unwrap();
                fs::hard_link(path, path.with_extension("other")).unwrap();
            },
            |error| matches!(error, CreateError::OtherNames),
            Unknown::Damaged,
        ),
    ];
    for (name, make, is_expected, unknown) in cases {
        let site = Site::new();
        make(&site.file());
        let error = File::create(&site.file()).expect_err(name);
        assert!(is_expected(&error), "{name}: {error:?}");
        assert_eq!(Reader::open(&site.file()).expect_err(name), unknown, "{name}");
    }
}

#[test]
fn another_users_file_is_refused() {
    let site = Site::new();
    fs::write(site.file(), "").unwrap();
    if fs::metadata(site.file()).unwrap().uid() != 0 {
        eprintln!("not run: only root can give a file away");
        return;
    }
    chown(site.file(), Some(65534), None).unwrap();
    assert!(matches!(File::create(&site.file()), Err(CreateError::OtherOwner)));
}

#[test]
fn a_missing_directory_is_an_error() {
    let site = Site::new();
    assert!(matches!(File::create(&site.path("none/file")), Err(CreateError::Io(_))));
    assert_eq!(Reader::open(&site.path("none/file")).unwrap_err(), Unknown::Missing);
    assert_eq!(Reader::open(&site.file()).unwrap_err(), Unknown::Missing);
    assert_eq!(Drain::new(Vec::new(), release(RELEASE), Os::now()).unwrap_err(), Unknown::Missing);
}

fn write(path: &Path, offset: u64, word: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&word.to_ne_bytes(), offset).unwrap();
}

#[test]
fn a_file_of_another_version_is_replaced_when_nobody_uses_it() {
    let site = Site::new();
    let holder = Holder::start(&site.file());
    write(&site.file(), 8, 99);
    assert_eq!(Reader::open(&site.file()).unwrap_err(), Unknown::OtherVersion);
    assert!(matches!(File::create(&site.file()), Err(CreateError::OtherFormat)));
    holder.kill();
    let file = File::create(&site.file()).unwrap();
    assert_eq!(file.reader().unwrap().snapshot().unwrap().processes, 0);
}

#[test]
fn an_empty_file_is_unknown_and_used() {
    let site = Site::new();
    fs::write(site.file(), b"").unwrap();
    assert_eq!(Reader::open(&site.file()).unwrap_err(), Unknown::Damaged);
    let file = File::create(&site.file()).unwrap();
    let _slot = claim(&file, 4);
    assert_eq!(file.reader().unwrap().in_use(&release(RELEASE)), InUse::Free);
}

/// A slip in a configuration must not cost a file.
#[test]
fn a_file_of_something_else_is_unknown_and_stays() {
    for text in [&b"x"[..], &[7; 5000]] {
        let site = Site::new();
        fs::write(site.file(), text).unwrap();
        assert_eq!(Reader::open(&site.file()).unwrap_err(), Unknown::Damaged);
        assert!(matches!(File::create(&site.file()), Err(CreateError::OtherFile)));
        assert_eq!(fs::read(site.file()).unwrap(), text);
    }
}

#[test]
fn a_damaged_slot_is_not_free() {
    for word in [SHARD_COUNT, STATE, LENGTH, RECORDS, RECORDS + 3] {
        let site = Site::new();
        let holder = Holder::start(&site.file());
        let mut drain = drain(vec![open(&site.file())], RELEASE);
        write(&site.file(), FIRST + word as u64 * 8, u64::MAX - 1);
        assert_eq!(open(&site.file()).in_use(&release(RELEASE)), InUse::Unknown(Unknown::Damaged), "word {word}");
        assert_eq!(poll(&mut drain), Err(Unknown::Damaged), "word {word}");
        holder.kill();
        assert!(poll(&mut drain).unwrap().is_free, "a dead process's slot does not matter");
    }
}

#[test]
fn a_process_that_is_not_ready_is_not_free() {
    let site = Site::new();
    let _holder = Holder::start(&site.file());
    write(&site.file(), FIRST + STATE as u64 * 8, 0);
    let progress = poll(&mut drain(vec![open(&site.file())], RELEASE)).unwrap();
    assert!(!progress.is_free && !progress.wait.is_zero());
}

#[test]
fn a_deleted_file_is_unknown() {
    let site = Site::new();
    let _holder = Holder::start(&site.file());
    let mut drain = drain(vec![open(&site.file())], RELEASE);
    fs::remove_file(site.file()).unwrap();
    assert_eq!(poll(&mut drain), Err(Unknown::Deleted));
}
