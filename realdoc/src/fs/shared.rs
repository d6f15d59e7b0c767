//! Shared paths: what all releases have in common (uploads, secrets) and no release owns.
//!
//! Owns: the links from a new release into the shared directory. Must not: touch a release that has its name, or
//! anything in the shared directory that exists.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::config::{Config, SharedPath};
use crate::error::{Context, Error, Result};
use crate::fs::{access, tree};

/// Replaces each shared path in `release` by a link to it in the shared directory.
///
/// # Errors
/// [`Error::NotFound`] if a shared file does not exist, [`Error::Refused`] if the repository has a link on the way to
/// the path: what is written through it would land outside the release.
pub fn link(config: &Config, release: &Path) -> Result<()> {
    let shared = config.shared_directory();
    for path in &config.shared.paths {
        prepare(config, path, &shared)?;
        let at = release.join(path.as_path());
        make_parents(release, path.as_path())?;
        tree::remove(&at)?;
        let real = shared.join(path.as_path());
        symlink(&real, &at).context("create the link", &at)?;
    }
    Ok(())
}

fn prepare(config: &Config, path: &SharedPath, shared: &Path) -> Result<()> {
    let real = shared.join(path.as_path());
    match fs::metadata(&real) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_directory() => access::make_shared(config, &real),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::NotFound(format!(
            "the shared file {} does not exist; create it, or write \"{}/\" if it is to be a directory",
            real.display(),
            path.as_path().display()
        ))),
        Err(error) => Err(error).context("look at", &real),
    }
}

/// The directories that lead to `path` in the release, made where missing, never through a link.
fn make_parents(release: &Path, path: &Path) -> Result<()> {
    let mut at = release.to_owned();
    for component in path.parent().unwrap_or(Path::new("")).components() {
        at.push(component);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                let inside = at.strip_prefix(release).unwrap_or(&at);
                return Err(Error::Refused(format!(
                    "the shared path {} leads through {}, which is no directory in this release",
                    path.display(),
                    inside.display()
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir(&at).context("create", &at)?,
            Err(error) => return Err(error).context("look at", &at),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(root: &Path, paths: &str) -> Config {
        let root = root.display();
        toml::from_str(&format!(
            "[git]\nsource = \"x\"\n[releases]\ndirectory = \"{root}/releases\"\n[shared]\npaths = {paths}"
        ))
        .unwrap()
    }

    #[test]
    fn shared_paths_become_links() {
        let dir = tempfile::tempdir().unwrap();
        let release = dir.path().join("release");
        fs::create_dir_all(release.join("public/uploads")).unwrap();
        fs::write(release.join("public/uploads/.gitkeep"), "").unwrap();
        fs::create_dir(dir.path().join("shared")).unwrap();
        fs::write(dir.path().join("shared/.env"), "secret").unwrap();
        let config = config(dir.path(), r#"[".env", "public/uploads/", "var/log/"]"#);
        link(&config, &release).unwrap();
        assert_eq!(fs::read_to_string(release.join(".env")).unwrap(), "secret");
        fs::write(release.join("public/uploads/cat.jpg"), "cat").unwrap();
        assert!(dir.path().join("shared/public/uploads/cat.jpg").exists());
        assert!(release.join("var/log").is_symlink() && dir.path().join("shared/var/log").is_dir());
    }

    #[test]
    fn a_missing_shared_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let release = dir.path().join("release");
        fs::create_dir(&release).unwrap();
        let error = link(&config(dir.path(), r#"[".env"]"#), &release).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("shared/.env does not exist"), "{error}");
    }

    #[test]
    fn a_link_of_the_repository_leads_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let (release, outside) = (dir.path().join("release"), dir.path().join("outside"));
        fs::create_dir(&release).unwrap();
        fs::create_dir_all(outside.join("uploads")).unwrap();
        symlink(&outside, release.join("public")).unwrap();
        let error = link(&config(dir.path(), r#"["public/uploads/"]"#), &release).unwrap_err();
        assert!(error.to_string().contains("leads through public"), "{error}");
        assert!(outside.join("uploads").is_dir() && !outside.join("uploads").is_symlink());
    }
}
