//! Names of files as text for people.
//!
//! A name must not begin a line of its own, or control a terminal. httpd escapes lines of its error log itself.

use std::fmt::Write;

/// A name, or a text with names in it, as one line. Invalid UTF-8 is replaced, control characters become escape
/// sequences.
pub fn escape(text: &[u8]) -> String {
    let mut line = String::with_capacity(text.len());
    for character in String::from_utf8_lossy(text).chars() {
        if character.is_control() {
            // Writing to a `String` cannot fail.
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
