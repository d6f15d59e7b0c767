//! The arguments of `RewriteRule` and `RewriteCond`.
//!
//! Owns: splitting a line as mod_rewrite does, which knows other quotes and backslashes than httpd. Must not: know what an
//! argument means.

/// The arguments of a rule or a condition.
pub struct Arguments {
    /// The pattern of a rule, or the text that a condition tests.
    pub first: Vec<u8>,
    /// The substitution of a rule, or the pattern of a condition.
    pub second: Vec<u8>,
    /// The flags, each with its value. Names are in lower case.
    pub flags: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Arguments {
    /// Splits a line. None if there are not two arguments.
    pub fn split(line: &[u8]) -> Option<Self> {
        let (first, rest) = word(line);
        let (second, rest) = word(rest?);
        let flags = rest.map(|rest| flags(&word(rest).0)).unwrap_or_default();
        Some(Self { first, second, flags })
    }

    /// Whether one of these flags is set, in its short or in its long form.
    pub fn has(&self, names: &[&str]) -> bool {
        self.flags.iter().any(|(flag, _)| names.iter().any(|name| flag == name.as_bytes()))
    }

    /// The values of a flag, in its short or in its long form.
    pub fn values<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a [u8]> {
        let is_named = move |flag: &[u8]| names.iter().any(|name| flag == name.as_bytes());
        self.flags.iter().filter(move |(flag, _)| is_named(flag)).map(|(_, value)| value.as_slice())
    }
}

/// As C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The first word of a line, and what follows. None if the line ends with the word.
fn word(line: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    let start = line.iter().position(|&byte| !is_space(byte)).unwrap_or(line.len());
    let quote = line.get(start).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let start = start + usize::from(quote.is_some());
    let mut end = start;
    while let Some(&byte) = line.get(end) {
        if quote.map_or(is_space(byte), |quote| byte == quote) {
            return (line[start..end].to_vec(), Some(&line[end + 1..]));
        }
        // A space behind a backslash belongs to the word.
        let is_escape = byte == b'\\' && line.get(end + 1).is_some_and(|&next| is_space(next));
        end += if is_escape { 2 } else { 1 };
    }
    (line[start..].to_vec(), None)
}

/// The flags between brackets.
fn flags(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let text = text.strip_suffix(b"]").unwrap_or(text);
    let flag = |flag: &[u8]| {
        let flag = flag.trim_ascii();
        let end = flag.iter().position(|&byte| byte == b'=').unwrap_or(flag.len());
        (flag[..end].to_ascii_lowercase(), flag.get(end + 1..).unwrap_or_default().to_vec())
    };
    text.split(|&byte| byte == b',').map(flag).collect()
}
