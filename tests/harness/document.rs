//! What the documentation shows: the code blocks of its files, for tests to run as they stand.
//!
//! Owns: finding a block. Must not: know what is in it.

use std::fs;

use crate::module::workspace;

/// A fenced code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the fence says that it is: `apache`, `sh`.
    pub kind: String,
    /// Its lines, each with its end.
    pub text: String,
}

/// The code blocks that follow a heading of a file in the repository, up to the next heading.
///
/// # Panics
/// If there is no such file or heading.
#[must_use]
pub fn blocks(file: &str, heading: &str) -> Vec<Block> {
    let path = workspace().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    blocks_of(&text, heading).unwrap_or_else(|| panic!("{file} has no heading {heading:?}"))
}

/// The texts of those of them that are of one kind.
///
/// # Panics
/// As [`blocks`], and if there is none.
#[must_use]
pub fn texts(file: &str, heading: &str, kind: &str) -> Vec<String> {
    let of_kind = |block: Block| (block.kind == kind).then_some(block.text);
    let texts: Vec<String> = blocks(file, heading).into_iter().filter_map(of_kind).collect();
    assert!(!texts.is_empty(), "{file}: nothing of {kind} under {heading:?}");
    texts
}

fn blocks_of(text: &str, heading: &str) -> Option<Vec<Block>> {
    let mut found: Option<Vec<Block>> = None;
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => {
                if let (Some(block), Some(found)) = (open.take(), &mut found) {
                    found.push(block);
                }
            }
            (None, Some(kind)) => open = Some(Block { kind: kind.to_owned(), text: String::new() }),
            (Some(block), None) => {
                block.text += line;
                block.text += "\n";
            }
            (None, None) if line.starts_with('#') => {
                if found.is_some() {
                    break;
                }
                if line.trim_start_matches('#').trim() == heading {
                    found = Some(Vec::new());
                }
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A\n```sh\nnot this\n```\n## B\n```sh\n# no heading\nls\n```\ntext\n```\nx\n```\n### C\n```sh\nnor this\n```\n";

    #[test]
    fn blocks_of_one_heading() {
        let block = |kind: &str, text: &str| Block { kind: kind.to_owned(), text: text.to_owned() };
        assert_eq!(blocks_of(TEXT, "B"), Some(vec![block("sh", "# no heading\nls\n"), block("", "x\n")]));
        assert_eq!(blocks_of(TEXT, "no heading"), None);
    }
}
