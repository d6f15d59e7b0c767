//! Which instances a command is about.
//!
//! Owns: turning `--to` and `--all` into links, and links into few words. Must not: look at a link.

use std::path::PathBuf;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::state::instances::{Instance, Instances, Missed};

/// How many names are written out.
const FEW: usize = 3;

/// What a command is about.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// Its instances.
    pub instances: Vec<Instance>,
    /// What it is about as well, and does not reach.
    pub missed: Vec<Missed>,
}

impl Instances {
    /// The instances that the command line names.
    ///
    /// Without a name: the only one there is. An implicit "all" would move thirty sites for a forgotten option.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a name that is none, [`Error::Usage`] if none is named and there are several.
    pub fn select(&self, to: &[String], all: bool) -> Result<Selected> {
        if self.list.is_empty() && self.missed.is_empty() {
            return Err(Error::NotFound(
                "the configuration has no instance, or nothing matches its patterns: see [instances]. `--to GROUP/NAME --create` \
                 makes a link of a group"
                    .to_owned(),
            ));
        }
        if all {
            return Ok(Selected { instances: self.list.clone(), missed: self.missed.clone() });
        }
        if to.is_empty() {
            return match &self.list[..] {
                [only] => Ok(Selected { instances: vec![only.clone()], missed: self.missed.clone() }),
                _ => Err(Error::Usage(format!("which instance? --to NAME or --all: there are {}", self.names()))),
            };
        }
        let mut selected = Selected::default();
        for name in to {
            let Selected { instances, missed } = self.named(name)?;
            for instance in instances {
                if !selected.instances.contains(&instance) {
                    selected.instances.push(instance);
                }
            }
            selected.missed.extend(missed);
        }
        selected.missed.retain(|missed| !selected.instances.contains(&missed.instance));
        selected.instances.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(selected)
    }

    /// An instance, a group, or the part behind the slash if only one group has such an instance. What a group does not
    /// reach is reached by its name.
    fn named(&self, name: &str) -> Result<Selected> {
        let of_group = |instance: &Instance| instance.group.as_deref() == Some(name);
        let some = |is_meant: &dyn Fn(&Instance) -> bool| -> Vec<Instance> {
            let missed = self.missed.iter().map(|missed| &missed.instance);
            self.list.iter().chain(missed).filter(|instance| is_meant(instance)).cloned().collect()
        };
        let exact = some(&|instance| instance.name == name);
        if !exact.is_empty() {
            return Ok(Selected { instances: exact, missed: Vec::new() });
        }
        let missed: Vec<_> = self.missed.iter().filter(|missed| of_group(&missed.instance)).cloned().collect();
        let instances: Vec<_> = self.list.iter().filter(|instance| of_group(instance)).cloned().collect();
        if !instances.is_empty() || !missed.is_empty() {
            return Ok(Selected { instances, missed });
        }
        let inner = some(&|instance| {
            instance.group.as_ref().is_some_and(|group| instance.name[group.len()..].strip_prefix('/') == Some(name))
        });
        match &inner[..] {
            [_] => Ok(Selected { instances: inner, missed: Vec::new() }),
            [] => Err(Error::NotFound(format!("there is no instance {name}; there are {}", self.names()))),
            [first, second, ..] => {
                Err(Error::Usage(format!("{name} could be {} or {}; say which", first.name, second.name)))
            }
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.list.iter().map(|instance| instance.name.as_str()).collect();
        self.describe_by_group(&names)
    }

    /// Names in few words: "all 33", or "sites (30), shop".
    #[must_use]
    pub fn describe(&self, names: &[&str]) -> String {
        if names.len() <= FEW {
            return names.join(", ");
        }
        if names.len() == self.list.len() && self.list.iter().all(|instance| names.contains(&instance.name.as_str())) {
            return format!("all {}", names.len());
        }
        self.describe_by_group(names)
    }

    fn describe_by_group(&self, names: &[&str]) -> String {
        if names.len() <= FEW {
            return names.join(", ");
        }
        let mut words: Vec<String> = Vec::new();
        let mut rest: Vec<&str> = names.to_vec();
        let mut groups: Vec<&str> = self.list.iter().filter_map(|instance| instance.group.as_deref()).collect();
        groups.dedup();
        for group in groups {
            let members: Vec<&str> = self
                .list
                .iter()
                .filter(|instance| instance.group.as_deref() == Some(group))
                .map(|instance| instance.name.as_str())
                .collect();
            if members.len() > 1 && members.iter().all(|member| names.contains(member)) {
                words.push(format!("{group} ({})", members.len()));
                rest.retain(|name| !members.contains(name));
            }
        }
        let others = rest.len().saturating_sub(FEW + 1);
        let shown = if others > 0 { &rest[..FEW] } else { &rest[..] };
        words.extend(shown.iter().map(|&name| name.to_owned()));
        let text = words.join(", ");
        if others > 0 { format!("{text} and {} others", rest.len() - FEW) } else { text }
    }
}

/// The link that a group would have under this name, whether or not it is there.
#[must_use]
pub fn member_of(config: &Config, name: &str) -> Option<Instance> {
    let (group, rest) = name.split_once('/')?;
    let (_, pattern) = config.instances.iter().find(|(known, _)| known.as_str() == group)?;
    let link: PathBuf = pattern.filled(&rest.split('/').collect::<Vec<_>>())?;
    Some(Instance { name: name.to_owned(), group: Some(group.to_owned()), link })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(names: &[&str]) -> Instances {
        let instance = |name: &&str| Instance {
            name: (*name).to_owned(),
            group: name.split_once('/').map(|(group, _)| group.to_owned()),
            link: PathBuf::from(format!("/{name}")),
        };
        Instances { list: names.iter().map(instance).collect(), ..Instances::default() }
    }

    fn select(found: &Instances, to: &[&str], all: bool) -> Result<String> {
        let to: Vec<_> = to.iter().map(|&name| name.to_owned()).collect();
        let selected = found.select(&to, all)?;
        let names: Vec<_> = selected.instances.iter().map(|instance| instance.name.as_str()).collect();
        Ok(names.join(" "))
    }

    #[test]
    fn what_is_named_is_selected() {
        let found = instances(&["shop", "sites/a", "sites/b"]);
        let select = |to: &[&str], all| select(&found, to, all);
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
        assert_eq!(select(&instances(&["shop"]), &[], false).unwrap(), "shop");
        assert_eq!(select(&instances(&[]), &[], true).unwrap_err().exit_code(), 3);
    }

    #[test]
    fn many_names_are_few_words() {
        let names: Vec<String> = (0..30)
            .map(|n| format!("sites/{n:02}"))
            .chain(["mobile/x".into(), "mobile/y".into(), "shop".into()])
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = instances(&names);
        assert_eq!(found.describe(&names), "all 33");
        assert_eq!(found.describe(&names[..30]), "sites (30)");
        assert_eq!(found.describe(&names[..32]), "sites (30), mobile (2)");
        assert_eq!(found.describe(&names[29..]), "mobile (2), sites/29, shop");
        assert_eq!(found.describe(&names[..10]), "sites/00, sites/01, sites/02 and 7 others");
        assert_eq!(found.describe(&names[..4]), "sites/00, sites/01, sites/02, sites/03");
        assert_eq!(found.describe(&names[..2]), "sites/00, sites/01");
    }
}
