//! The three multi-processing modules and how a test runs on each of them.
//!
//! Owns: which MPMs exist and their process settings. Must not: know the rest of the configuration.

/// An httpd multi-processing module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mpm {
    /// One request at a time in each child.
    Prefork,
    /// Several threads in each child, one connection a thread.
    Worker,
    /// Several threads in each child, connections move between them.
    Event,
}

/// How many children, and threads in each, an httpd has.
#[derive(Clone, Copy, Debug)]
pub struct Children {
    /// Children at the start.
    pub start: usize,
    /// Threads in each child; means nothing to prefork.
    pub threads: usize,
}

impl Mpm {
    /// The module's name, as in `mod_mpm_<name>.so`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefork => "prefork",
            Self::Worker => "worker",
            Self::Event => "event",
        }
    }

    /// Whether a child serves several requests at a time.
    #[must_use]
    pub fn is_threaded(self) -> bool {
        self != Self::Prefork
    }

    /// The module that runs CGI scripts under this MPM.
    #[must_use]
    pub fn cgi_module(self) -> &'static str {
        if self.is_threaded() { "cgid" } else { "cgi" }
    }

    /// The usual number of children: one for each connection of a load and spare, or two of which either has threads
    /// for all of them and spare. (With none to spare, event closes kept-alive connections while a client uses them.)
    #[must_use]
    pub fn usual_children(self) -> Children {
        match self {
            Self::Prefork => Children { start: 10, threads: 1 },
            Self::Worker | Self::Event => Children { start: 2, threads: 16 },
        }
    }

    /// One child where one can serve all connections, so that each run loads the same process.
    #[must_use]
    pub fn fewest_children(self) -> usize {
        if self.is_threaded() { 1 } else { self.usual_children().start }
    }

    /// The configuration lines for this MPM: exactly `children.start` children while nothing restarts.
    #[must_use]
    pub fn directives(self, children: Children) -> String {
        let Children { start, threads } = children;
        match self {
            Self::Prefork => format!(
                "StartServers {start}\nMinSpareServers 1\nMaxSpareServers {start}\nMaxRequestWorkers {start}\n\
                 ServerLimit 32\n"
            ),
            // The server limit leaves room for the next generation during a graceful restart.
            Self::Worker | Self::Event => format!(
                "ServerLimit 16\nThreadLimit 64\nStartServers {start}\nThreadsPerChild {threads}\nMinSpareThreads 1\n\
                 MaxSpareThreads {total}\nMaxRequestWorkers {total}\n",
                total = start * threads
            ),
        }
    }
}

/// Runs one test body, a `fn(Mpm)`, on every MPM: `on_each_mpm!(ssi, body)` gives the tests `ssi::prefork`,
/// `ssi::worker` and `ssi::event`; `on_each_mpm!(ssi, body, worker, event)` only those named.
#[macro_export]
macro_rules! on_each_mpm {
    ($name:ident, $body:path) => {
        $crate::on_each_mpm!($name, $body, prefork, worker, event);
    };
    ($name:ident, $body:path, $($mpm:ident),+) => {
        mod $name {
            use super::*;
            $(
                #[test]
                fn $mpm() {
                    $body($crate::on_each_mpm!(@mpm $mpm));
                }
            )+
        }
    };
    (@mpm prefork) => { $crate::Mpm::Prefork };
    (@mpm worker) => { $crate::Mpm::Worker };
    (@mpm event) => { $crate::Mpm::Event };
}
