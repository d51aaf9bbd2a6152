//! The URL of a server, taken apart: as much of RFC 3986 as an MCP endpoint needs, and a clear word about the rest.

use std::net::Ipv6Addr;

use super::SetupError;

/// Bytes of one URL.
const MAX_BYTES: usize = 8 << 10;
/// Letters of a host name (RFC 1035, 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// Where requests go and what they ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// True for https.
    pub tls: bool,
    /// The name or the address, an IPv6 address without its brackets.
    pub host: String,
    /// The port, the scheme's own where the URL has none.
    pub port: u16,
    /// The value of the Host header.
    pub authority: String,
    /// Path and query, as sent.
    pub path: String,
}

impl HttpTarget {
    /// Reads `http://` or `https://`, a host with an optional port, and an optional path with an optional query.
    ///
    /// # Errors
    /// [`SetupError::Target`] says what is wrong and what is allowed. No part that can hold a secret is repeated.
    pub fn parse(url: &str) -> Result<HttpTarget, SetupError> {
        let refuse = |what: &str| Err(SetupError::Target(what.to_owned()));
        if url.len() > MAX_BYTES {
            return refuse("a URL has at most 8192 bytes");
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return refuse("a target is a URL: http://host[:port]/path or https://host[:port]/path");
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return refuse(&format!("the scheme must be http or https, not {other:?}")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return refuse("the URL must not hold a user name or password; send a header instead");
        }
        if path.contains('#') {
            return refuse("the URL must not have a fragment (#…): it would not be sent");
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("path and query must be visible ASCII; write other characters as %XX");
        }
        let (host, port) = split_authority(authority, tls)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let authority = authority.to_ascii_lowercase();
        Ok(HttpTarget { tls, host, port, authority, path: format!("{slash}{path}") })
    }

    /// The URL without its query, which may hold a secret.
    pub fn display(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{scheme}://{}{path}", self.authority)
    }
}

fn split_authority(authority: &str, tls: bool) -> Result<(String, u16), SetupError> {
    let refuse = |what: String| Err(SetupError::Target(what));
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return refuse("an IPv6 address must be closed by ]".to_owned());
            };
            if address.parse::<Ipv6Addr>().is_err() {
                return refuse(format!("{address:?} is not an IPv6 address; zones are not allowed"));
            }
            match after.strip_prefix(':') {
                None if !after.is_empty() => {
                    return refuse("only a port can follow an IPv6 address".to_owned());
                }
                port => (address, port),
            }
        }
        None => match authority.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return refuse("an IPv6 address must stand in brackets: http://[::1]:8000/".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let bracketed = authority.starts_with('[');
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > MAX_HOST_BYTES || !(bracketed || host.bytes().all(named)) {
        let what = "is not a host: letters, digits, dots and dashes are allowed, at most 253 (write other letters as xn--…)";
        return refuse(format!("{host:?} {what}"));
    }
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        None if tls => 443,
        None => 80,
        Some(text) => match Some(text).filter(digits).and_then(|text| text.parse().ok()) {
            Some(port) if port > 0 => port,
            _ => return refuse(format!("the port must be from 1 to 65535, not {text:?}")),
        },
    };
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = HttpTarget::parse("HTTPS://Example.org:8443/mcp/x?key=1").unwrap();
        let expected = HttpTarget {
            tls: true,
            host: "example.org".into(),
            port: 8443,
            authority: "example.org:8443".into(),
            path: "/mcp/x?key=1".into(),
        };
        assert_eq!(target, expected);
        assert_eq!(target.display(), "https://example.org:8443/mcp/x");
        let short = |url| HttpTarget::parse(url).map(|it| (it.host, it.port, it.authority, it.path)).unwrap();
        assert_eq!(short("http://a"), ("a".into(), 80, "a".into(), "/".into()));
        assert_eq!(short("https://a?b=/c"), ("a".into(), 443, "a".into(), "/?b=/c".into()));
        assert_eq!(short("http://[::1]:9/m"), ("::1".into(), 9, "[::1]:9".into(), "/m".into()));
        assert_eq!(short("http://127.0.0.1"), ("127.0.0.1".into(), 80, "127.0.0.1".into(), "/".into()));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret_in_it() {
        let cases = [
            ("localhost:8000", "a target is a URL"),
            ("/ip4/127.0.0.1/tcp/1", "a target is a URL"),
            ("ftp://a/", "http or https"),
            ("http://user:s3cret@a/", "user name or password"),
            ("http://a/b#s3cret", "fragment"),
            ("http://a/b c", "visible ASCII"),
            ("http://a/b\r\nX: y", "visible ASCII"),
            ("http://a\r\nX: y/", "is not a host"),
            ("http:///mcp", "is not a host"),
            ("http://bücher.example/", "is not a host"),
            ("http://a:0/", "from 1 to 65535"),
            ("http://a:65536/", "from 1 to 65535"),
            ("http://a:+80/", "from 1 to 65535"),
            ("http://a:/", "from 1 to 65535"),
            ("http://::1/", "in brackets"),
            ("http://[::1/", "closed by ]"),
            ("http://[::1]x/", "only a port"),
            ("http://[fe80::1%25eth0]/", "not an IPv6 address"),
        ];
        for (url, expected) in cases {
            let error = HttpTarget::parse(url).expect_err(url).to_string();
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{url}: {error}");
        }
        assert!(HttpTarget::parse(&format!("http://a/{}", "x".repeat(9000))).is_err());
    }
}
