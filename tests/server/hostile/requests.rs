//! Requests that mean no good, or are as if: odd names, odd paths, odd forms.
//!
//! Owns: the list. Must not: send them, or know what a server makes of them.

/// Names for a `Host` header or an absolute URL, few of which are any.
fn names() -> Vec<Vec<u8>> {
    let plain = [
        "one.test",
        "ONE.Test",
        "one.test.",
        "one.test..",
        ".one.test",
        "one..test",
        "two.test:80",
        "one.test:",
        "one.test:0",
        "one.test:65536",
        "one.test:99999999999999999999",
        "one.test:-1",
        "one.test:+80",
        "one.test:80:80",
        "one.test:x",
        "one.test: 80",
        "",
        " ",
        "\t",
        ".",
        "..",
        "...",
        "../..",
        "one.test/../../secret.txt",
        "/etc",
        "\\..\\..",
        "%2e%2e",
        "%2e%2e%2f",
        "one.test%00",
        "one.test%2f..",
        "one.test?x",
        "one.test#x",
        "user@one.test",
        "user:word@two.test",
        "one.test,two.test",
        "one.test two.test",
        "\"one.test\"",
        "<script>",
        "$(id)",
        "${ROOT}",
        "%0",
        "*",
        "*.test",
        "-",
        "_",
        "~",
        "{",
        "[",
        "]",
        "[]",
        "[::1]",
        "[::1]:80",
        "[::1]:x",
        "[::1",
        "::1",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25lo]",
        "[one.test]",
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "999.999.999.999",
        "localhost",
        "hosts",
        "current",
        "releases",
        "html",
        "default",
    ];
    let mut names: Vec<Vec<u8>> = plain.iter().map(|name| name.as_bytes().to_vec()).collect();
    for name in [
        &b"\xff\xfe"[..],
        b"one.test\0",
        b"\0",
        b"one\0.test",
        b"caf\xc3\xa9.test",
        b"\x01\x02\x7f",
        b"one.test\x0b",
        b"\xc0\xae\xc0\xae",
    ] {
        names.push(name.to_vec());
    }
    for (part, count) in [
        ("x", 64),
        ("x", 255),
        ("x", 256),
        ("x", 4_000),
        ("x", 8_100),
        ("x", 9_000),
        ("a.", 2_000),
        ("../", 300),
        ("[", 500),
    ] {
        names.push(part.repeat(count).into_bytes());
    }
    names
}

/// Paths that would be somewhere else if anybody read them otherwise.
fn paths() -> Vec<String> {
    let plain = [
        "/../secret.txt",
        "/../../secret.txt",
        "/sub/../page.html",
        "/sub/../../secret.txt",
        "/./page.html",
        "/.../page.html",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/..%2F..%2Fsecret.txt",
        "/sub/..%2f..%2fsecret.txt",
        "/sub%2f..%2f..%2fsecret.txt",
        "/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/.%2e/secret.txt",
        "/%2e./secret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/%5c..%5c..%5csecret.txt",
        "/..;/secret.txt",
        "/..%00/secret.txt",
        "/page.html%00",
        "/page.html%00.txt",
        "/page.html%0a",
        "/page.html%0d%0aX-Forged:%20yes",
        "/%ff%fe",
        "/%c0%ae%c0%ae/secret.txt",
        "/%252e%252e/secret.txt",
        "/..%252fsecret.txt",
        "/%2f",
        "/%2fetc%2fpasswd",
        "/sub%2fpage.html",
        "/sub%2Fpage.html",
        "/sub%2f%2e%2e%2fpage.html",
        "/sub//page.html",
        "//page.html",
        "//one.test/page.html",
        "///..//secret.txt",
        "/sub",
        "/sub/",
        "/sub/..",
        "/sub/../",
        "/sub/%2e%2e",
        "/sub/%2e%2e/",
        "/static/page.html",
        "/static/../secret.txt",
        "/static/..%2fsecret.txt",
        "/static/%2e%2e/public/page.html",
        "/static/..%2fpublic%2fpage.html",
        "/static%2fpage.html",
        "/static/..",
        "/static../secret.txt",
        "/static..%2fsecret.txt",
        "/static/.%2e/secret.txt",
        "/staticx",
        "/page.html/",
        "/page.html/..",
        "/page.html/../page.html",
        "/page.html%2f",
        "/page.html%2f..%2fpage.html",
        "/page.html/..%2f..%2fsecret.txt",
        "/%",
        "/%g0",
        "/%2",
        "/%%2e",
        "/page.html?../../secret.txt",
        "/page.html#x",
        "/page.html;x",
        "/~root/x",
        "/:",
        "/*",
        "/page.*",
        "/.",
        "/..",
        "/ page.html",
        "/page.html HTTP/1.0",
        "page.html",
        "?x",
        "*",
        "",
    ];
    let mut paths: Vec<String> = plain.iter().map(|path| (*path).to_owned()).collect();
    for (part, count) in [
        ("/..", 300),
        ("/a", 2_000),
        ("%2f", 1_000),
        ("%2e%2e%2f", 300),
        ("/sub/..", 500),
        ("x", 250),
        ("x", 256),
        ("x", 4_000),
        ("x", 4_100),
        ("x", 8_100),
    ] {
        paths.push(format!("/{}/page.html", part.repeat(count)));
    }
    paths
}

/// Whole requests, odd in their method, their form, or their header.
fn oddities() -> Vec<Vec<u8>> {
    let lines = [
        "GET http://one.test/page.html HTTP/1.1",
        "GET http://two.test/page.html HTTP/1.1",
        "GET HTTP://TWO.TEST:1/page.html HTTP/1.1",
        "GET https://two.test/page.html HTTP/1.1",
        "GET ftp://two.test/page.html HTTP/1.1",
        "GET file:///etc/passwd HTTP/1.1",
        "GET http:///page.html HTTP/1.1",
        "GET http:/page.html HTTP/1.1",
        "GET http:page.html HTTP/1.1",
        "GET http://two.test HTTP/1.1",
        "GET http://two.test?x HTTP/1.1",
        "GET http://two.test/../secret.txt HTTP/1.1",
        "GET http://two.test/..%2fsecret.txt HTTP/1.1",
        "GET http://two.test:99999/page.html HTTP/1.1",
        "GET http://[::1]/page.html HTTP/1.1",
        "GET http://[::1/page.html HTTP/1.1",
        "GET http://a@b@two.test/page.html HTTP/1.1",
        "GET http://../page.html HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "OPTIONS * HTTP/1.0",
        "OPTIONS *x HTTP/1.1",
        "OPTIONS http://two.test HTTP/1.1",
        "OPTIONS http://two.test/* HTTP/1.1",
        "OPTIONS /../secret.txt HTTP/1.1",
        "OPTIONS / HTTP/1.1",
        "GET * HTTP/1.1",
        "HEAD * HTTP/1.1",
        "POST * HTTP/1.1",
        "TRACE * HTTP/1.1",
        "TRACE /page.html HTTP/1.1",
        "CONNECT two.test:443 HTTP/1.1",
        "CONNECT two.test HTTP/1.1",
        "CONNECT /page.html HTTP/1.1",
        "CONNECT [::1]:443 HTTP/1.1",
        "CONNECT http://two.test/page.html HTTP/1.1",
        "CONNECT * HTTP/1.1",
        "CONNECT :443 HTTP/1.1",
        "get /page.html HTTP/1.1",
        "FORGE /page.html HTTP/1.1",
        "PUT /page.html HTTP/1.1",
        "DELETE /page.html HTTP/1.1",
        "PROPFIND /page.html HTTP/1.1",
        "PATCH /../secret.txt HTTP/1.1",
        "PRI * HTTP/2.0",
        "GET /page.html HTTP/9.9",
        "GET /page.html HTTP/1.9",
        "GET /page.html http/1.1",
        "GET /page.html HTTP/1.1 x",
        "GET  /page.html HTTP/1.1",
        "GET\t/page.html\tHTTP/1.1",
        " GET /page.html HTTP/1.1",
        "GET",
        "GET /page.html",
        "/page.html",
        "\u{1}\u{2}\u{3}",
        "GET /page.html HTTP/",
        "GET /page.html HTTP/1.1\rX",
    ];
    let fields = [
        "Host: one.test\r\nHost: two.test",
        "Host: one.test\r\nHost: one.test",
        "Host : two.test",
        "Host:\r\n two.test",
        " Host: two.test",
        "X: y",
        "Host: two.test\r\nX-Forwarded-Host: one.test\r\nForwarded: host=one.test",
        "Host: two.test\r\nContent-Length: -1",
        "Host: two.test\r\nContent-Length: 99999999999999999999",
        "Host: two.test\r\nContent-Length: 5\r\nContent-Length: 6",
        "Host: two.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "Host: two.test\r\nTransfer-Encoding: nonsense",
        "Host: two.test\r\nRange: bytes=0-,1-,2-",
        "Host: two.test\r\nRange: bytes=99999999999999999999-",
        "Host: two.test\r\nExpect: nonsense",
        "Host: two.test\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Host: two.test\r\nIf-Match: \"x\"",
        "Host: two.test\r\nNo colon",
        "Host: two.test\r\n: no name",
        "Host: two.test\r\nX\u{0}: y",
        "Host: two.test\r\nX: \u{1}",
    ];
    let mut all: Vec<Vec<u8>> = Vec::new();
    all.extend(lines.map(|line| format!("{line}\r\nHost: one.test\r\nConnection: close\r\n\r\n").into_bytes()));
    all.extend(
        fields.map(|fields| format!("GET /page.html HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n").into_bytes()),
    );
    all.push(b"GET /page.html HTTP/1.1\nHost: two.test\nConnection: close\n\n".to_vec());
    all.push(b"\r\n\r\n\r\nGET /page.html HTTP/1.0\r\nHost: two.test\r\n\r\n".to_vec());
    all.push(format!("GET /page.html HTTP/1.0\r\nHost: two.test\r\nX: {}\r\n\r\n", "y".repeat(9_000)).into_bytes());
    all.push(format!("GET /page.html HTTP/1.0\r\nHost: two.test\r\n{}\r\n", "X: y\r\n".repeat(200)).into_bytes());
    all.push(format!("GET /page.html HTTP/1.0\r\n{}\r\n", "Host: two.test\r\n".repeat(90)).into_bytes());
    all.push(vec![0; 600]);
    all.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec());
    all
}

/// All requests, each with the number of the port that it is for.
pub fn all() -> Vec<(usize, Vec<u8>)> {
    let mut requests = Vec::new();
    let end = "\r\nConnection: close\r\n\r\n".as_bytes();
    for name in names() {
        for port in [0, 3] {
            requests.push((port, [b"GET /page.html HTTP/1.1\r\nHost: ", &name[..], end].concat()));
            requests.push((port, [b"GET http://", &name[..], b"/page.html HTTP/1.1\r\nHost: two.test", end].concat()));
            requests.push((port, [b"GET /page.html HTTP/1.0\r\nHost: ", &name[..], end].concat()));
        }
    }
    for path in paths() {
        for port in 0..4 {
            requests.push((port, [b"GET ", path.as_bytes(), b" HTTP/1.1\r\nHost: two.test", end].concat()));
        }
    }
    for port in [0, 3] {
        requests.extend(oddities().into_iter().map(|request| (port, request)));
    }
    requests
}
