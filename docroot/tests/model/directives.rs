//! The values of the directives: the parsers against a description of the valid ones.
//!
//! Owns: that nothing else is taken, and that each error names the directive and the value. Must not: know httpd.

use std::time::Duration;

use docroot::{Mode, Releases, parse_every, parse_readlink, parse_releases, parse_switch};

use crate::assets;
use crate::bytes::Bytes;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let kind = bytes.below(4);
    let value = bytes.rest();
    assets::check(value);
    match kind {
        0 => every(value),
        1 => readlink(value),
        2 => switch(value),
        _ => releases(value),
    }
}

pub fn check_message(message: &str, directive: &str, value: &[u8]) {
    let start = format!("{directive}: '{}' is not valid; give ", String::from_utf8_lossy(value));
    assert!(message.starts_with(&start) && message.len() > start.len(), "{message}");
}

fn every(value: &[u8]) {
    let units: [(&[u8], u128); 6] =
        [(b"ms", 1), (b"s", 1000), (b"mi", 60_000), (b"min", 60_000), (b"h", 3_600_000), (b"", 1000)];
    let valid = units.iter().find_map(|(unit, milliseconds)| {
        let digits = value.strip_suffix(*unit)?;
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // A number with more digits than that, zeros in front aside, is more than any limit.
        let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
        let number = match &digits[zeros..] {
            digits if digits.len() > 30 => return None,
            digits => digits.iter().fold(0_u128, |number, digit| number * 10 + u128::from(digit - b'0')),
        };
        u64::try_from(number * milliseconds).ok().filter(|&milliseconds| milliseconds <= 365 * 24 * 3_600_000)
    });
    match (parse_every(value), valid) {
        (Ok(every), Some(milliseconds)) => assert_eq!(every, Duration::from_millis(milliseconds)),
        (Err(error), None) => check_message(&error.to_string(), "RealpathEvery", value),
        (parsed, valid) => panic!("{parsed:?}, and valid is {valid:?}"),
    }
}

pub fn word(value: &[u8]) -> Option<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"on" => Some(true),
        b"off" => Some(false),
        _ => None,
    }
}

fn readlink(value: &[u8]) {
    let is_path =
        value.starts_with(b"/") && !value.contains(&0) && !value.split(|&byte| byte == b'/').any(|name| name == b"..");
    match (parse_readlink(value), word(value)) {
        (Ok(Mode::Realpath), Some(false)) | (Ok(Mode::Readlink { from: None }), Some(true)) => {}
        (Ok(Mode::Readlink { from: Some(from) }), None) if is_path => assert_eq!(from.to_bytes(), value),
        (Err(error), None) if !is_path => check_message(&error.to_string(), "UseReadlink", value),
        (parsed, _) => panic!("{value:?}: {parsed:?}"),
    }
}

fn switch(value: &[u8]) {
    match (parse_switch(value), word(value)) {
        (Ok(is_on), Some(valid)) => assert_eq!(is_on, valid),
        (Err(error), None) => check_message(&error.to_string(), "Realdoc", value),
        (parsed, valid) => panic!("{parsed:?}, and valid is {valid:?}"),
    }
}

fn releases(values: &[u8]) {
    // httpd splits the line into words.
    let values: Vec<&[u8]> = if values.is_empty() { Vec::new() } else { values.split(|&byte| byte == b' ').collect() };
    let is_open = |name: &[u8]| name.contains(&b'[') && !name.contains(&b']');
    let is_pattern = |value: &&[u8]| {
        let names: Vec<&[u8]> =
            value.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
        let is_plain = !names.contains(&&b".."[..]) && !names.iter().any(|name| is_open(name));
        value.starts_with(b"/") && !value.contains(&0) && !names.is_empty() && is_plain
    };
    match parse_releases(&values) {
        Ok(None) => assert_eq!(values.iter().map(|value| word(value)).collect::<Vec<_>>(), [Some(false)]),
        Ok(Some(releases)) => {
            assert!(!values.is_empty() && values.iter().all(is_pattern), "{values:?}");
            check_patterns(&releases);
        }
        Err(error) => {
            assert!(!values.iter().all(is_pattern) || values.is_empty(), "{values:?}: {error}");
            let wrong = values.iter().find(|value| !is_pattern(value)).copied().unwrap_or_default();
            check_message(&error.to_string(), "RealdocReleases", wrong);
        }
    }
}

/// Patterns have one spelling, and a path in a release begins with the release.
fn check_patterns(releases: &Releases) {
    let patterns: Vec<&[u8]> = releases.patterns().map(std::ffi::CStr::to_bytes).collect();
    let again = parse_releases(&patterns).expect("patterns").expect("patterns");
    assert_eq!(again, *releases);
    for pattern in patterns {
        assert!(pattern.starts_with(b"/") && !pattern.ends_with(b"/") && !pattern.windows(2).any(|pair| pair == b"//"));
        let below = [pattern, b"/below"].concat();
        if let Some(release) = releases.release_of(&below) {
            // Of several patterns, another one may reach deeper.
            let rest = below.strip_prefix(release).expect("a release that the path begins with");
            assert!(rest.is_empty() || rest.starts_with(b"/"));
            assert!(releases.admits(&below));
        } else {
            assert!(pattern.iter().any(|byte| b"*?[]\\".contains(byte)), "a plain pattern is a release itself");
        }
        let climbs = [pattern, b"/below/../.."].concat();
        assert_eq!(releases.release_of(&climbs), None);
    }
}
