//! What the documentation shows: the code blocks of its files, for tests to run as they stand, and the text around them.
//!
//! Owns: telling the two apart. Must not: know what is in them.

use std::fs;

use crate::module::workspace;

/// A fenced code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The heading that it stands under.
    pub heading: String,
    /// What the fence says that it is: `apache`, `sh`.
    pub kind: String,
    /// Its lines, each with its end.
    pub text: String,
}

/// The code blocks of a file in the repository.
///
/// # Panics
/// If there is no such file.
#[must_use]
pub fn blocks(file: &str) -> Vec<Block> {
    parts_of(&read(file)).0
}

/// All of a file in the repository but its code blocks.
///
/// # Panics
/// If there is no such file.
#[must_use]
pub fn prose(file: &str) -> String {
    parts_of(&read(file)).1
}

fn read(file: &str) -> String {
    let path = workspace().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The texts of those of one kind that stand under a heading.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn texts(file: &str, heading: &str, kind: &str) -> Vec<String> {
    let wanted = |block: &Block| block.heading == heading && block.kind == kind;
    let texts: Vec<String> = blocks(file).into_iter().filter(wanted).map(|block| block.text).collect();
    assert!(!texts.is_empty(), "{file}: nothing of {kind} under {heading:?}");
    texts
}

/// The code blocks, and the rest.
fn parts_of(text: &str) -> (Vec<Block>, String) {
    let mut found = Vec::new();
    let mut prose = String::new();
    let mut heading = "";
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (open.take(), line.trim_start().strip_prefix("```")) {
            (Some(block), Some(_)) => found.push(block),
            (None, Some(kind)) => {
                open = Some(Block { heading: heading.to_owned(), kind: kind.to_owned(), text: String::new() });
            }
            (Some(mut block), None) => {
                block.text += line;
                block.text += "\n";
                open = Some(block);
            }
            (None, None) => {
                if line.starts_with('#') {
                    heading = line.trim_start_matches('#').trim();
                }
                prose += line;
                prose += "\n";
            }
        }
    }
    (found, prose)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# A\n```sh\none\n```\n## B\n```sh\n# no heading\nls\n```\ntext\n```\nx\n```\n### C\n  ```sh\n  ```\n";

    #[test]
    fn blocks_and_their_headings() {
        let block = |heading: &str, kind: &str, text: &str| Block {
            heading: heading.to_owned(),
            kind: kind.to_owned(),
            text: text.to_owned(),
        };
        let expected = [
            block("A", "sh", "one\n"),
            block("B", "sh", "# no heading\nls\n"),
            block("B", "", "x\n"),
            block("C", "sh", ""),
        ];
        assert_eq!(parts_of(TEXT), (Vec::from(expected), "# A\n## B\ntext\n### C\n".to_owned()));
    }
}
