//! Users and groups of this machine.
//!
//! Owns: reading `/etc/passwd` and `/etc/group`; who is known elsewhere (LDAP) is named by number. Must not: decide what
//! anybody may do.

use std::fs;

/// A user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The name, or the number if there is none.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The group of the user.
    pub gid: u32,
}

/// The user of this name or number.
#[must_use]
pub fn user(name: &str) -> Option<User> {
    let number = name.parse::<u32>().ok();
    let found = entries("/etc/passwd")
        .into_iter()
        .filter_map(|fields| {
            let [name, _, uid, gid, ..] = &fields[..] else { return None };
            Some(User { name: name.clone(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        })
        .find(|user| user.name == name || Some(user.uid) == number);
    found.or_else(|| number.map(|uid| User { name: name.to_owned(), uid, gid: uid }))
}

/// The number of the group of this name or number.
#[must_use]
pub fn group(name: &str) -> Option<u32> {
    groups().into_iter().find(|(known, ..)| known == name).map(|(_, gid, _)| gid).or_else(|| name.parse().ok())
}

/// The groups that a user is in.
#[must_use]
pub fn groups_of(user: &User) -> Vec<u32> {
    let others = groups().into_iter().filter(|(.., members)| members.contains(&user.name)).map(|(_, gid, _)| gid);
    others.chain([user.gid]).collect()
}

/// What a user is called.
#[must_use]
pub fn name_of(uid: u32) -> String {
    user(&uid.to_string()).map_or_else(|| uid.to_string(), |user| user.name)
}

fn groups() -> Vec<(String, u32, Vec<String>)> {
    entries("/etc/group")
        .into_iter()
        .filter_map(|fields| {
            let [name, _, gid, members] = &fields[..] else { return None };
            Some((name.clone(), gid.parse().ok()?, members.split(',').map(str::to_owned).collect()))
        })
        .collect()
}

fn entries(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_and_numbers() {
        let root = user("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user("0"), Some(root.clone()));
        assert!(groups_of(&root).contains(&0));
        assert_eq!(name_of(0), "root");
        assert_eq!(user("4294967290").unwrap().uid, 4_294_967_290);
        assert_eq!(user("no such user"), None);
        assert_eq!(group("root"), Some(0));
        assert_eq!(group("no such group"), None);
    }
}
