//! The values of the directives as they are written.
//!
//! Owns: parsing, with messages that name the directive, the value and what would be valid. Must not: know how httpd
//! hands directives over.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::config::invalid::Invalid;
use crate::config::releases::Releases;
use crate::config::rules::Mode;
use crate::config::settings::InUseFile;
use crate::path::components;

/// No deploy takes so long to show; a longer time is a slip of the keyboard.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads the value of `RealpathEvery`: whole seconds, or a number with one of httpd's time units (`ms`, `s`, `mi` or
/// `min`, `h`).
///
/// # Errors
/// Anything else, and more than 365 days.
pub fn parse_every(value: &[u8]) -> Result<Duration, Invalid> {
    let invalid = || {
        Invalid::new(
            "RealpathEvery",
            value,
            "seconds, or a number with a unit such as 500ms, 2s, 1mi or 1h, from 0 to 365 days",
        )
    };
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = value.split_at(digits);
    let number: u64 = str::from_utf8(number).ok().and_then(|number| number.parse().ok()).ok_or_else(invalid)?;
    let milliseconds = match unit {
        b"ms" => 1,
        b"" | b"s" => 1_000,
        b"mi" | b"min" => 60_000,
        b"h" => 3_600_000,
        _ => return Err(invalid()),
    };
    let every = number.checked_mul(milliseconds).map(Duration::from_millis);
    every.filter(|every| *every <= LONGEST).ok_or_else(invalid)
}

/// Reads the value of `RealdocInUse`: `On`, `Off`, or the absolute path of the file.
///
/// # Errors
/// Any other word, a relative path, a directory, and a path with a NUL byte.
pub fn parse_in_use(value: &[u8]) -> Result<InUseFile, Invalid> {
    match value {
        [b'/', .., last] if *last != b'/' && !value.contains(&0) => Ok(InUseFile::At(OsStr::from_bytes(value).into())),
        _ if value.eq_ignore_ascii_case(b"on") => Ok(InUseFile::On),
        _ if value.eq_ignore_ascii_case(b"off") => Ok(InUseFile::Off),
        _ => Err(Invalid::new("RealdocInUse", value, "On, Off or the absolute path of a file")),
    }
}

/// Reads the value of `UseReadlink`: `On`, `Off`, or the absolute path where the search for the link begins.
///
/// # Errors
/// Any other word, a relative path, and a path with a NUL byte.
pub fn parse_readlink(value: &[u8]) -> Result<Mode, Invalid> {
    let invalid = || Invalid::new("UseReadlink", value, "On, Off or an absolute path without '..'");
    match value {
        [b'/', ..] if components(value).any(|part| part == b"..") => Err(invalid()),
        [b'/', ..] => CString::new(value).map(|from| Mode::Readlink { from: Some(from) }).map_err(|_| invalid()),
        _ if value.eq_ignore_ascii_case(b"on") => Ok(Mode::Readlink { from: None }),
        _ if value.eq_ignore_ascii_case(b"off") => Ok(Mode::Realpath),
        _ => Err(invalid()),
    }
}

/// Reads the values of `RealdocReleases`: `Off`, or patterns; see [`Releases::add`].
///
/// # Errors
/// No value, `Off` among others, and a value that is no pattern.
pub fn parse_releases(values: &[&[u8]]) -> Result<Option<Releases>, Invalid> {
    if let [value] = values
        && value.eq_ignore_ascii_case(b"off")
    {
        return Ok(None);
    }
    let mut releases = Releases::default();
    for value in values {
        releases.add(value)?;
    }
    if values.is_empty() {
        releases.add(b"")?;
    }
    Ok(Some(releases))
}

/// Reads the value of `Realdoc`: `On` or `Off`.
///
/// # Errors
/// Any other word.
pub fn parse_switch(value: &[u8]) -> Result<bool, Invalid> {
    match value {
        _ if value.eq_ignore_ascii_case(b"on") => Ok(true),
        _ if value.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => Err(Invalid::new("Realdoc", value, "On or Off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (value, milliseconds) in [
            ("0", 0),
            ("2", 2_000),
            ("2s", 2_000),
            ("500ms", 500),
            ("1mi", 60_000),
            ("1min", 60_000),
            ("1h", 3_600_000),
            ("31536000", 31_536_000_000),
        ] {
            assert_eq!(parse_every(value.as_bytes()), Ok(Duration::from_millis(milliseconds)), "{value}");
        }
    }

    #[test]
    fn other_times_are_refused_by_name() {
        for value in [
            "",
            " 2",
            "-1",
            "+2",
            "2x",
            "2 s",
            "ms",
            "1.5",
            "0x2",
            "two",
            "31536001",
            "99999999999999999999",
            "18446744073709551615h",
        ] {
            let message = parse_every(value.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("RealpathEvery"), "{message}");
            assert!(message.contains(&format!("'{value}'")), "{message}");
            assert!(message.contains("seconds"), "{message}");
        }
        assert!(parse_every(b"2\xff").is_err());
    }

    #[test]
    fn readlink_takes_words_and_absolute_paths() {
        assert_eq!(parse_readlink(b"On"), Ok(Mode::Readlink { from: None }));
        assert_eq!(parse_readlink(b"oFF"), Ok(Mode::Realpath));
        assert_eq!(parse_readlink(b"/srv"), Ok(Mode::Readlink { from: Some(c"/srv".into()) }));
        for value in ["", "srv", "./srv", "Maybe", "1", "/srv/../x"] {
            let message = parse_readlink(value.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("UseReadlink") && message.contains(&format!("'{value}'")), "{message}");
            assert!(message.contains("absolute path"), "{message}");
        }
        assert!(parse_readlink(b"/srv\0x").is_err());
    }

    #[test]
    fn the_file_of_requests_is_a_switch_or_a_path() {
        assert_eq!(parse_in_use(b"oN"), Ok(InUseFile::On));
        assert_eq!(parse_in_use(b"Off"), Ok(InUseFile::Off));
        assert_eq!(parse_in_use(b"/run/x"), Ok(InUseFile::At("/run/x".into())));
        for value in ["", "run/x", "/", "/run/", "1", "/run/x\0"] {
            let message = parse_in_use(value.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("RealdocInUse") && message.contains("On, Off or the absolute path"), "{message}");
        }
    }

    #[test]
    fn releases_are_patterns_or_off() {
        assert_eq!(parse_releases(&[b"oFF"]), Ok(None));
        let two = parse_releases(&[b"/srv/A", b"/srv/B/"]).unwrap().unwrap();
        assert_eq!(two.patterns().collect::<Vec<_>>(), [c"/srv/A", c"/srv/B"]);
        for values in [&[][..], &[&b"Off"[..], b"/srv/A"], &[b"/srv/A", b""], &[b"srv"]] {
            assert!(parse_releases(values).is_err(), "{values:?}");
        }
    }

    #[test]
    fn switches_are_on_or_off() {
        assert_eq!(parse_switch(b"on"), Ok(true));
        assert_eq!(parse_switch(b"OFF"), Ok(false));
        let message = parse_switch(b"Maybe").unwrap_err().to_string();
        assert_eq!(message, "Realdoc: 'Maybe' is not valid; give On or Off");
    }
}
