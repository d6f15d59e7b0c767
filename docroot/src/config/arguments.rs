//! The paths in the arguments of any directive: in quotes, lists and regular expressions.

/// The absolute paths in the arguments of a directive, without trailing slashes. A quoted text with blanks counts as a
/// whole and by its words: it may be a path with blanks, or a program with arguments.
pub fn paths_in(arguments: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let (mut whole, mut word) = (Vec::new(), Vec::new());
    let mut quote = None;
    let mut bytes = arguments.iter().copied().chain([b'\n']);
    while let Some(byte) = bytes.next() {
        match byte {
            // An escape of a regular expression or a quoted text.
            b'\\' => {
                let escaped = bytes.next();
                whole.extend(escaped);
                word.extend(escaped);
            }
            b' ' if quote.is_some() => {
                add_path(&mut found, &word);
                word.clear();
                whole.push(byte);
            }
            byte if ENDS.contains(&byte) => {
                add_path(&mut found, &word);
                add_path(&mut found, &whole);
                word.clear();
                whole.clear();
                if QUOTES.contains(&byte) {
                    quote = if quote == Some(byte) { None } else { quote.or(Some(byte)) };
                }
            }
            byte => {
                whole.push(byte);
                word.push(byte);
            }
        }
    }
    found
}

const QUOTES: &[u8] = b"\"'";

/// The bytes that end a path, whatever the directive.
const ENDS: &[u8] = b"\n\t \"':,;=#|^$()[]{}*?<>%";

/// Adds a word if it is a path, and not the rest of a URL behind its scheme.
fn add_path(found: &mut Vec<Vec<u8>>, word: &[u8]) {
    let end = word.iter().rposition(|&byte| !b"/ ".contains(&byte)).map_or(0, |last| last + 1);
    let path = &word[..end];
    if path.starts_with(b"/")
        && !path.starts_with(b"//")
        && !path.contains(&0)
        && found.last().is_none_or(|last| last != path)
    {
        found.push(path.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_arguments() {
        for (arguments, expected) in [
            ("/srv/a", &["/srv/a"][..]),
            ("\"/srv/a b/\" /srv/c", &["/srv/a", "/srv/a b", "/srv/c"]),
            ("map txt:/srv/a/map.txt", &["/srv/a/map.txt"]),
            ("map \"prg:/usr/bin/map /srv/a\"", &["/usr/bin/map", "/srv/a", "/usr/bin/map /srv/a"]),
            ("open_basedir /srv/a/:/tmp/", &["/srv/a", "/tmp"]),
            (r#""%{REQUEST_FILENAME} =~ m#^/srv/example\.com/a/#">"#, &["/srv/example.com/a"]),
            ("expr \"%{REQUEST_FILENAME} == '/srv/a'\"", &["/srv/a"]),
            ("\"proxy:unix:/srv/a.sock|fcgi://localhost/x\"", &["/srv/a.sock"]),
            ("SCRIPT_FILENAME \"@beginsWith /srv/a/\" \"id:1,deny\"", &["/srv/a"]),
            ("fcgi://127.0.0.1/srv/a a/srv/b ./srv/c //srv/d", &[]),
            ("/ \"/\" \\", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|path| path.as_bytes().to_vec()).collect();
            assert_eq!(paths_in(arguments.as_bytes()), expected, "{arguments}");
        }
    }
}
