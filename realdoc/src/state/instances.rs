//! The instances: which links the configuration names.
//!
//! Owns: turning names and patterns into links, and `--to` and `--all` into a selection. Must not: change a link.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::{Config, InstanceName, LinkPattern, Step};
use crate::error::{Context, Error, Result};
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

/// All instances of a configuration.
#[derive(Debug, Default)]
pub struct Instances {
    /// Sorted by name.
    pub list: Vec<Instance>,
    /// What patterns match besides.
    pub ignored: Vec<Ignored>,
    /// The groups of which not every member can be found, and why.
    pub unreadable: Vec<(String, Error)>,
}

impl Instances {
    /// Finds the instances.
    ///
    /// A path is an instance whatever is there. What a pattern matches is one only if it is a link into the releases
    /// directory: `/var/www/*` must not take the sites of another application with it.
    #[must_use]
    pub fn find(config: &Config, store: &Store) -> Self {
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
        found.list = by_link.into_values().collect();
        found.list.sort_by(|a, b| a.name.cmp(&b.name));
        found
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
            let reason = match place {
                Place::Link(found) => match found.target {
                    Target::Release { name, .. } | Target::Gone { name } if link.to_str().is_none() => {
                        // Neither the history nor `--to` could name it.
                        format!("leads to {name}, but its name is not UTF-8")
                    }
                    Target::Release { .. } | Target::Gone { .. } => {
                        let name = format!("{group}/{}", wildcards.join("/"));
                        let instance = Instance { name, group: Some(group.to_string()), link: link.clone() };
                        by_link.insert(link, instance);
                        continue;
                    }
                    Target::Elsewhere(path) => {
                        format!("leads to {}, outside the releases", path.display())
                    }
                    Target::Nowhere(reason) => format!("leads nowhere: {reason}"),
                },
                Place::Taken(what) => format!("is {what}, no link"),
                Place::Empty => continue,
            };
            self.ignored.push(Ignored { path: link, reason });
        }
        Ok(())
    }

    /// The instances that the command line names.
    ///
    /// Without a name: the only one there is. An implicit "all" would move thirty sites for a forgotten option.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a name that is none, [`Error::Usage`] if none is named and there are several.
    pub fn select(&self, to: &[String], all: bool) -> Result<Vec<Instance>> {
        if self.list.is_empty() {
            return Err(Error::NotFound(
                "the configuration has no instance, or nothing matches its patterns: see [instances]".to_owned(),
            ));
        }
        if all {
            return Ok(self.list.clone());
        }
        if to.is_empty() {
            return match &self.list[..] {
                [only] => Ok(vec![only.clone()]),
                _ => Err(Error::Usage(format!("which instance? --to NAME or --all: there are {}", self.names()))),
            };
        }
        let mut selected: Vec<Instance> = Vec::new();
        for name in to {
            let meant = self.named(name)?;
            selected.extend(meant.into_iter().filter(|instance| !selected.contains(instance)).collect::<Vec<_>>());
        }
        selected.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(selected)
    }

    /// An instance, a group, or the part behind the slash if only one group has such an instance.
    fn named(&self, name: &str) -> Result<Vec<Instance>> {
        let some = |is_meant: &dyn Fn(&Instance) -> bool| -> Vec<Instance> {
            self.list.iter().filter(|instance| is_meant(instance)).cloned().collect()
        };
        let exact = some(&|instance| instance.name == name || instance.group.as_deref() == Some(name));
        if !exact.is_empty() {
            return Ok(exact);
        }
        let inner = some(&|instance| {
            instance.group.as_ref().is_some_and(|group| instance.name[group.len()..].strip_prefix('/') == Some(name))
        });
        match &inner[..] {
            [_] => Ok(inner),
            [] => Err(Error::NotFound(format!("there is no instance {name}; there are {}", self.names()))),
            [first, second, ..] => {
                Err(Error::Usage(format!("{name} could be {} or {}; say which", first.name, second.name)))
            }
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.list.iter().map(|instance| instance.name.as_str()).collect();
        names.join(", ")
    }
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
        // As in a shell: a wildcard does not stand for a dot at the beginning, where a flip has its new link.
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if hidden && !glob.glob().glob().starts_with('.') || !glob.is_match(&name) {
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
        Instances::find(&config, &store).strict().unwrap()
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

    #[test]
    fn what_is_named_is_selected() {
        let (_dir, root) = tree(&[("a", "releases/v1"), ("b", "releases/v1")]);
        let found = find(&root, "sites = \"ROOT/www/*\"\nshop = \"ROOT/shop\"");
        let select = |to: &[&str], all| {
            let to: Vec<_> = to.iter().map(|&name| name.to_owned()).collect();
            found.select(&to, all).map(|selected| names(&selected).join(" "))
        };
        assert_eq!(select(&[], true).unwrap(), "shop sites/a sites/b");
        assert_eq!(select(&["sites"], false).unwrap(), "sites/a sites/b");
        assert_eq!(select(&["sites/b", "shop", "sites/b"], false).unwrap(), "shop sites/b");
        assert_eq!(select(&["b", "sites"], false).unwrap(), "sites/a sites/b");
        assert_eq!(select(&["c"], false).unwrap_err().exit_code(), 3);
        let none = select(&[], false).unwrap_err();
        assert_eq!(none.to_string(), "which instance? --to NAME or --all: there are shop, sites/a, sites/b");
    }

    #[test]
    fn the_only_instance_needs_no_name() {
        let (_dir, root) = tree(&[]);
        let found = find(&root, "shop = \"ROOT/shop\"");
        assert_eq!(names(&found.select(&[], false).unwrap()), ["shop"]);
        assert_eq!(find(&root, "").select(&[], true).unwrap_err().exit_code(), 3);
    }
}
