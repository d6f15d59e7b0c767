//! What a server keeps of the directives.
//!
//! Owns: what it has while the configuration is read, how a virtual host inherits that, and what is made of it for requests
//! when the configuration is complete. Must not: know how directives are read.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docroot::assets::manifests::Manifests;
use docroot::assets::prefixes::Prefixes;
use docroot::{Cache, Docroot, Lookup, Moment, Os, Releases, Resolution, RetainedId, Rules, Settings};

use crate::config::in_use::{self, Counted};
use crate::config::rewrite;
use crate::httpd::{self, Configuring, Level, OwnPool, Server, Text};
use crate::module::{Realdoc, log};

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
    /// The manifests of retained releases.
    pub manifests: Manifests,
    /// The sections that have rules of mod_rewrite.
    pub rules: rewrite::Rules<'s>,
    /// Where lists of sections live.
    pub lists: Mutex<Option<OwnPool>>,
    /// Where requests are counted.
    pub in_use: Option<Counted>,
}

// SAFETY: this is the only such type of the module. All that it borrows is behind shared references, so that it is
// covariant, and no drop of what it has reads anything borrowed.
unsafe impl<'s> httpd::ServerConfig<'s> for ServerConfig<'s> {
    type Module = Realdoc;

    fn merged(&self, host: &Self) -> Self {
        let settings = match (&host.settings, &self.settings) {
            (Some(host), Some(server)) => Some(Box::new(host.over(server))),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        };
        Self { settings, ..Self::default() }
    }
}

impl<'s> ServerConfig<'s> {
    /// What is kept of a server.
    #[inline]
    pub fn of(server: Server<'s>) -> Option<&'s Self> {
        server.config()
    }

    /// What directives set, to be set.
    pub fn settings_mut(&mut self) -> &mut Settings {
        self.settings.get_or_insert_default()
    }

    /// What directives set.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_deref()
    }

    /// What requests need. None if the server resolves no docroots.
    #[inline]
    pub fn site(&self) -> Option<&Site<'s>> {
        self.site.as_ref()
    }

    /// What all servers share, once the configuration is complete.
    pub fn shared(&self) -> Option<&Shared<'s>> {
        self.shared.as_deref()
    }

    /// Looks up a docroot that was computed for a request. None if the server resolves no docroots, or if the path is not
    /// absolute.
    pub fn compute(&self, docroot: &CStr, now: Moment, every: Duration) -> Option<(Arc<Docroot>, Lookup)> {
        let (shared, site) = self.shared().zip(self.site())?;
        shared.cache.computed(docroot, site.rules, &Os, now, every).ok()
    }
}

/// What requests of one server need, all of it known before the first.
pub struct Site<'s> {
    docroot: Arc<Docroot>,
    /// httpd's own string of the docroot. Requests compare its address, not its text.
    configured: Text<'s>,
    /// The time for which a lookup counts, in nanoseconds: `RealpathEvery`.
    window: u64,
    /// The retained resolution that was looked up last, by its address, which saves a request the search by its number.
    presumed: AtomicPtr<Resolution>,
    rules: usize,
    /// None if `RealdocAssets` is off. Boxed, because few sites have it.
    assets: Option<Box<Assets>>,
}

/// Which requests may get a file of a retained release, and where that may be.
pub struct Assets {
    /// The prefixes of their URLs.
    pub prefixes: Prefixes,
    /// Where releases live.
    pub releases: Releases,
}

impl<'s> Shared<'s> {
    /// What the servers of a configuration share, once the configuration is complete.
    pub fn of(server: Server<'s>) -> Option<&'s Self> {
        ServerConfig::of(server).and_then(ServerConfig::shared)
    }
}

impl<'s> Site<'s> {
    /// What requests to a server need. None if the server resolves no docroots.
    #[inline]
    pub fn of(server: Server<'s>) -> Option<&'s Self> {
        ServerConfig::of(server).and_then(ServerConfig::site)
    }

    /// The server's docroot and what this process knows of it.
    #[inline]
    pub fn docroot(&self) -> &Arc<Docroot> {
        &self.docroot
    }

    /// The docroot as configured, where httpd keeps it.
    #[inline]
    pub fn configured(&self) -> Text<'s> {
        self.configured
    }

    /// What `RealdocAssets` says. None if it is off.
    #[inline]
    pub fn assets(&self) -> Option<&Assets> {
        self.assets.as_deref()
    }

    /// The time for which a lookup counts: `RealpathEvery`.
    #[inline]
    pub fn every(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// Where the server's docroot led when a request last looked it up. A request may count itself there; then
    /// [`Site::confirms`] must say that it still leads there.
    #[inline]
    pub fn presumed(&self) -> Option<&Resolution> {
        // SAFETY: null, or what `presume` put there: a resolution that the docroot retains as long as it lives. That is at
        // least as long as this site, which owns a share of it.
        unsafe { self.presumed.load(Acquire).as_ref() }
    }

    /// Lets requests presume that the server's docroot leads to a retained resolution. Without one they presume nothing: else
    /// each would count for the release before, for an instant that a drain of that may see.
    pub fn presume(&self, id: Option<RetainedId>) {
        let retained = id.and_then(|id| self.docroot.retained(id)).map_or(ptr::null(), ptr::from_ref);
        self.presumed.store(retained.cast_mut(), Release);
    }

    /// Whether the server's docroot leads to a presumed resolution. If not, or not surely, that needs a lookup.
    #[inline(always)]
    pub fn confirms(&self, resolution: &Resolution) -> bool {
        // The window is read after the clock, so that it need not be saved meanwhile.
        let now = Os::now();
        self.docroot.confirms(resolution, &Os, now, self.window)
    }

    /// Where the server's docroot leads, if the last lookup of this process still counts.
    #[inline]
    pub fn remembered(&self, now: Moment) -> Option<&Resolution> {
        self.docroot.remembered(now, self.window)
    }

    /// Where the server's docroot leads, if `RealpathEvery` is 0 and the texts of the links show it.
    #[inline]
    pub fn checked(&self, now: Moment) -> Option<&Resolution> {
        self.docroot.checked(&Os, now, self.window)
    }
}

/// The settings of a server, with those that it inherits. None if no directive of ours concerns it, and once the
/// configuration is complete.
pub fn settings(server: Server<'_>) -> Option<&Settings> {
    ServerConfig::of(server).and_then(ServerConfig::settings)
}

/// The rules of one server after another. Most have the same settings, which are the main server's.
#[derive(Default)]
pub struct RulesOf {
    nothing: Settings,
    last: Option<(*const Settings, Rules)>,
}

impl RulesOf {
    /// How the docroot of a server is resolved. None with `Realdoc Off`.
    pub fn server(&mut self, server: Server<'_>) -> Option<&Rules> {
        let settings = settings(server).unwrap_or(&self.nothing);
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
pub fn settle<'s>(configuring: &Configuring<'s>, main: Server<'s>, written: rewrite::Rules<'s>) {
    let in_use = settings(main).and_then(|settings| settings.in_use.clone()).unwrap_or_default();
    let mut cache = Cache::default();
    let mut rules = RulesOf::default();
    let sites: Vec<_> = main.with_virtual_hosts().map(|server| site(server, &mut rules, &mut cache)).collect();
    cache.settle();
    let window = sites.iter().flatten().map(|site| site.window).max();
    let in_use = in_use::open(configuring.pool(), main, &in_use, window.map(Duration::from_nanos));
    let manifests = Manifests::default();
    let shared = Arc::new(Shared { cache, manifests, rules: written, lists: Mutex::default(), in_use });
    let configs =
        sites.into_iter().map(|site| ServerConfig { settings: None, site, shared: Some(Arc::clone(&shared)) });
    httpd::set_server_configs(configuring, main.with_virtual_hosts(), configs.collect());
}

/// What requests of a server will need, with an entry in the cache.
fn site<'s>(server: Server<'s>, rules: &mut RulesOf, cache: &mut Cache) -> Option<Site<'s>> {
    let configured = server.configured_document_root()?;
    let rules = rules.server(server)?;
    let prefixes = settings(server).and_then(Settings::assets).cloned();
    let assets = prefixes.zip(rules.releases.clone());
    let assets = assets.map(|(prefixes, releases)| Box::new(Assets { prefixes, releases }));
    let rules = cache.rules(rules);
    let every = settings(server).map_or(Duration::ZERO, Settings::every);
    let window = every.as_nanos().try_into().unwrap_or(u64::MAX);
    match cache.configured(configured, rules) {
        Ok(docroot) => {
            Some(Site { docroot, configured: configured.into(), window, presumed: AtomicPtr::default(), rules, assets })
        }
        Err(error) => {
            log!(server, Level::Warning, "{}: left as configured: {error}", configured.to_string_lossy());
            None
        }
    }
}
