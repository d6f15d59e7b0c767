//! Files that a test puts somewhere.
//!
//! Owns: writing them, with the directories above. Must not: know what they are for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file in a directory")).expect("directories");
    fs::write(path, text).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
}

/// Writes an executable file.
pub(crate) fn write_script(path: &Path, text: &str) {
    write(path, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}
