//! Makes a case that fails smaller, as long as it fails in the same way.

use harness::Mpm;

use super::batch::{self, Failure};
use super::host::Case;
use super::tree::STEPS;

/// A way to make a case smaller. One that finds nothing to change changes nothing.
#[derive(Clone, Debug)]
enum Edit {
    DropSection(String),
    DropDirective(String, String),
    IntoHost(String),
    DropHtaccess(usize),
    ShortenHtaccess(usize),
    DropAliases,
    DropReleases,
    Realpath,
    /// The link leads at this step where it leads at another one.
    Steady(usize, usize),
}

impl Edit {
    fn apply(&self, case: &mut Case) {
        let host = &mut case.hosts[0];
        match self {
            Self::DropSection(name) => host.sections.retain(|section| section.name != *name),
            Self::DropDirective(name, text) => {
                for section in host.sections.iter_mut().filter(|section| section.name == *name) {
                    section.directives.retain(|line| line != text);
                }
            }
            Self::IntoHost(name) => {
                for section in host.sections.iter_mut().filter(|section| section.name == *name) {
                    section.is_main = false;
                }
            }
            // Emptied and not removed, so that the numbers of the others stay.
            Self::DropHtaccess(index) => case.tree.htaccess[*index].2 = String::new(),
            Self::ShortenHtaccess(index) => {
                let text = &mut case.tree.htaccess[*index].2;
                *text = text.lines().take(1).map(|line| format!("{line}\n")).collect();
            }
            Self::DropAliases => host.aliases.clear(),
            Self::DropReleases => host.releases.clear(),
            Self::Realpath => host.is_readlink = false,
            Self::Steady(step, like) => case.tree.targets[*step] = case.tree.targets[*like],
        }
    }

    /// All that could be tried.
    fn all(case: &Case) -> Vec<Self> {
        let host = &case.hosts[0];
        let mut edits: Vec<Self> =
            host.sections.iter().map(|section| Self::DropSection(section.name.clone())).collect();
        edits.extend(
            (0..case.tree.htaccess.len())
                .filter(|index| !case.tree.htaccess[*index].2.is_empty())
                .map(Self::DropHtaccess),
        );
        if !host.aliases.is_empty() {
            edits.push(Self::DropAliases);
        }
        if !host.releases.is_empty() {
            edits.push(Self::DropReleases);
        }
        if host.is_readlink {
            edits.push(Self::Realpath);
        }
        for section in &host.sections {
            for line in &section.directives {
                edits.push(Self::DropDirective(section.name.clone(), line.clone()));
            }
            if section.is_main {
                edits.push(Self::IntoHost(section.name.clone()));
            }
        }
        for (index, (_, _, text)) in case.tree.htaccess.iter().enumerate() {
            if text.lines().count() > 1 {
                edits.push(Self::ShortenHtaccess(index));
            }
        }
        for step in 0..STEPS.len() {
            for like in [step.wrapping_sub(1), 0] {
                if case.tree.targets.get(like).is_some_and(|target| *target != case.tree.targets[step]) {
                    edits.push(Self::Steady(step, like));
                    break;
                }
            }
        }
        edits
    }
}

fn edited(case: &Case, edits: &[Edit]) -> Case {
    let mut case = case.clone();
    for edit in edits {
        edit.apply(&mut case);
    }
    case
}

/// The smallest case found, and how it fails; nothing if it does not fail alone.
pub fn shrink(case: &Case, failure: &Failure, mpm: Mpm) -> Option<(Case, Failure)> {
    let mut smallest = case.clone();
    smallest.hosts = vec![case.hosts[failure.host].clone()];
    let failing = |cases: &[Case]| -> Vec<(usize, Failure)> {
        let mut found: Vec<(usize, Failure)> = Vec::new();
        for other in batch::run(cases, mpm).failures {
            let is_like = other.why == failure.why && other.request == failure.request;
            if is_like && found.iter().all(|(case, _)| *case != other.case) {
                found.push((other.case, other));
            }
        }
        found
    };
    let mut last = failing(std::slice::from_ref(&smallest)).pop()?.1;
    for _ in 0..12 {
        let edits = Edit::all(&smallest);
        let singles: Vec<Case> = edits.iter().map(|edit| edited(&smallest, std::slice::from_ref(edit))).collect();
        let good: Vec<Edit> = failing(&singles).into_iter().map(|(index, _)| edits[index].clone()).collect();
        if good.is_empty() {
            break;
        }
        // As many at once as it goes on to fail with.
        let together: Vec<Case> = (1..=good.len()).map(|count| edited(&smallest, &good[..count])).collect();
        let Some((index, found)) = failing(&together).pop() else { break };
        smallest = together[index].clone();
        last = found;
    }
    smallest.tree.htaccess.retain(|(_, _, text)| !text.is_empty());
    Some((smallest, last))
}
