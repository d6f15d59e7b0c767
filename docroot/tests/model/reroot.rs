//! Other paths under the links of a docroot: where they are led, and which `<Directory>` sections go with them.
//!
//! Owns: the properties of `Resolution::reroot` and `docroot::follow`. Must not: resolve anything by itself.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use docroot::{Docroot, Mode, Moment, News, Resolution, Rules, follow, passages};

use crate::bytes::Bytes;
use crate::files::Files;
use crate::pattern::{is_under, names};
use crate::{generate, pattern};

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let files = generate::files(&mut bytes);
    let path = generate::docroot(&mut bytes, &files);
    let rules = generate::rules(&mut bytes, &files, &path);
    if matches!(rules.mode, Mode::Readlink { from: Some(_) }) {
        return;
    }
    let subject = Docroot::new(Path::new(std::ffi::OsStr::from_bytes(&path)), rules.clone()).expect("an absolute path");
    let look = subject.look(&files, Moment::from_nanoseconds(1_000_000_000), Duration::ZERO);
    let Some(News::Resolved { now: resolution, .. }) = look.news.as_deref() else { return };
    check_docroot(resolution, &path);
    for _ in 0..4 {
        let other = other_path(&mut bytes, &files, resolution, &path);
        check_path(&files, resolution, &other);
        check_sections(&files, &path, &rules, resolution, &other);
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
        1 | 2 if !links.is_empty() => links[bytes.below(links.len())].path().to_bytes().to_vec(),
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
    let is_under_link = resolution.links().iter().any(|link| is_under(path, link.path().to_bytes()));
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

/// A section that applied to a path applies to where the path is led.
fn check_sections(files: &Files, docroot: &[u8], rules: &Rules, resolution: &Resolution, section: &[u8]) {
    let (Some(releases), Ok(docroot)) = (&rules.releases, CString::new(docroot)) else { return };
    let is_refused = resolution.links().iter().any(|link| !pattern::admits(releases, link.target().to_bytes()));
    let is_outside = pattern::release_of(releases, resolution.docroot().to_bytes()).is_none();
    if !is_plain(section) || is_refused || is_outside {
        return;
    }
    let passages = passages(files, &docroot, rules);
    let followed = follow(section, &passages, releases);
    assert!(followed.len() <= 2000, "{} of {passages:?}", followed.len());
    let shown: Vec<_> = followed.iter().take(8).map(|path| String::from_utf8_lossy(path)).collect();
    for (index, path) in followed.iter().enumerate() {
        assert_eq!(path.first(), Some(&b'/'), "{section:?}: {shown:?}");
        assert_ne!(path, section, "{shown:?}");
        assert!(!followed[..index].contains(path), "{shown:?}");
        assert!(!names(path).is_empty(), "a section for the root would apply to everything there is");
    }
    let mut places = vec![section];
    let links = resolution.links().into_iter().map(|link| link.path().to_bytes());
    places.extend(links.filter(|link| is_under(link, section)));
    for (place, below) in places.iter().flat_map(|place| [&b""[..], b"/x", b"/x/y"].map(|below| (place, below))) {
        let file = [place, below].concat();
        let Some(led) = resolution.reroot(&file) else { continue };
        // So no section follows a link to the root as a whole, nor one below it that leads back there.
        if resolution.reroot(place).as_deref() == Some(b"/") {
            continue;
        }
        let applies = |section: &[u8]| {
            let (section, led) = (names(section), names(&led));
            section.len() <= led.len() && section.iter().zip(&led).all(|(part, name)| pattern::matches(part, name))
        };
        assert!(
            applies(section) || followed.iter().any(|section| applies(section)),
            "{:?} is led to {:?}, and its section follows only to {shown:?}",
            String::from_utf8_lossy(&file),
            String::from_utf8_lossy(&led)
        );
    }
}
