//! What rules and conditions do with the parts of a name that they capture.
//!
//! Owns: how alike the parts of both names must be. Must not: match anything.

use crate::config::rewrite::Part;
use crate::request::rewrite::names::{Names, Pair};

/// How a captured part is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Not at all.
    #[default]
    Nothing,
    /// As the beginning of a path, so the parts of both names must be the same path, before and behind the link.
    Path,
    /// As a text.
    Text,
}

/// How each part is used that a pattern captures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uses([Use; 10]);

impl Uses {
    fn add(&mut self, number: u8, needed: Use) {
        if let Some(known) = self.0.get_mut(usize::from(number)) {
            *known = needed.max(*known);
        }
    }

    /// Whether the captured parts of two seen names differ for their use.
    pub fn differ(&self, names: &Names, seen: &Pair<Vec<u8>>, configured: &[&[u8]; 10], real: &[&[u8]; 10]) -> bool {
        let parts = configured.iter().zip(real).map(|(configured, real)| Pair { configured: *configured, real: *real });
        self.0.iter().zip(parts).any(|(used, parts)| match used {
            Use::Nothing => false,
            Use::Path => parts.configured != parts.real && !names.is_led(seen, &parts),
            Use::Text => parts.configured != parts.real,
        })
    }
}

/// How the captured parts of a rule and its conditions are used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Captures {
    /// Those of the rule's pattern: `$1`.
    pub of_rule: Uses,
    /// Those of a condition's pattern: `%1`.
    pub of_conditions: Uses,
}

impl Captures {
    /// Adds the uses in a text. True if a name is in the text where the text is no path: then the text differs for the
    /// configured and the real path. A path may only begin with the name.
    pub fn add(&mut self, text: &[Part], is_path: bool) -> bool {
        let mut differs = false;
        for (index, part) in text.iter().enumerate() {
            let begins_path = is_path && index == 0;
            let needs = if begins_path { Use::Path } else { Use::Text };
            match part {
                Part::OfRule(number) => self.of_rule.add(*number, needs),
                Part::OfCondition(number) => self.of_conditions.add(*number, needs),
                Part::Unknown => differs = true,
                Part::File | Part::Docroot => differs |= is_path && !begins_path,
                Part::Literal(_) | Part::Same | Part::Uri => {}
            }
        }
        differs
    }
}
