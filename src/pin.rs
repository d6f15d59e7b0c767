//! What a request tree holds on to.
//!
//! Owns: when a docroot is pinned, who inherits the pin, and what the log says of it. Must not: be `unsafe`, or know
//! how a docroot is resolved.

use std::ffi::CStr;
use std::sync::Arc;

use docroot::{Docroot, News, Os, Resolution};

use crate::httpd::{Level, Request, Server, log};

/// What a request, its subrequests and its internal redirects share: one answer to where their docroot leads.
///
/// The answer "as configured", given when resolving fails, is kept as well: a tree never gets two answers.
pub struct Tree {
    resolution: Option<Arc<Resolution>>,
    #[cfg(feature = "fault-injection")]
    pub panic_at_end: bool,
}

impl Tree {
    /// The docroot that the requests of the tree get, if it is another one than the configured.
    fn docroot(&self) -> Option<&CStr> {
        // Without a link on the way, what is configured is what is real.
        self.resolution.as_ref().filter(|resolution| !resolution.links().is_empty()).map(|it| it.docroot())
    }
}

#[cfg(feature = "fault-injection")]
impl Drop for Tree {
    fn drop(&mut self) {
        if self.panic_at_end {
            panic!("fault injected into cleanup");
        }
    }
}

/// Pins the docroot of a request whose header is complete. A request that has inherited a pin keeps it: httpd runs
/// `post_read_request` again for each internal redirect.
pub fn begin(request: Request<'_>) {
    if request.tree().is_some() {
        return;
    }
    let server = request.server();
    let Some(site) = server.site() else {
        return;
    };
    if !request.has_document_root(site.configured()) {
        return;
    }
    // The pin belongs to the whole tree, so it must live as long as the request at its root.
    let root = request.root();
    let tree = root.tree().unwrap_or_else(|| {
        let look = site.docroot().look(&Os, Os::now(), site.every());
        if let Some(news) = look.news {
            report(server, site.docroot(), &news);
        }
        root.plant(Tree {
            resolution: look.resolution,
            #[cfg(feature = "fault-injection")]
            panic_at_end: crate::fault::is_asked(request, "cleanup"),
        })
    });
    join(request, tree);
}

/// Gives a new subrequest or internal redirect the pin of the request that it came from, if that has one.
pub fn inherit(request: Request<'_>) {
    if let Some(tree) = request.parent().and_then(Request::tree) {
        join(request, tree);
    }
}

fn join<'r>(request: Request<'r>, tree: &'r Tree) {
    request.set_tree(tree);
    if let Some(docroot) = tree.docroot() {
        request.set_document_root(docroot);
    }
}

#[cold]
fn report(server: Server<'_>, docroot: &Docroot, news: &News) {
    let path = docroot.path().to_string_lossy();
    match news {
        News::Resolved { now, before, recovered } => {
            let target = now.docroot().to_string_lossy();
            if *recovered {
                log!(server, Level::Notice, "{path}: resolves again, to {target}");
            }
            if let Some(before) = before {
                log!(server, Level::Info, "{path}: {} -> {target}", before.docroot().to_string_lossy());
            }
            log!(server, Level::Debug, "{path}: resolved to {target}");
        }
        News::Failed { failure, serving, report } => {
            let level = if *report { Level::Error } else { Level::Debug };
            match serving {
                Some(last) => log!(
                    server,
                    level,
                    "{path}: cannot be resolved ({failure}); requests go on with {}",
                    last.docroot().to_string_lossy()
                ),
                None => log!(server, level, "{path}: cannot be resolved ({failure}); left as configured"),
            }
        }
    }
}
