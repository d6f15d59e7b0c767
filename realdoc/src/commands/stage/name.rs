//! The names of releases.

use crate::git::Commit;

/// What a release is called: after what was asked for, and after the commit, because a tag may move.
pub(super) fn name(reference: &str, commit: &Commit) -> String {
    let id = short(&commit.id);
    if !commit.is_named {
        return id.to_owned();
    }
    match &readable(reference)[..] {
        "" => id.to_owned(),
        readable => format!("{readable}-{id}"),
    }
}

/// A name that can be a directory's.
pub(super) fn readable(reference: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+') { c } else { '-' }
    };
    let readable: String = reference.chars().map(plain).take(80).collect();
    readable.trim_start_matches(['.', '-']).to_owned()
}

/// The beginning of a commit's id, which is enough for people.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_safe() {
        let commit = |is_named| Commit { id: "0123456789abcdef".to_owned(), is_named };
        assert_eq!(name("v1.2", &commit(true)), "v1.2-0123456789ab");
        assert_eq!(name("feature/über uns", &commit(true)), "feature--ber-uns-0123456789ab");
        assert_eq!(name(".hidden", &commit(true)), "hidden-0123456789ab");
        assert_eq!(name("...", &commit(true)), "0123456789ab");
        assert_eq!(name("012345", &commit(false)), "0123456789ab");
        assert!(name(&"x".repeat(500), &commit(true)).len() < 100);
    }
}
