//! Random opening lines of sections: a path, a wildcard or a regular expression that says a place.

use super::host::{Form, Host, Position};
use super::rng::Rng;
use super::tree::{DIRECTORIES, Tree, join};
use super::wildcard;

pub fn position(place: &str, tree: &Tree) -> Position {
    let docroot = tree.docroot();
    if place.len() < tree.layout.link.len() && tree.layout.link.starts_with(place) {
        Position::Above
    } else if docroot.starts_with(place) {
        Position::At
    } else {
        Position::Below
    }
}

/// A path below the tree's directory as a section says it.
pub fn below_base(place: &str) -> String {
    if place.is_empty() { "{B}".to_owned() } else { format!("{{B}}/{place}") }
}

/// A way to say `place`, unless it also says something of real paths alone.
pub fn random_opening(place: &str, tree: &Tree, host: &Host, rng: &mut Rng) -> Option<(Form, String)> {
    let path = below_base(place);
    match rng.below(100) {
        0..3 => Some((Form::Plain, "Directory \"${ROOT}\"".to_owned())),
        3..5 => Some((Form::Wildcard, "Directory \"${ROOT}/*\"".to_owned())),
        5..7 => Some((Form::Plain, format!("Directory \"{}//\"", path.replace('/', "//")))),
        7..45 => Some((Form::Plain, format!("Directory \"{path}{}\"", if rng.percent(20) { "/" } else { "" }))),
        45..75 => {
            if place.is_empty() {
                return None;
            }
            let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
            // Some in the middle of the names, some for the whole of one or two.
            for _ in 0..=rng.below(2) {
                let index = 1 + rng.below(parts.len() - 1);
                parts[index] = random_wildcard(&parts[index], rng);
            }
            let pattern = parts.join("/");
            is_of_configured_paths(&pattern, tree, host).then(|| (Form::Wildcard, format!("Directory \"{pattern}\"")))
        }
        _ => {
            let regex = random_regex(place, tree, host, rng)?;
            Some((
                Form::Regex,
                if rng.percent(50) {
                    format!("DirectoryMatch \"{regex}\"")
                } else {
                    format!("Directory ~ \"{regex}\"")
                },
            ))
        }
    }
}

fn random_wildcard(name: &str, rng: &mut Rng) -> String {
    if name.contains(['{', '*', '?', '[', '\\']) {
        return name.to_owned();
    }
    let (first, rest) = name.split_at(1);
    match rng.below(8) {
        0..3 => "*".to_owned(),
        3 => format!("?{rest}"),
        4 => format!("[{first}]{rest}"),
        5 => format!("{first}*"),
        6 => format!("\\{first}*"),
        _ => format!("[!Q]{rest}"),
    }
}

/// Whether a wildcard section matches no file by its real path that it does not match by its configured one.
fn is_of_configured_paths(pattern: &str, tree: &Tree, host: &Host) -> bool {
    let link = tree.layout.link;
    let mut real = tree.real_docroots();
    if host.is_readlink {
        real.push(join(tree.layout.on_disk, tree.layout.tail));
    }
    let docroot = tree.docroot();
    let pattern = &format!("/{pattern}");
    let is_contained = |real: &str, configured: &str| {
        !wildcard::matches_on_the_way(pattern, &format!("/{}", below_base(real)))
            || wildcard::matches_on_the_way(pattern, &format!("/{}", below_base(configured)))
    };
    real.iter().all(|real| {
        let target = real.strip_suffix(tree.layout.tail).unwrap_or(real).trim_end_matches('/');
        DIRECTORIES.iter().all(|directory| is_contained(&join(real, directory), &join(&docroot, directory)))
            && ["static", "cgi"].iter().all(|directory| is_contained(&join(target, directory), &join(link, directory)))
    })
}

fn random_regex(place: &str, tree: &Tree, host: &Host, rng: &mut Rng) -> Option<String> {
    if place.is_empty() {
        return None;
    }
    let (above, last) = place.rsplit_once('/').unwrap_or(("", place));
    let base = escaped(&below_base(above));
    let end = if rng.percent(60) { "(/|$)" } else { "" };
    Some(match rng.below(9) {
        0 | 1 => format!("^{base}/{}{end}", escaped(last)),
        2 => {
            let pattern = format!("{}/*", below_base(above));
            if !is_of_configured_paths(&pattern, tree, host) {
                return None;
            }
            format!("^{base}/[^/]+(/|$)")
        }
        3 if !above.is_empty() && !tree.layout.is_computed => format!("/{}/{}{end}", escaped(above), escaped(last)),
        4 if position(place, tree) == Position::Below => format!("/{}/", escaped(last)),
        5 => "secret\\.txt$".to_owned(),
        6 => "/\\.git".to_owned(),
        7 if above.contains('/') => {
            let (higher, _) = above.rsplit_once('/').expect("a slash");
            let pattern = format!("{}/*/{last}", below_base(higher));
            if !is_of_configured_paths(&pattern, tree, host) {
                return None;
            }
            format!("^{}/(?<NAME>[^/]+)/{}(/|$)", escaped(&below_base(higher)), escaped(last))
        }
        _ => format!("^{base}/{}(/.*)?$", escaped(last)),
    })
}

fn escaped(text: &str) -> String {
    text.replace('.', "\\.")
}
