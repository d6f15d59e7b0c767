//! The status for people: two tables and what to look after.
//!
//! Owns: their words. Must not: look anything up.

use std::fmt::Write;

use indicatif::HumanBytes;

use super::{OpcacheStatus, Status};
use crate::report::{age, time};

impl Status {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write_instances(&mut text);
        self.write_releases(&mut text);
        let OpcacheStatus { php_files, max_accelerated_files, room, full } = self.opcache;
        let _ = writeln!(
            text,
            "OPcache: {php_files} PHP files are live, room for {room} (max_accelerated_files = {max_accelerated_files})"
        );
        if let Some(why) = &self.requests_unknown {
            let _ = writeln!(text, "requests are unknown: {why}");
        }
        if full {
            let _ = writeln!(text, "warning: they do not fit; raise opcache.max_accelerated_files");
        }
        for problem in &self.problems {
            let _ = writeln!(text, "warning: {problem}");
        }
        if self.reload_owed && !self.interrupted && self.busy.is_none() {
            let _ = writeln!(text, "warning: a reload is owed: `realdoc reload` runs it");
        }
        if let Some(holder) = &self.busy {
            let _ = writeln!(text, "busy: {holder}");
        }
        if self.interrupted {
            let _ = writeln!(
                text,
                "warning: an activation was interrupted; the next command that changes something puts it right"
            );
        }
        text
    }

    fn write_instances(&self, text: &mut String) {
        let mut rows = vec![["INSTANCE", "LEADS TO", "SINCE", "PREVIOUS", ""].map(str::to_owned)];
        for instance in &self.instances {
            let mut remark = instance.problem.clone().unwrap_or_default();
            if instance.drift {
                let recorded = instance.recorded.as_deref().unwrap_or("nothing");
                let comma = if remark.is_empty() { "" } else { ", " };
                let _ = write!(remark, "{comma}drift: {recorded} is recorded");
            }
            rows.push([
                instance.name.clone(),
                instance.target.clone().unwrap_or_else(|| "-".to_owned()),
                instance.since.map_or_else(|| "-".to_owned(), time),
                instance.previous.clone().unwrap_or_else(|| "-".to_owned()),
                remark,
            ]);
        }
        write_table(text, &rows);
        for ignored in &self.ignored {
            let _ = writeln!(text, "no instance: {} {}", ignored.path, ignored.reason);
        }
        text.push('\n');
    }

    fn write_releases(&self, text: &mut String) {
        let mut rows = vec![["RELEASE", "AGE", "SIZE", "PHP FILES", "REQUESTS", "USED BY", ""].map(str::to_owned)];
        for release in &self.releases {
            let remark = match (release.bad, &release.bad_reason) {
                (true, Some(reason)) => format!("bad: {reason}"),
                (true, None) => "bad".to_owned(),
                (false, _) if release.damaged => "its record cannot be read".to_owned(),
                (false, _) if release.commit.is_none() => "not staged by realdoc".to_owned(),
                (false, _) if release.slot => release.reference.clone().unwrap_or_default(),
                (false, _) => String::new(),
            };
            rows.push([
                release.name.clone(),
                age(release.since),
                HumanBytes(release.bytes).to_string(),
                release.php_files.to_string(),
                release.requests.map_or_else(|| "?".to_owned(), |requests| requests.to_string()),
                if release.used_by.is_empty() { "-".to_owned() } else { release.used_by_text.clone() },
                remark,
            ]);
        }
        write_table(text, &rows);
        text.push('\n');
    }
}

fn write_table<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
}
