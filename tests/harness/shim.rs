//! A library that is preloaded into an httpd, so that its file system hangs or its clocks step back when a test says so,
//! and a module that does what none of httpd's own does.
//!
//! Owns: building them (`shim.c`, `beside.c`), their environment, and the files that a test steers them by. Must not: know
//! what the server does meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::config::Config;
use crate::module::target_directory;
use crate::site::Site;

/// Built once in this process.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("shim", &[]))
}

/// A server that has the handler of `beside.c`.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn beside(config: Config) -> Config {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let file = BUILT.get_or_init(|| {
        let apxs = std::env::var("APXS").unwrap_or_else(|_| "apxs".to_owned());
        let ask = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().expect("running apxs: install apache2-dev");
            String::from_utf8(output.stdout).expect("text").trim().to_owned()
        };
        let apr = ask(&ask(&apxs, &["-q", "APR_CONFIG"]), &["--cppflags", "--includes"]);
        let headers = format!("-I{}", ask(&apxs, &["-q", "INCLUDEDIR"]));
        let flags: Vec<&str> = apr.split_whitespace().chain([&*headers]).collect();
        build("beside", &flags)
    });
    config.library("beside_module", file)
}

/// Under a name of its own, for another test run may have the last one mapped.
fn build(name: &str, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness").join(name).with_extension("c");
    let directory = target_directory().join("shim");
    fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join(name).with_extension("so");
    let partial = directory.join(format!("{name}.so.{}", std::process::id()));
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&partial, &source])
        .args(flags)
        .output()
        .expect("running cc: install gcc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&partial, &file).expect("renaming the library");
    file
}

fn preloaded(config: Config) -> Config {
    config.environment("LD_PRELOAD", &library().display().to_string())
}

/// A file system that hangs at one path.
#[derive(Debug)]
pub struct SlowFileSystem {
    path: PathBuf,
    hangs: PathBuf,
    held: PathBuf,
}

impl SlowFileSystem {
    /// What is at `path`, a link for example, and everything whose path begins alike. It does not hang yet.
    ///
    /// # Panics
    /// If the file system refuses.
    #[must_use]
    pub fn at(site: &Site, path: PathBuf) -> Self {
        let held = site.root().join("held");
        fs::write(&held, "").expect("a file");
        // The children of a server that root started are somebody else.
        fs::set_permissions(&held, fs::Permissions::from_mode(0o666)).expect("permissions");
        Self { path, hangs: site.root().join("hangs"), held }
    }

    /// A server that has it.
    #[must_use]
    pub fn of(&self, config: Config) -> Config {
        preloaded(config)
            .environment("SHIM_SLOW_PATH", &self.path.display().to_string())
            .environment("SHIM_SLOW_WHILE", &self.hangs.display().to_string())
            .environment("SHIM_HELD", &self.held.display().to_string())
    }

    /// Lets it hang, until [`SlowFileSystem::recover`].
    ///
    /// # Panics
    /// If the file system refuses.
    pub fn hang(&self) {
        fs::write(&self.hangs, "").expect("a file");
    }

    /// Ends what hangs.
    ///
    /// # Panics
    /// If nothing does.
    pub fn recover(&self) {
        fs::remove_file(&self.hangs).expect("a file system that hangs");
    }

    /// How many system calls it has held.
    ///
    /// # Panics
    /// If the count is gone.
    #[must_use]
    pub fn held(&self) -> usize {
        fs::read(&self.held).expect("the count").len()
    }
}

impl Drop for SlowFileSystem {
    /// A test that fails meanwhile must not leave its server hanging.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.hangs);
    }
}

/// Clocks that can step back an hour.
#[derive(Debug)]
pub struct Clocks {
    which: &'static str,
    back: PathBuf,
}

impl Clocks {
    /// The wall clock alone, as when somebody sets it.
    #[must_use]
    pub fn wall(site: &Site) -> Self {
        Self { which: "wall", back: site.root().join("back") }
    }

    /// All clocks, the monotonic one as well, which no kernel should do.
    #[must_use]
    pub fn all(site: &Site) -> Self {
        Self { which: "all", back: site.root().join("back") }
    }

    /// A server that has them.
    #[must_use]
    pub fn of(&self, config: Config) -> Config {
        preloaded(config)
            .environment("SHIM_BACK", self.which)
            .environment("SHIM_BACK_WHILE", &self.back.display().to_string())
    }

    /// Steps back an hour.
    ///
    /// # Panics
    /// If the file system refuses.
    pub fn step_back(&self) {
        fs::write(&self.back, "").expect("a file");
    }
}
