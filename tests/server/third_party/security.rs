//! mod_security: rules about files and URLs.
//!
//! Owns: which of its variables mean the file. Must not: test rule sets.

use harness::{Httpd, Mpm};

use super::ThirdParty;
use crate::modules::{COMPARES, assert_warnings, flip, lines, site};

const SECURITY: ThirdParty =
    ThirdParty { symbol: "security2_module", file: "mod_security2.so", package: "libapache2-mod-security2" };

#[test]
fn rules() {
    let site = site(&[("public/private/a.txt", "a"), ("public/page.html", "page")]);
    let by_name = "SecRuleEngine On\nSecRule SCRIPT_FILENAME \"@beginsWith ${ROOT}/srv/app/current/public/private/\" \
         \"id:1,phase:2,deny,status:403\""
        .to_owned();
    let of_page = lines(&site, "mod_security", "apache").concat();
    for (lines, status, said) in [(by_name, 200, &[COMPARES][..]), (of_page, 403, &[])] {
        let Some(config) = SECURITY.loaded(&format!("DocumentRoot \"${{ROOT}}/srv/app/current/public\"\n{lines}\n"))
        else {
            return;
        };
        let config = config.modules(&["unique_id"]);
        assert_warnings(&site, Mpm::Event, &config, said);
        let get = |httpd: &Httpd| httpd.client().get("/private/a.txt").expect("a response").status;
        let without = Httpd::start_without_module(&site, Mpm::Event, &config);
        let httpd = Httpd::start(&site, Mpm::Event, &config);
        for httpd in [&without, &httpd] {
            httpd.expect_error("ModSecurity");
        }
        for release in ["41", "42"] {
            flip(&site, release);
            assert_eq!([get(&without), get(&httpd)], [403, status], "{lines}");
            assert_eq!(httpd.client().get("/page.html").expect("a response").body, "page");
        }
    }
}
