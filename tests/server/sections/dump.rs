//! The table of docroots that `httpd -t -D DUMP_REALDOC` prints.

use std::fs;

use harness::{Httpd, Mpm};

use super::{DOCROOT, GRANT, RELEASES, config, site};

#[test]
fn the_table_of_docroots() {
    let site = site();
    site.symlink("www", "data/www");
    site.symlink("data/www/current", site.release_directory(1));
    site.symlink("gone", "nowhere");
    let text = config(&format!(
        "{DOCROOT}{RELEASES}{GRANT}\
         <VirtualHost 127.0.0.1:${{PORT}}>\nServerName chain.test\nDocumentRoot \"${{ROOT}}/www/current/public\"\n\
         RealdocReleases \"${{ROOT}}/releases/*\" \"${{ROOT}}/data/www\"\n\
         <Directory \"${{ROOT}}/www/current/public/private\">\nRequire all denied\n</Directory>\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:${{PORT}}>\nServerName text.test\n{DOCROOT}UseReadlink On\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:${{PORT}}>\nServerName from.test\n{DOCROOT}UseReadlink \"${{ROOT}}\"\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:${{PORT}}>\nServerName off.test\n{DOCROOT}Realdoc Off\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:${{PORT}}>\nServerName away.test\n{DOCROOT}RealdocReleases /srv/releases/*\n</VirtualHost>"
    ));
    let table = Httpd::ask(&site, Mpm::Event, &text, &["-t", "-DDUMP_REALDOC"]);
    let root = site.root().display();
    // Each server's own part of the table.
    let part = |name: &str| {
        let from = table.lines().skip_while(|line| !line.starts_with(name));
        let own: Vec<&str> =
            from.clone().take(1).chain(from.skip(1).take_while(|line| line.starts_with(' '))).collect();
        own.join("\n")
    };
    let main = [
        format!("docroot: {root}/current/public"),
        "mode: realpath".to_owned(),
        format!("link: {root}/current -> {root}/releases/0"),
        format!("resolved: {root}/releases/0/public"),
        format!("follows: <Directory {root}/current/public> at {root}/releases/0/public"),
    ];
    let chain = [
        format!("docroot: {root}/www/current/public"),
        format!("link: {root}/www -> {root}/data/www"),
        format!("link: {root}/data/www/current -> {root}/releases/1"),
        format!("resolved: {root}/releases/1/public"),
        format!("follows: <Directory {root}/www/current/public/private> at {root}/releases/1/public/private"),
    ];
    let text_mode = ["mode: readlink".to_owned(), format!("link: {root}/current -> {root}/releases/0")];
    let from_mode = [format!("mode: readlink from {root}")];
    let off = ["Realdoc Off".to_owned()];
    let away = ["refused: ".to_owned(), "is outside RealdocReleases".to_owned()];
    let expected: [(&str, &[String]); 6] = [
        ("localhost", &main),
        ("chain.test", &chain),
        ("text.test", &text_mode),
        ("from.test", &from_mode),
        ("off.test", &off),
        ("away.test", &away),
    ];
    for (name, words) in expected {
        let part = part(name);
        for word in words {
            assert!(part.contains(word), "{name}: no {word:?} in {part:?} of\n{table}");
        }
        if name != "localhost" {
            // A virtual host's place is where it begins.
            let place = part.lines().next().and_then(|line| line.split_once('(')?.1.strip_suffix(')'));
            let (file, number) = place.and_then(|place| place.rsplit_once(':')).unwrap_or_else(|| panic!("{part}"));
            let file = fs::read_to_string(file).expect("the configuration file");
            let line = file.lines().nth(number.parse::<usize>().expect("a number") - 1);
            assert!(line.is_some_and(|line| line.starts_with("<VirtualHost")), "{part}: {line:?}");
        }
    }
}

/// A full disk is no fault of the module.
#[test]
fn a_table_that_cannot_be_written() {
    let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let said = Httpd::ask_into(&site(), Mpm::Event, &config(DOCROOT), &["-t", "-DDUMP_REALDOC"], full);
    assert!(said.contains("Syntax OK") && !said.contains("panicked"), "{said}");
}
