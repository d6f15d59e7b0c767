//! Prefixes, manifests and URLs of assets against descriptions of the valid ones.
//!
//! Owns: that nothing else is taken, and nothing less. Must not: touch a file.

use docroot::assets::candidates::is_plain_url;
use docroot::assets::manifest::Manifest;
use docroot::assets::prefixes::{Prefixes, initial};

use crate::directives::{check_message, word};

pub fn check(value: &[u8]) {
    prefixes(value);
    manifest(value);
    url(value);
}

fn prefixes(values: &[u8]) {
    let values: Vec<&[u8]> = if values.is_empty() { Vec::new() } else { values.split(|&byte| byte == b' ').collect() };
    let is_odd = |name: &[u8]| name.is_empty() || name == b"." || name == b"..";
    let is_prefix = |value: &&[u8]| {
        let names: Vec<&[u8]> = value.split(|&byte| byte == b'/').collect();
        let is_bounded = value.len() > 1 && names[0].is_empty() && names[names.len() - 1].is_empty();
        let has_odd = || names[1..names.len() - 1].iter().any(|name| is_odd(name));
        let is_plain = !value.iter().any(|byte| b"?#".contains(byte) || byte.is_ascii_control());
        *value == b"/" || (is_bounded && !has_odd() && is_plain)
    };
    match Prefixes::parse(&values) {
        Ok(None) => assert_eq!(values.iter().map(|value| word(value)).collect::<Vec<_>>(), [Some(false)]),
        Ok(Some(prefixes)) => {
            assert!(!values.is_empty() && values.iter().all(is_prefix), "{values:?}");
            assert_eq!(prefixes.iter().collect::<Vec<_>>(), values);
            for value in values {
                // The root has all URLs below it.
                let first = value.get(1);
                let initials = (0..=u8::MAX).filter(|byte| first.is_none_or(|first| first == byte)).map(initial);
                assert!(initials.into_iter().all(|initial| prefixes.initials() & initial != 0), "{value:?}");
            }
        }
        Err(error) => {
            let wrong = values.iter().find(|value| !is_prefix(value)).copied().unwrap_or_default();
            assert!(values.is_empty() || !wrong.is_empty() || values.contains(&&b""[..]), "{values:?}: {error}");
            check_message(&error.to_string(), "RealdocAssets", wrong);
        }
    }
}

/// A manifest is taken if all its lines are plain names. Each counts once, and all are read back as they are written.
fn manifest(text: &[u8]) {
    let is_name = |line: &[u8]| {
        let begins = |start: &[u8]| line.get(..start.len()) == Some(start);
        let is_plain = line.iter().all(|&byte| byte != b'/' && byte >= b' ' && byte != 0x7f);
        (1..=255).contains(&line.len()) && is_plain && !begins(b".") && !begins(b"\xef\xbb\xbf")
    };
    let lines: Vec<&[u8]> = match text {
        b"" | b"\n" => Vec::new(),
        _ => text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n').collect(),
    };
    let wrong = lines.iter().position(|line| !is_name(line));
    match (Manifest::parse(text), wrong) {
        (Ok(manifest), None) => {
            let mut once: Vec<&[u8]> = Vec::new();
            for line in lines {
                if !once.contains(&line) {
                    once.push(line);
                }
            }
            assert_eq!(manifest.names().collect::<Vec<_>>(), once);
            assert_eq!(Manifest::parse(&Manifest::text(once)), Ok(manifest));
        }
        (Err(line), Some(wrong)) => {
            let message = line.to_string();
            assert!(message.starts_with(&format!("line {} is no name of a release: '", wrong + 1)), "{message}");
            assert!(!message.chars().any(char::is_control), "{message:?}");
        }
        (parsed, wrong) => panic!("{parsed:?}, and the wrong line is {wrong:?}"),
    }
}

/// A URL is plain if nobody who decodes it once sees a slash, a component or an end that is not there in the text.
fn url(sent: &[u8]) {
    let path = sent.split(|&byte| byte == b'?').next().unwrap_or_default();
    let mut decoded = Vec::new();
    let mut rest = path;
    let is_decoded = loop {
        match rest {
            [] => break true,
            [b'%', digits @ ..] => {
                let value = digits.get(..2).and_then(|two| std::str::from_utf8(two).ok());
                let is_hexadecimal = |two: &&str| two.bytes().all(|digit| digit.is_ascii_hexdigit());
                match value.filter(is_hexadecimal).and_then(|two| u8::from_str_radix(two, 16).ok()) {
                    Some(b'/') | None => break false,
                    Some(byte) => decoded.push(byte),
                }
                rest = &digits[2..];
            }
            [byte, after @ ..] => {
                decoded.push(*byte);
                rest = after;
            }
        }
    };
    let climbs = || decoded.split(|&byte| byte == b'/').any(|name| name == b"..");
    let is_plain = is_decoded && !decoded.contains(&b'\\') && !decoded.contains(&0) && !climbs();
    assert_eq!(is_plain_url(sent), is_plain, "{}", String::from_utf8_lossy(sent));
}
