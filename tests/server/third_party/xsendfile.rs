//! mod_xsendfile: an application names the file that httpd is to send.
//!
//! Owns: which directories must be named for that. Must not: test what may be sent.

use std::os::unix::fs::PermissionsExt;

use harness::{Httpd, Mpm};

use super::ThirdParty;
use crate::modules::{ALLOWS, assert_warnings, flip, lines, site};

const XSENDFILE: ThirdParty =
    ThirdParty { symbol: "xsendfile_module", file: "mod_xsendfile.so", package: "libapache2-mod-xsendfile" };

const SCRIPT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\nX-Sendfile: %s\\n\\n' \"${SCRIPT_FILENAME%/cgi/*}/files/file.txt\"\n";

#[test]
fn directories() {
    let site = site(&[("cgi/send", SCRIPT), ("files/file.txt", "{release}"), ("public/page.html", "")]);
    for release in ["41", "42"] {
        let script = site.root().join(format!("srv/app/releases/{release}/cgi/send"));
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let below_link = "XSendFile On\nXSendFilePath \"${ROOT}/srv/app/current/files\"".to_owned();
    let of_page = lines(&site, "mod_xsendfile", "apache").concat();
    for (lines, status, said) in [(below_link, 404, &[ALLOWS][..]), (of_page, 200, &[])] {
        let Some(config) = XSENDFILE.loaded(&format!(
            "DocumentRoot \"${{ROOT}}/srv/app/current/public\"\nScriptAlias /cgi \"${{ROOT}}/srv/app/current/cgi\"\n{lines}"
        )) else {
            return;
        };
        let config = config.modules(&["alias", "cgi"]);
        assert_warnings(&site, Mpm::Prefork, &config, said);
        let httpd = Httpd::start(&site, Mpm::Prefork, &config);
        httpd.expect_error("[xsendfile:");
        httpd.expect_error("xsendfile");
        for release in ["41", "42"] {
            flip(&site, release);
            let response = httpd.client().get("/cgi/send").expect("a response");
            assert_eq!(response.status, status, "{lines}");
            assert_eq!(response.body == release, status == 200, "{}", response.body);
        }
    }
}
