//! The settings that the directives make: their values, how they are written, and how a virtual host inherits them.
//!
//! Owns: parsing, with messages that name the directive, the value and what would be valid; defaults; inheritance.
//! Must not: know how a web server hands directives over.

use std::ffi::CString;
use std::fmt;
use std::time::Duration;

use crate::config::releases::Releases;
use crate::path::components;
use crate::resolve::resolution::{Mode, Rules};

/// What one server or virtual host sets; `None` is what it inherits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `Realdoc`: whether docroots are resolved at all.
    pub enabled: Option<bool>,
    /// `RealpathEvery`: for how long a look counts.
    pub every: Option<Duration>,
    /// `UseReadlink`: how far links are followed.
    pub mode: Option<Mode>,
    /// `RealdocReleases`: where links may lead; `Some(None)` is anywhere (`Off`).
    pub releases: Option<Option<Releases>>,
}

impl Settings {
    /// The settings of a virtual host that sets `self` in a server that sets `server`.
    #[must_use]
    pub fn over(&self, server: &Self) -> Self {
        Self {
            enabled: self.enabled.or(server.enabled),
            every: self.every.or(server.every),
            mode: self.mode.clone().or_else(|| server.mode.clone()),
            releases: self.releases.clone().or_else(|| server.releases.clone()),
        }
    }

    /// Whether docroots are resolved; they are unless `Realdoc Off` says otherwise.
    pub fn enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// For how long a look counts; by default not at all, each request looks for itself.
    pub fn every(&self) -> Duration {
        self.every.unwrap_or(Duration::ZERO)
    }

    /// How docroots are resolved; by default their links are followed to the end, wherever they lead.
    pub fn rules(&self) -> Rules {
        Rules { mode: self.mode.clone().unwrap_or_default(), releases: self.releases.clone().flatten() }
    }
}

/// A directive's value that is none of the valid ones. [`fmt::Display`] is the message for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    directive: &'static str,
    value: String,
    valid: &'static str,
}

impl Invalid {
    pub(crate) fn new(directive: &'static str, value: &[u8], valid: &'static str) -> Self {
        Self { directive, value: String::from_utf8_lossy(value).into_owned(), valid }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: '{}' is not valid; give {}", self.directive, self.value, self.valid)
    }
}

impl std::error::Error for Invalid {}

/// More than anybody waits for a deploy to show; beyond it a value is a slip of the keyboard.
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

/// Reads the value of `UseReadlink`: `On`, `Off`, or the absolute path where to start looking for the link.
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
/// No value, `Off` among others, and what is no pattern.
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
    fn a_virtual_host_inherits_what_it_does_not_set() {
        let server = Settings {
            enabled: Some(false),
            every: Some(Duration::from_secs(2)),
            mode: Some(Mode::Readlink { from: None }),
            releases: Some(Some(Releases::default())),
        };
        assert_eq!(Settings::default().over(&server), server);
        let host = Settings {
            enabled: Some(true),
            every: Some(Duration::ZERO),
            mode: Some(Mode::Realpath),
            releases: parse_releases(&[b"Off"]).map(Some).unwrap(),
        };
        assert_eq!(host.over(&server), host, "and may set any of them back");
        let nothing = Settings::default();
        assert!(nothing.enabled() && nothing.every() == Duration::ZERO && nothing.rules() == Rules::default());
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
