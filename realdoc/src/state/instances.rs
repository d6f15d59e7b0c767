//! The instances: which links the configuration names.
//!
//! Owns: turning names and patterns into links. Must not: change a link.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use crate::config::{Config, InstanceName, LinkPattern, Step, stands_for};
use crate::error::{Context, Error, Result};
use crate::state::history::History;
use crate::state::link::{self, Place, Target};
use crate::state::releases::Store;

/// A link that the tool moves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instance {
    /// Its name; `GROUP/NAME` for one of a group.
    pub name: String,
    /// Its group, if a pattern found it.
    pub group: Option<String>,
    /// The path of the link.
    pub link: PathBuf,
}

/// Something that matches a group's pattern and is none of its instances.
#[derive(Clone, Debug)]
pub struct Ignored {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// A link that was one of a group, and that the group does not reach any more.
#[derive(Clone, Debug)]
pub struct Missed {
    /// What it is as an instance.
    pub instance: Instance,
    /// What it is instead: "leads to /srv/hotfix, outside the releases".
    pub reason: String,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance: Instance { name, .. }, reason } = self;
        write!(f, "{name} {reason}; `--to {name}` takes it back in, `realdoc instance remove {name}` forgets it")
    }
}

/// All instances of a configuration.
#[derive(Debug, Default)]
pub struct Instances {
    /// Sorted by name.
    pub list: Vec<Instance>,
    /// What patterns match besides.
    pub ignored: Vec<Ignored>,
    /// What the history knows as members of groups, and is none at present.
    pub missed: Vec<Missed>,
    /// The groups of which not every member can be found, and why.
    pub unreadable: Vec<(String, Error)>,
}

impl Instances {
    /// Finds the instances.
    ///
    /// A path is an instance whatever is there. What a pattern matches is one only if it is a link into the releases
    /// directory: `/var/www/*` must not take the sites of another application with it.
    #[must_use]
    pub fn find(config: &Config, store: &Store, history: &History) -> Self {
        let mut found = Self::default();
        // Named ones first, so that a pattern that matches one of them too does not take it over.
        let mut by_link = BTreeMap::new();
        for (name, pattern) in &config.instances {
            if let Some(path) = pattern.as_path() {
                let instance = Instance { name: name.to_string(), group: None, link: path.to_owned() };
                by_link.insert(path.to_owned(), instance);
            }
        }
        for (group, pattern) in &config.instances {
            if pattern.as_path().is_none()
                && let Err(error) = found.add_group(group, pattern, store, &mut by_link)
            {
                found.unreadable.push((group.to_string(), error));
            }
        }
        for (group, pattern) in &config.instances {
            // Of a group that cannot be read, nobody knows.
            if found.unreadable.iter().all(|(unreadable, _)| unreadable != group.as_str()) {
                found.add_missed(group, pattern, store, history, &by_link);
            }
        }
        found.list = by_link.into_values().collect();
        found.list.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Finds what was a member of the group and is none.
    fn add_missed(
        &mut self,
        group: &InstanceName,
        pattern: &LinkPattern,
        store: &Store,
        history: &History,
        by_link: &BTreeMap<PathBuf, Instance>,
    ) {
        if pattern.as_path().is_some() {
            return;
        }
        for link in history.members() {
            let Some(wildcards) = pattern.matches(link) else { continue };
            if by_link.contains_key(link) || self.missed.iter().any(|missed| missed.instance.link == link) {
                continue;
            }
            let reason = match link::look(store, link) {
                Ok(place) => no_member(&place).unwrap_or_else(|| "is no link any more".to_owned()),
                Err(error) => format!("cannot be looked at: {error}"),
            };
            self.ignored.retain(|ignored| ignored.path != link);
            self.missed.push(Missed { instance: member(group, &wildcards, link), reason });
        }
    }

    /// Takes back in what was a member of a group, where it would be one again after what a dry run has said so far.
    pub fn take_back_in(&mut self, is_back: impl Fn(&Path) -> bool) {
        let back = self.missed.extract_if(.., |missed| is_back(&missed.instance.link));
        self.list.extend(back.map(|missed| missed.instance));
        self.list.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The instances, if all of them can be found.
    ///
    /// # Errors
    /// A directory that cannot be read: guessing would move some links of a group and not the others.
    pub fn strict(mut self) -> Result<Self> {
        match self.unreadable.pop() {
            Some((_, error)) => Err(error),
            None => Ok(self),
        }
    }

    fn add_group(
        &mut self,
        group: &InstanceName,
        pattern: &LinkPattern,
        store: &Store,
        by_link: &mut BTreeMap<PathBuf, Instance>,
    ) -> Result<()> {
        let mut matches = Vec::new();
        expand(Path::new("/"), &[], pattern.steps(), &mut matches)?;
        for (link, wildcards) in matches {
            if by_link.contains_key(&link) {
                continue;
            }
            let place = match link::look(store, &link) {
                // Something beside the directories that the pattern is about.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotADirectory => continue,
                place => place?,
            };
            match no_member(&place) {
                // Neither the history nor `--to` could name it.
                None if link.to_str().is_none() => {
                    let id = place.id().unwrap_or_default();
                    let reason = format!("leads to {id}, but its name is not UTF-8");
                    self.ignored.push(Ignored { path: link, reason });
                }
                None => {
                    by_link.insert(link.clone(), member(group, &wildcards, &link));
                }
                Some(_) if matches!(place, Place::Empty) => {}
                Some(reason) => self.ignored.push(Ignored { path: link, reason }),
            }
        }
        Ok(())
    }
}

/// One of a group.
fn member(group: &InstanceName, wildcards: &[String], link: &Path) -> Instance {
    let name = format!("{group}/{}", wildcards.join("/"));
    Instance { name, group: Some(group.to_string()), link: link.to_owned() }
}

/// Why what is at a place is none of a group, unless it is one.
fn no_member(place: &Place) -> Option<String> {
    Some(match place {
        Place::Link(link) => match &link.target {
            Target::Release { .. } | Target::Gone { .. } => return None,
            Target::Elsewhere(path) => format!("leads to {}, outside the releases", path.display()),
            Target::Nowhere(reason) => format!("leads nowhere: {reason}"),
        },
        Place::Taken(what) => format!("is {what}, no link"),
        Place::Empty => "is gone: there is no link".to_owned(),
    })
}

/// The paths below `at` that match, each with what its wildcards stand for.
fn expand(at: &Path, wildcards: &[String], steps: &[Step], matches: &mut Vec<(PathBuf, Vec<String>)>) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else {
        matches.push((at.to_owned(), wildcards.to_vec()));
        return Ok(());
    };
    let glob = match step {
        Step::Name(name) => return expand(&at.join(name), wildcards, rest, matches),
        Step::Wildcard(glob) => glob,
    };
    let entries = match fs::read_dir(at) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(error).context("read", at),
    };
    for entry in entries {
        let name = entry.context("read", at)?.file_name();
        if !stands_for(glob, &name) {
            continue;
        }
        let path = at.join(&name);
        // Something beside the directories that the pattern is about: /srv/*/current, and /srv/README.
        if !rest.is_empty() && !path.is_dir() {
            continue;
        }
        expand(&path, &[wildcards, &[name.to_string_lossy().into_owned()]].concat(), rest, matches)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A tree with `releases/v1`, and these links below `www`, each leading to a path relative to the tree.
    fn tree(links: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("releases/v1")).unwrap();
        fs::create_dir_all(root.join("elsewhere")).unwrap();
        fs::create_dir_all(root.join("www/html")).unwrap();
        for (name, target) in links {
            let link = root.join("www").join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(root.join(target), link).unwrap();
        }
        (dir, root)
    }

    fn find(root: &Path, instances: &str) -> Instances {
        let root = root.display();
        let text = format!(
            "[git]\nsource = \"x\"\n[releases]\ndirectory = \"{root}/releases\"\n[instances]\n{}",
            instances.replace("ROOT", &root.to_string())
        );
        let config: Config = toml::from_str(&text).unwrap();
        let store = Store::open(config.releases.directory.as_path()).unwrap();
        Instances::find(&config, &store, &History::default()).strict().unwrap()
    }

    fn names(instances: &[Instance]) -> Vec<&str> {
        instances.iter().map(|instance| instance.name.as_str()).collect()
    }

    #[test]
    fn a_pattern_finds_links_into_the_releases_and_nothing_else() {
        let (_dir, root) = tree(&[
            ("shop", "releases/v1"),
            ("old", "releases/v0"),
            ("blog", "releases/v1"),
            ("other", "elsewhere"),
            ("dangling", "nowhere"),
            (".realdoc-1-0.tmp", "releases/v1"),
        ]);
        let found = find(&root, "sites = \"ROOT/www/*\"\nshop = \"ROOT/www/shop\"\nnew = \"ROOT/www/new\"");
        assert_eq!(names(&found.list), ["new", "shop", "sites/blog", "sites/old"]);
        let mut ignored: Vec<_> =
            found.ignored.iter().map(|ignored| ignored.path.file_name().unwrap().to_str().unwrap()).collect();
        ignored.sort_unstable();
        assert_eq!(ignored, ["dangling", "html", "other"]);
    }

    #[test]
    fn a_wildcard_may_stand_in_the_middle() {
        let (_dir, root) =
            tree(&[("a/current", "releases/v1"), ("b/current", "releases/v1"), ("c/other", "releases/v1")]);
        fs::write(root.join("www/README"), "").unwrap();
        let found = find(&root, "sites = \"ROOT/www/*/current\"\nboth = \"ROOT/w*/c/o*\"");
        assert_eq!(names(&found.list), ["both/www/other", "sites/a", "sites/b"]);
    }
}
