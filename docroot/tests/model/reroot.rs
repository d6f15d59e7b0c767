//! Other paths under the links of a docroot: where they are led, and which `<Directory>` sections go with them.
//!
//! Owns: the properties of `Resolution::reroot` and `sections::follow`. Must not: resolve anything by itself.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use docroot::sections::{self, Mapping, Pattern, Step};
use docroot::{Docroot, Event, Mode, Moment, Resolution};

use crate::bytes::Bytes;
use crate::files::Files;
use crate::generate;
use crate::pattern::{is_under, names};

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let files = generate::files(&mut bytes);
    let path = generate::docroot(&mut bytes, &files);
    let rules = generate::rules(&mut bytes, &files, &path);
    if matches!(rules.mode, Mode::Readlink { from: Some(_) }) {
        return;
    }
    let subject = Docroot::new(Path::new(std::ffi::OsStr::from_bytes(&path)), rules.clone()).expect("an absolute path");
    let lookup = subject.lookup(&files, Moment::from_nanoseconds(1_000_000_000), Duration::ZERO);
    let Some(Event::Resolved { now: resolution, .. }) = lookup.event.as_deref() else { return };
    check_docroot(resolution, &path);
    for _ in 0..4 {
        let other = other_path(&mut bytes, &files, resolution, &path);
        check_path(&files, resolution, &other);
    }
    if is_plain(&path) {
        check_sections(&mut bytes, &path, resolution);
    }
}

fn is_plain(path: &[u8]) -> bool {
    names(path).iter().all(|name| !matches!(*name, b"." | b"..")) && !path.windows(2).any(|pair| pair == b"//")
}

/// The docroot itself goes where it was resolved to.
fn check_docroot(resolution: &Resolution, path: &[u8]) {
    // A docroot that is written in another way than httpd writes paths is under no link by its spelling.
    if !is_plain(path) || path.ends_with(b"/") {
        return;
    }
    let led = resolution.reroot(path);
    if resolution.links().is_empty() {
        assert_eq!(led, None);
    } else {
        let led = led.expect("under its own links");
        assert_eq!(names(&led), names(resolution.docroot().to_bytes()), "{path:?} by {resolution:?}");
    }
}

/// A path below the docroot, a link or anything else, as httpd writes paths: without dots.
fn other_path(bytes: &mut Bytes<'_>, files: &Files, resolution: &Resolution, docroot: &[u8]) -> Vec<u8> {
    let links = resolution.links();
    let mut path = match bytes.below(4) {
        0 => docroot.to_vec(),
        1 | 2 if !links.is_empty() => links[bytes.below(links.len())].link.clone(),
        _ => {
            let directories = files.directories();
            files.path_of(bytes.one_of(&directories))
        }
    };
    for _ in 0..bytes.below(4) {
        path.push(b'/');
        path.extend_from_slice(bytes.one_of(&generate::NAMES));
    }
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// A path is led to the same file as the operating system would find, or the same error.
fn check_path(files: &Files, resolution: &Resolution, path: &[u8]) {
    if !is_plain(path) {
        return;
    }
    let is_under_link = resolution.links().iter().any(|hop| is_under(path, &hop.link));
    let Some(led) = resolution.reroot(path) else {
        assert!(!is_under_link, "{path:?} is under a link of {resolution:?}");
        return;
    };
    assert_eq!(led.first(), Some(&b'/'), "{led:?}");
    assert!(is_under_link || resolution.links().len() > 1);
    let inode = |path: &[u8]| files.walk(path).map(|(inode, _)| inode);
    match (inode(path), inode(&led)) {
        // What is led meets fewer links, so the limit may be one for the unled path only.
        (Err(libc::ELOOP), _) => {}
        (there, led_there) => assert_eq!(there, led_there, "{path:?} was led to {led:?}"),
    }
}

/// Sections that httpd would merge for a configured path are merged for the real path, in the same order and once each.
fn check_sections(bytes: &mut Bytes<'_>, docroot: &[u8], resolution: &Resolution) {
    let Ok(docroot) = CString::new(docroot) else { return };
    let mapping = resolution.mapping(&docroot);
    let below = || [b"/".as_slice(), b"a", b"/", b"b", b"/c"];
    let patterns: Vec<Vec<u8>> = (0..1 + bytes.below(6)).map(|_| section(bytes, &mapping)).collect();
    let mut patterns: Vec<_> =
        patterns.iter().map(|path| Pattern { path, is_wildcard: docroot::wildcard::is_pattern(path) }).collect();
    patterns.sort_by_key(|pattern| names(pattern.path).len());
    let steps = sections::follow(&patterns, &mapping);
    let rest = below().concat();
    let configured = [&mapping.configured, &rest[..]].concat();
    let real = [&mapping.real, &rest[..]].concat();
    let expected: Vec<usize> = (0..patterns.len()).filter(|&number| applies(patterns[number], &configured)).collect();
    let stated = |number: usize| applies(patterns[number], &real) && !expected.contains(&number);
    let merged: Vec<usize> = merged(&steps, &patterns, &real).into_iter().filter(|&number| !stated(number)).collect();
    let shown: Vec<_> = patterns.iter().map(|pattern| String::from_utf8_lossy(pattern.path)).collect();
    // A pattern may stand for two directories, one on each way, if they are not as deep; then it applies to both.
    let is_twice = |number: &usize| merged.iter().filter(|&other| other == number).count() > 1;
    if names(&mapping.configured).len() == names(&mapping.real).len() {
        assert!(!merged.iter().any(is_twice), "{merged:?} of {shown:?} for {mapping:?}");
    }
    let once: Vec<usize> = merged.iter().copied().filter(|number| !is_twice(number)).collect();
    let expected: Vec<usize> = expected.into_iter().filter(|number| !is_twice(number)).collect();
    assert_eq!(once, expected, "{shown:?} for {mapping:?}: {steps:?}");
}

/// The path of a section near either of the two, maybe with wildcards.
fn section(bytes: &mut Bytes<'_>, mapping: &Mapping) -> Vec<u8> {
    let side = if bytes.once_in(3) { &mapping.real } else { &mapping.configured };
    let all: Vec<&[u8]> = names(side).into_iter().chain([&b"a"[..], b"b", b"c"]).collect();
    let mut path = Vec::new();
    for &name in &all[..bytes.below(all.len() + 1)] {
        path.push(b'/');
        path.extend_from_slice(match bytes.below(8) {
            0 => b"*",
            1 => b"?",
            2 => b"[a-c]",
            3 => bytes.one_of(&generate::NAMES),
            _ => name,
        });
    }
    path
}

/// Whether httpd merges a section for a path.
fn applies(section: Pattern<'_>, path: &[u8]) -> bool {
    let (section, path) = (names(section.path), names(path));
    section.len() <= path.len()
        && section.iter().zip(&path).all(|(part, name)| docroot::wildcard::matches_name(part, name))
}

/// The sections that httpd merges for a path of a list, by the numbers that they have.
fn merged(steps: &[Step], patterns: &[Pattern<'_>], path: &[u8]) -> Vec<usize> {
    let mut merged = Vec::new();
    let mut depth = 0;
    for step in steps {
        let (number, pattern) = match step {
            Step::Section(number) => (*number, patterns[*number]),
            Step::Led { section, path, is_wildcard } => (*section, Pattern { path, is_wildcard: *is_wildcard }),
            Step::Htaccess { .. } => continue,
        };
        let own_depth = names(pattern.path).len();
        assert!(depth <= own_depth, "httpd goes by the depth: {steps:?}");
        depth = own_depth;
        if applies(pattern, path) {
            merged.push(number);
        }
    }
    merged
}
