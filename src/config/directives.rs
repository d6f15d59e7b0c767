//! The directives.
//!
//! Owns: one row for each. Must not: parse values; `docroot` knows what is valid.

use docroot::assets::prefixes::Prefixes;
use docroot::{parse_every, parse_in_use, parse_readlink, parse_releases, parse_switch};

use crate::config::server::ServerConfig;
use crate::httpd::{Arguments, Commands, Context, Directive};

/// The table of directives that httpd reads.
pub static COMMANDS: Commands<6> = Commands::new(&DIRECTIVES);

/// A row: the name, how many arguments there may be, where it may stand, which setting they become by which function, and the usage.
macro_rules! directive {
    ($name:literal, $arguments:ident, $context:ident, $setting:ident = |$words:ident| $parse:expr, $usage:literal) => {
        Directive {
            name: $name,
            arguments: Arguments::$arguments,
            context: Context::$context,
            set: |config: &mut ServerConfig<'static>, $words: &[&[u8]]| {
                config.settings_mut().$setting = Some($parse.map_err(|invalid| invalid.to_string())?);
                Ok(())
            },
            usage: $usage,
        }
    };
}

static DIRECTIVES: [Directive<ServerConfig<'static>>; 6] = [
    directive!(c"RealpathEvery", One, Host, every = |words| parse_every(words[0]),
        c"for how long a process goes on with a docroot that it has resolved: seconds, or a time such as 500ms; 0 (the default) looks at every request. Valid in server config and virtual host"),
    directive!(c"UseReadlink", One, Host, mode = |words| parse_readlink(words[0]),
        c"On replaces the first symlink of a docroot by its own text, once; an absolute path does so and says where to start looking; Off (the default) resolves all symlinks. Valid in server config and virtual host"),
    directive!(c"Realdoc", One, Host, enabled = |words| parse_switch(words[0]),
        c"On (the default) resolves docroots, Off leaves them alone. Valid in server config and virtual host"),
    directive!(c"RealdocReleases", Any, Host, releases = |words| parse_releases(words),
        c"where releases live: absolute paths, with the wildcards of <Directory>. Links may lead nowhere else. Valid in server config and virtual host"),
    directive!(c"RealdocInUse", One, Main, in_use = |words| parse_in_use(words[0]),
        c"the file that tells which releases have requests: On (the default) is realdoc.inuse in DefaultRuntimeDir, an absolute path another file, Off none. Valid in server config"),
    directive!(c"RealdocAssets", Any, Host, assets = |words| Prefixes::parse(words),
        c"URL prefixes below which a static file that the release lacks is served from a retained one, such as /build/; Off (the default). Valid in server config and virtual host"),
];
