//! The directives: what httpd calls while it reads its configuration, and what they set.
//!
//! Owns: the table of directives, `ServerConfig`, its inheritance, and what is made of it when the configuration is
//! complete. Must not: parse values; `docroot` knows what is valid.

use std::ffi::{CStr, c_char, c_void};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apache_sys as sys;
use docroot::{
    Cache, Docroot, Lookup, Moment, Os, Resolution, Rules, Settings, parse_every, parse_readlink, parse_releases,
    parse_switch,
};

use crate::config::rewrite;
use crate::httpd::panic::guard;
use crate::httpd::{Command, Commands, Level, OwnPool, Pool, Server, Text, log};

/// What a server or virtual host has of this module. There may be thousands, so it is small.
#[derive(Default)]
pub struct ServerConfig<'s> {
    /// What directives set, while the configuration is being read. Gone when requests come.
    settings: Option<Box<Settings>>,
    site: Option<Site<'s>>,
    /// The same for all servers.
    shared: Option<Arc<Shared<'s>>>,
}

/// What all servers share.
pub struct Shared<'s> {
    /// What this process knows of docroots.
    pub cache: Cache,
    /// The sections that have rules of mod_rewrite.
    pub rules: rewrite::Rules<'s>,
    /// Where the lists of sections live of resolutions that the process keeps. One pool for all: the smallest pool has room
    /// for several lists.
    pub lists: Mutex<Option<OwnPool>>,
}

impl<'s> ServerConfig<'s> {
    /// What directives set.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_deref()
    }

    /// What requests need; nothing where docroots are not resolved.
    #[inline]
    pub fn site(&self) -> Option<&Site<'s>> {
        self.site.as_ref()
    }

    /// What all servers share, once the configuration is complete.
    pub fn shared(&self) -> Option<&Shared<'s>> {
        self.shared.as_deref()
    }

    /// A look at a docroot that only a request knows; nothing where docroots are not resolved, and of what is no absolute
    /// path.
    pub fn compute(&self, docroot: &CStr, now: Moment) -> Option<(Arc<Docroot>, Lookup)> {
        let (shared, site) = self.shared().zip(self.site())?;
        shared.cache.computed(docroot, site.rules, &Os, now, site.every()).ok()
    }
}

/// What requests of one server need, all of it known before the first.
pub struct Site<'s> {
    docroot: Arc<Docroot>,
    /// httpd's own string of the docroot, which the address tells from any other without comparing.
    configured: Text<'s>,
    /// For how long a look counts, in nanoseconds.
    window: u64,
    rules: usize,
}

impl<'s> Site<'s> {
    /// The server's docroot and what this process knows of it.
    #[inline]
    pub fn docroot(&self) -> &Docroot {
        &self.docroot
    }

    /// The docroot as configured, where httpd keeps it.
    #[inline]
    pub fn configured(&self) -> Text<'s> {
        self.configured
    }

    /// For how long a look counts.
    #[inline]
    pub fn every(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// Where the server's docroot leads, if this process has looked recently enough.
    #[inline]
    pub fn remembered(&self, now: Moment) -> Option<&Resolution> {
        self.docroot.remembered(now, self.window)
    }

    /// Where the server's docroot leads, if each request has to see that for itself, and one system call is enough.
    #[inline]
    pub fn checked(&self, now: Moment) -> Option<&Resolution> {
        self.docroot.checked(&Os, now, self.window)
    }
}

/// The directives. They are registered for every context so that a misplaced one gets our message, which says where
/// it belongs; httpd's own says only that it is "not allowed here".
pub static COMMANDS: Commands<5> = Commands::new([
    Commands::take1(
        c"RealpathEvery",
        realpath_every,
        c"for how long a process goes on with a docroot that it has resolved: seconds, or a time such as 500ms; 0 (the default) looks at every request. Valid in server config and virtual host",
    ),
    Commands::take1(
        c"UseReadlink",
        use_readlink,
        c"On replaces the first symlink of a docroot by its own text, once; an absolute path does so and says where to start looking; Off (the default) resolves all symlinks. Valid in server config and virtual host",
    ),
    Commands::take1(
        c"Realdoc",
        realdoc,
        c"On (the default) resolves docroots, Off leaves them alone. Valid in server config and virtual host",
    ),
    Commands::raw(
        c"RealdocReleases",
        realdoc_releases,
        c"where releases live: absolute paths, with the wildcards of <Directory>. Links may lead nowhere else. Valid in server config and virtual host",
    ),
    Commands::END,
]);

unsafe extern "C" fn realpath_every(
    cmd: *mut sys::cmd_parms,
    _section: *mut c_void,
    value: *const c_char,
) -> *const c_char {
    // SAFETY: httpd calls this for its directive, which takes one argument.
    unsafe {
        set(cmd, value, |settings, value| {
            settings.every = Some(parse_every(value).map_err(|invalid| invalid.to_string())?);
            Ok(())
        })
    }
}

unsafe extern "C" fn use_readlink(
    cmd: *mut sys::cmd_parms,
    _section: *mut c_void,
    value: *const c_char,
) -> *const c_char {
    // SAFETY: httpd calls this for its directive, which takes one argument.
    unsafe {
        set(cmd, value, |settings, value| {
            settings.mode = Some(parse_readlink(value).map_err(|invalid| invalid.to_string())?);
            Ok(())
        })
    }
}

unsafe extern "C" fn realdoc(cmd: *mut sys::cmd_parms, _section: *mut c_void, value: *const c_char) -> *const c_char {
    // SAFETY: httpd calls this for its directive, which takes one argument.
    unsafe {
        set(cmd, value, |settings, value| {
            settings.enabled = Some(parse_switch(value).map_err(|invalid| invalid.to_string())?);
            Ok(())
        })
    }
}

unsafe extern "C" fn realdoc_releases(
    cmd: *mut sys::cmd_parms,
    _section: *mut c_void,
    values: *const c_char,
) -> *const c_char {
    // SAFETY: httpd calls this for its directive, with all that follows its name.
    unsafe {
        let words = words(cmd, values);
        set(cmd, values, move |settings, _| {
            let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
            settings.releases = Some(parse_releases(&words).map_err(|invalid| invalid.to_string())?);
            Ok(())
        })
    }
}

/// The words of a directive that takes any number, an empty one (`""`) too; httpd's own way with such a directive ends
/// at the first empty word and says nothing.
///
/// # Safety
/// `cmd` and `values` are what httpd hands to the function of a directive that takes its arguments raw.
unsafe fn words(cmd: *mut sys::cmd_parms, values: *const c_char) -> Vec<Vec<u8>> {
    guard(Vec::new(), || {
        // SAFETY: the caller passes on what httpd guarantees.
        unsafe { Command::new(cmd).words(values) }
    })
}

/// Lets `change` set one value, if the directive is in a place where it may be.
///
/// # Safety
/// `cmd` and `value` are what httpd hands to the function of a directive that takes one argument.
unsafe fn set(
    cmd: *mut sys::cmd_parms,
    value: *const c_char,
    change: impl FnOnce(&mut Settings, &[u8]) -> Result<(), String>,
) -> *const c_char {
    guard(c"mod_realdoc failed to read this directive".as_ptr(), || {
        // SAFETY: the caller passes on what httpd guarantees to directive functions: both live for the length of the
        // call, and `value` is a C string.
        let (mut command, value) = unsafe { (Command::new(cmd), CStr::from_ptr(value)) };
        let result = if command.is_in_section() {
            Err(format!(
                "{name}: '{}' is not valid here; {name} may stand in server config and virtual host, not in a \
                 <Directory>, <Location>, <Files> or <If> section and not in .htaccess",
                value.to_string_lossy(),
                name = command.name().to_string_lossy(),
            ))
        } else {
            change(command.server_config().settings.get_or_insert_default(), value.to_bytes())
        };
        match result {
            Ok(()) => std::ptr::null(),
            Err(message) => command.pool().copy(message.as_bytes()).as_ptr(),
        }
    })
}

/// A server has its first directive of ours.
///
/// # Safety
/// httpd's `create_server_config`: `pool` lives as long as the configuration.
pub unsafe extern "C" fn create_server_config(
    pool: *mut sys::apr_pool_t,
    _server: *mut sys::server_rec,
) -> *mut c_void {
    guard(std::ptr::null_mut(), || {
        // SAFETY: httpd guarantees the pool.
        let pool = unsafe { Pool::new(pool) };
        pool.own(ServerConfig::default()).cast()
    })
}

/// A virtual host's settings are laid over the main server's.
///
/// # Safety
/// httpd's `merge_server_config`: `pool` lives as long as the configuration, and both others are what
/// `create_server_config` or this function returned.
pub unsafe extern "C" fn merge_server_config(
    pool: *mut sys::apr_pool_t,
    server: *mut c_void,
    host: *mut c_void,
) -> *mut c_void {
    guard(std::ptr::null_mut(), || {
        // SAFETY: httpd guarantees the pool, and that both point to what we made.
        let (pool, server, host) =
            unsafe { (Pool::new(pool), &*server.cast::<ServerConfig<'_>>(), &*host.cast::<ServerConfig<'_>>()) };
        let settings = match (&host.settings, &server.settings) {
            (Some(host), Some(server)) => Some(Box::new(host.over(server))),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        };
        pool.own(ServerConfig { settings, ..ServerConfig::default() }).cast()
    })
}

/// The rules of one server after another. Most have the same settings, which are the main server's.
#[derive(Default)]
pub struct RulesOf {
    nothing: Settings,
    last: Option<(*const Settings, Rules)>,
}

impl RulesOf {
    /// How the docroot of a server is resolved; nothing where it is left alone.
    pub fn server(&mut self, server: Server<'_>) -> Option<&Rules> {
        let settings = server.settings().unwrap_or(&self.nothing);
        let at = std::ptr::from_ref(settings);
        if self.last.as_ref().is_none_or(|(last, _)| *last != at) {
            self.last = Some((at, settings.rules()));
        }
        settings.enabled().then_some(())?;
        self.last.as_ref().map(|(_, rules)| rules)
    }
}

/// Gives each server of a complete configuration what its requests will need.
///
/// A virtual host without any directive of ours shares the main server's `ServerConfig`, but not its docroot, so each
/// gets one of its own.
pub fn settle<'s>(pool: Pool<'s>, main: Server<'s>, written: rewrite::Rules<'s>) {
    let mut cache = Cache::default();
    let mut rules = RulesOf::default();
    let entries: Vec<_> = main.with_virtual_hosts().map(|server| entry(server, &mut rules, &mut cache)).collect();
    cache.settle();
    let shared = Arc::new(Shared { cache, rules: written, lists: Mutex::default() });
    let configs = entries.into_iter().map(|entry| ServerConfig {
        settings: None,
        site: entry.map(|Entry { docroot, configured, window, rules }| Site { docroot, configured, window, rules }),
        shared: Some(Arc::clone(&shared)),
    });
    for (server, config) in main.with_virtual_hosts().zip(pool.own_all(configs.collect())) {
        server.set_config(config);
    }
}

/// A server's entry in the cache.
struct Entry<'s> {
    docroot: Arc<Docroot>,
    configured: Text<'s>,
    window: u64,
    rules: usize,
}

fn entry<'s>(server: Server<'s>, rules: &mut RulesOf, cache: &mut Cache) -> Option<Entry<'s>> {
    let configured = server.configured_document_root()?;
    let rules = cache.rules(rules.server(server)?);
    let every = server.settings().map_or(Duration::ZERO, Settings::every);
    let window = every.as_nanos().try_into().unwrap_or(u64::MAX);
    match cache.configured(configured, rules) {
        Ok(docroot) => Some(Entry { docroot, configured: configured.into(), window, rules }),
        Err(error) => {
            log!(server, Level::Warning, "{}: left as configured: {error}", configured.to_string_lossy());
            None
        }
    }
}
