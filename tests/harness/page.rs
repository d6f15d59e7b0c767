//! What a page must look like, and the verdict on what came back.
//!
//! Owns: the release token, completeness, and the words whole, mixed and failed. Must not: send requests.

use std::collections::BTreeSet;

/// The last thing in every page: without it the page is incomplete.
pub const END: &str = "[end]";

const TOKEN_START: &str = "[release=";

/// The token by which a response shows which release a piece of it came from.
#[must_use]
pub fn token(release: usize) -> String {
    format!("{TOKEN_START}{release}]")
}

/// All release tokens in a text.
#[must_use]
pub fn tokens(text: &str) -> Vec<usize> {
    text.split(TOKEN_START).skip(1).filter_map(|rest| rest.split_once(']')?.0.parse().ok()).collect()
}

/// A page that a load asks for.
#[derive(Clone, Debug)]
pub struct Page {
    /// The path of its URL.
    pub path: String,
    /// The status it is answered with.
    pub status: u16,
    /// How many release tokens it holds; a page with another number of them lost a piece.
    pub tokens: usize,
}

impl Page {
    /// A page that is answered 200.
    #[must_use]
    pub fn new(path: &str, tokens: usize) -> Self {
        Self { path: path.to_owned(), status: 200, tokens }
    }

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The verdict on one response.
    #[must_use]
    pub fn judge(&self, status: u16, body: &str) -> Verdict {
        let tokens = tokens(body);
        let releases: BTreeSet<usize> = tokens.iter().copied().collect();
        if releases.len() > 1 {
            return Verdict::Mixed(releases);
        }
        if status != self.status {
            return Verdict::Failed(format!("{}: status {status}, not {}", self.path, self.status));
        }
        if !body.contains(END) {
            return Verdict::Failed(format!("{}: incomplete: {}", self.path, excerpt(body)));
        }
        match releases.first() {
            Some(release) if tokens.len() == self.tokens => Verdict::Whole(*release),
            _ => Verdict::Failed(format!(
                "{}: {} pieces, not {}: {}",
                self.path,
                tokens.len(),
                self.tokens,
                excerpt(body)
            )),
        }
    }
}

/// What one response was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Complete and all from this release.
    Whole(usize),
    /// Pieces of several releases.
    Mixed(BTreeSet<usize>),
    /// An error, a lost piece, or no response: what exactly.
    Failed(String),
}

/// A body for an error message: the filler of large parts left out, cut to a few hundred characters.
#[must_use]
pub fn excerpt(body: &str) -> String {
    let plain: String = body.chars().filter(|character| *character != FILLER).collect();
    match plain.char_indices().nth(400) {
        Some((at, _)) => format!("{:?}...", &plain[..at]),
        None => format!("{plain:?}"),
    }
}

/// What large parts are made of.
pub const FILLER: char = '~';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_page() {
        assert_eq!(Page::new("/", 2).judge(200, "[release=7] x [release=7][end]"), Verdict::Whole(7));
    }

    #[test]
    fn a_mixed_page_is_mixed_even_when_incomplete() {
        let mixed = Page::new("/", 2).judge(200, "[release=7] x [release=8]");
        assert_eq!(mixed, Verdict::Mixed(BTreeSet::from([7, 8])));
    }

    #[test]
    fn a_lost_piece_a_status_and_a_cut_are_failures() {
        let page = Page::new("/", 2);
        for (status, body) in [(200, "[release=7][end]"), (404, "[release=7][release=7][end]"), (200, "[release=7]")] {
            assert!(matches!(page.judge(status, body), Verdict::Failed(_)), "{status} {body}");
        }
    }
}
