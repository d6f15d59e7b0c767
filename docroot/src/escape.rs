//! Names of files as text for people and their tools.
//!
//! Owns: that no name can begin a line of its own, or steer a terminal. Must not: be used for what goes to httpd's error
//! log, where httpd does this itself.

use std::fmt::Write;

/// A name, or a text with names in it, as one line: what is no UTF-8 is replaced, and control characters are written
/// as escape sequences.
pub fn escape(text: &[u8]) -> String {
    let mut line = String::with_capacity(text.len());
    for character in String::from_utf8_lossy(text).chars() {
        if character.is_control() {
            // Nothing can go wrong when one writes to a string.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape(b"/srv/a b/\xc3\xa9"), "/srv/a b/\u{e9}");
        assert_eq!(escape(b"/srv/a\n    resolved: /b\x1b[0m\r"), "/srv/a\\n    resolved: /b\\u{1b}[0m\\r");
        assert_eq!(escape(b"\xff"), "\u{fffd}");
    }
}
