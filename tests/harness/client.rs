//! HTTP clients: one connection for one thread, or one h2c connection for many.
//!
//! Owns: ordinary requests. Must not: send a request that is odd on the wire (see `raw`), or follow redirects.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::header::{HOST, HeaderMap};
use reqwest::redirect::Policy;

use crate::memcheck;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    Http1,
    /// HTTP/1.1 with a new connection for each request.
    Http1NewConnections,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
}

/// A client of one server. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::blocking::Client,
    base: String,
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Response {
    /// The value of a header field, empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    /// A client of the server at `base`, which connects at its first request.
    ///
    /// # Panics
    /// If no client can be made at all.
    #[must_use]
    pub fn new(base: &str, protocol: Protocol) -> Self {
        let builder = reqwest::blocking::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(memcheck::patience(ANSWERS_WITHIN))
            .pool_idle_timeout(None);
        let builder = match protocol {
            Protocol::Http1 => builder.http1_only(),
            Protocol::Http1NewConnections => builder.http1_only().pool_max_idle_per_host(0),
            Protocol::H2c => builder.http2_prior_knowledge(),
        };
        Self { inner: builder.build().expect("an HTTP client"), base: base.to_owned() }
    }

    /// Gets a page.
    ///
    /// # Errors
    /// If there is no complete response.
    pub fn get(&self, path: &str) -> Result<Response> {
        self.request(path, &[])
    }

    /// Gets a page of the virtual host `host`.
    ///
    /// # Errors
    /// If there is no complete response.
    pub fn get_from(&self, host: &str, path: &str) -> Result<Response> {
        self.request(path, &[(HOST.as_str(), host)])
    }

    /// Gets a page with these header fields.
    ///
    /// # Errors
    /// If there is no complete response.
    pub fn request(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
        let mut request = self.inner.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().with_context(|| format!("GET {path}"))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.bytes().with_context(|| format!("the body of {path}"))?;
        Ok(Response { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
