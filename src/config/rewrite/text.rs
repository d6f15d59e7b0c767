//! Texts that mod_rewrite expands: substitutions, texts of conditions, values of flags.
//!
//! Owns: which parts of a text are the same for the configured and the real path. A variable that is not known to be the
//! same is taken for one that is not. Must not: expand a text.

use super::arguments::Arguments;
use super::environment::Environment;
use super::part::Part;

/// Variables that are the same for both paths.
const SAME: [&str; 12] = [
    "API_VERSION",
    "AUTH_TYPE",
    "CONN_REMOTE_ADDR",
    "CONTEXT_PREFIX",
    "IPV6",
    "IS_SUBREQ",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "SCRIPT_GROUP",
    "SCRIPT_USER",
];

/// Beginnings of variables that are the same for both paths.
const SAME_FAMILIES: [&str; 6] = ["HTTP_", "HTTPS", "REMOTE_", "SERVER_", "TIME", "THE_REQUEST"];

/// Splits a text into its parts. `sees_same_rest`: whether rules with this text see the same rest for both paths.
pub fn parts(text: &[u8], environment: &Environment, sees_same_rest: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut at = 0;
    let add = |parts: &mut Vec<Part>, literal: &mut Vec<u8>, part: Part| {
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(literal)));
        }
        parts.push(part);
    };
    while let Some(&byte) = text.get(at) {
        let next = text.get(at + 1).copied();
        match (byte, next) {
            (b'\\', Some(next)) => {
                literal.push(next);
                at += 2;
            }
            (b'%' | b'$', Some(b'{')) if closing(&text[at + 2..]).is_some() => {
                let end = at + 2 + closing(&text[at + 2..]).unwrap_or_default();
                let inner = &text[at + 2..end];
                if byte == b'%' {
                    add(&mut parts, &mut literal, variable(inner, environment, sees_same_rest));
                } else {
                    // A map: what it finds goes by the key.
                    for part in self::parts(inner, environment, sees_same_rest) {
                        let part = match part {
                            Part::File | Part::Docroot | Part::Unknown => Part::Unknown,
                            Part::OfRule(_) | Part::OfCondition(_) => part,
                            Part::Literal(_) | Part::Same | Part::Uri => Part::Same,
                        };
                        add(&mut parts, &mut literal, part);
                    }
                }
                at = end + 1;
            }
            (b'%' | b'$', Some(digit)) if digit.is_ascii_digit() => {
                let number = digit - b'0';
                let part = if byte == b'$' { Part::OfRule(number) } else { Part::OfCondition(number) };
                add(&mut parts, &mut literal, part);
                at += 2;
            }
            _ => {
                literal.push(byte);
                at += 1;
            }
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

/// Where the brace closes that was opened before a text.
fn closing(text: &[u8]) -> Option<usize> {
    let mut depth = 1;
    text.iter().position(|byte| {
        depth += match byte {
            b'{' => 1,
            b'}' => -1,
            _ => 0,
        };
        depth == 0
    })
}

/// What a variable stands for.
pub fn variable(name: &[u8], environment: &Environment, sees_same_rest: bool) -> Part {
    let upper = name.to_ascii_uppercase();
    let is_one_of = |names: &[&str]| names.iter().any(|name| upper == name.as_bytes());
    let begins_with = |beginning: &str| upper.starts_with(beginning.as_bytes());
    if let Some(name) = upper.strip_prefix(b"ENV:").or_else(|| upper.strip_prefix(b"REQENV:")) {
        return environment.part(name);
    }
    if let Some(name) = upper.strip_prefix(b"LA-U:").or_else(|| upper.strip_prefix(b"LA-F:")) {
        // The subrequest is for the same file, so it has the same user.
        let is_user = matches!(name, b"REMOTE_USER" | b"AUTH_TYPE");
        return if is_user && sees_same_rest { Part::Same } else { Part::Unknown };
    }
    if upper.contains(&b':') {
        // Modules answer `SSL:` with any variable of a request.
        let is_same = begins_with("HTTP:") || begins_with("SSL:SSL_");
        return if is_same { Part::Same } else { Part::Unknown };
    }
    match &upper[..] {
        b"REQUEST_FILENAME" | b"SCRIPT_FILENAME" => Part::File,
        b"DOCUMENT_ROOT" => Part::Docroot,
        b"REQUEST_URI" => Part::Uri,
        _ if is_one_of(&SAME) || SAME_FAMILIES.iter().any(|family| begins_with(family)) => Part::Same,
        _ => Part::Unknown,
    }
}

/// Adds the variables that the flags of these rules fill with a path, also by way of another variable.
pub fn add_rules(environment: &mut Environment, rules: &[Arguments]) {
    let is_path = |part: &Part| matches!(part, Part::File | Part::Docroot | Part::Unknown);
    let mut is_new = true;
    while is_new {
        is_new = false;
        for value in rules.iter().flat_map(|rule| rule.values(&["e", "env"])) {
            // A colon within `%{ENV:x}` does not end the name, but then the name is no plain one either.
            let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
            let (name, text) = (&value[..end], value.get(end + 1..).unwrap_or_default());
            is_new |= match &parts(text, environment, true)[..] {
                [Part::Docroot] => environment.add_docroot(name),
                parts if parts.iter().any(is_path) => environment.add(name),
                _ => false,
            };
        }
    }
}

/// Whether an expression is the same for both paths. What it tests as a file may be a name below either.
pub fn is_same_expression(text: &[u8], environment: &Environment) -> bool {
    let text = without_file_tests(text);
    let upper = text.to_ascii_uppercase();
    let contains = |part: &[u8]| !part.is_empty() && upper.windows(part.len()).any(|window| window == part);
    let mut rest = &text[..];
    while let Some(start) = rest.windows(2).position(|part| part == b"%{") {
        let inner = &rest[start + 2..];
        let end = closing(inner).unwrap_or(inner.len());
        if !matches!(variable(&inner[..end], environment, false), Part::Same | Part::Uri) {
            return false;
        }
        rest = &inner[end..];
    }
    // Functions take names of variables as strings. `-F`, `-U` and the like look up their argument.
    let words: [&[u8]; 6] = [b"FILENAME", b"DOCUMENT_ROOT", b"PATH_TRANSLATED", b"MATCH_", b"FILE", b"LA-"];
    !words.iter().any(|word| contains(word)) && !environment.names().any(contains)
}

/// An expression without the names of files that it only looks for: `-f %{REQUEST_FILENAME}`, `-d '...'`.
fn without_file_tests(text: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let is_test = text[at] == b'-'
            && text.get(at + 1).is_some_and(|kind| b"fdse".contains(kind))
            && text.get(at + 2).is_some_and(u8::is_ascii_whitespace)
            && (at == 0 || !text[at - 1].is_ascii_alphanumeric());
        let argument = if is_test { at + 2 + leading_spaces(&text[at + 2..]) } else { at };
        match is_test.then(|| name_of_file(&text[argument..])).flatten() {
            Some(length) => at = argument + length,
            None => {
                kept.push(text[at]);
                at += 1;
            }
        }
    }
    kept
}

fn leading_spaces(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// How long the argument of a file test is, if the argument begins with the name of the file or the docroot, and may
/// continue with a path below.
fn name_of_file(text: &[u8]) -> Option<usize> {
    let quote = text.first().copied().filter(|byte| matches!(byte, b'\'' | b'"'));
    let start = usize::from(quote.is_some());
    let name = text[start..].strip_prefix(b"%{")?;
    let length = closing(name)?;
    let variable = name[..length].to_ascii_uppercase();
    if !matches!(&variable[..], b"REQUEST_FILENAME" | b"SCRIPT_FILENAME" | b"DOCUMENT_ROOT") {
        return None;
    }
    let end = start + 2 + length + 1;
    let Some(quote) = quote else { return Some(end) };
    let rest = &text[end..];
    let closing = rest.iter().position(|&byte| byte == quote)?;
    let tail = &rest[..closing];
    let is_below =
        tail.is_empty() || tail.starts_with(b"/") || tail.to_ascii_uppercase().starts_with(b"%{REQUEST_URI}");
    let has_other_name = tail.to_ascii_uppercase().windows(8).any(|part| part == b"FILENAME");
    (is_below && !has_other_name).then_some(end + closing + 1)
}
