//! Reading an httpd's error log: what every test refuses to see there.
//!
//! Owns: which lines are a crash and which are undeclared errors. Must not: start or stop servers.

/// Words of a crashed child. `panicked` is among them: a panic must be declared like an error.
const CRASH_WORDS: [&str; 5] = ["exit signal", "AH00051", "AH00052", "segfault", "panicked"];

const ERROR_LEVELS: [&str; 4] = ["error", "crit", "alert", "emerg"];

/// Errors that are httpd's own accident when it stops: event closes its poll set while a worker still hands a
/// kept-alive connection back to it.
const OF_STOPPING: [&str; 1] = ["AH03093: process_socket: apr_pollset_add failure for keep alive"];

/// The lines that fail a test: crashes, and errors that contain none of the `expected` texts.
#[must_use]
pub fn undeclared<'log>(log: &'log str, expected: &[String]) -> Vec<&'log str> {
    log.lines()
        .filter(|line| is_crash(line) || level(line).is_some_and(|level| ERROR_LEVELS.contains(&level)))
        .filter(|line| !OF_STOPPING.iter().any(|text| line.contains(text)))
        .filter(|line| !expected.iter().any(|text| line.contains(text.as_str())))
        .collect()
}

fn is_crash(line: &str) -> bool {
    CRASH_WORDS.iter().any(|word| line.contains(word))
}

/// The level in `[date] [module:level] ...`.
#[must_use]
pub fn level(line: &str) -> Option<&str> {
    let (_, level) = tag(line)?.split_once(':')?;
    Some(level)
}

/// `module:level` of a line.
fn tag(line: &str) -> Option<&str> {
    let (_, rest) = line.strip_prefix('[')?.split_once("] [")?;
    Some(rest.split_once(']')?.0)
}

/// The lines of one module at one level, `realdoc:error` for one.
#[must_use]
pub fn lines_of<'log>(log: &'log str, module_and_level: &str) -> Vec<&'log str> {
    log.lines().filter(|line| tag(line) == Some(module_and_level)).collect()
}

/// The process id that wrote a line.
#[must_use]
pub fn pid(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("[pid ")?;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "[Sat Nov 21 20:50:00.123456 2026] [core:error] [pid 12:tid 34] AH00127: no page";

    #[test]
    fn an_error_must_be_declared() {
        assert_eq!(undeclared(LINE, &[]), [LINE]);
        assert!(undeclared(LINE, &["AH00127".to_owned()]).is_empty());
    }

    #[test]
    fn a_crash_is_one_at_any_level() {
        let crash = "[x] [core:notice] [pid 1] AH00052: child pid 2 exit signal Segmentation fault (11)";
        assert_eq!(undeclared(crash, &[]), [crash]);
        assert!(undeclared("[x] [mpm_event:notice] [pid 1] AH00489: configured", &[]).is_empty());
    }

    #[test]
    fn lines_are_found_by_module_and_level() {
        assert_eq!(lines_of(LINE, "core:error"), [LINE]);
        assert_eq!(pid(LINE), Some(12));
    }
}
