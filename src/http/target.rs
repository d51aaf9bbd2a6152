//! Request targets and authorities: `host[:port]` as Host, Origin and absolute targets name it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fields::Span;
use super::reject::Reject;
use super::request::Method;

/// Longest host name (RFC 1035 allows 253 characters, and a trailing dot).
const MAX_NAME_BYTES: usize = 254;

/// A host: an address where it is written as one, otherwise a name, compared without case.
#[derive(Debug, Clone, Copy)]
pub(super) enum Host<'a> {
    Ip(IpAddr),
    Name(&'a str),
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Host::Ip(one), Host::Ip(two)) => one == two,
            (Host::Name(one), Host::Name(two)) => one.eq_ignore_ascii_case(two),
            _ => false,
        }
    }
}

/// A host with the port that was written after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Authority<'a> {
    pub(super) host: Host<'a>,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]`; user names, zones, escapes and empty hosts are refused.
    pub(super) fn parse(text: &'a [u8]) -> Option<Authority<'a>> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            return Some(Authority { host: Host::Ip(address.to_canonical()), port: parse_port(port)? });
        }
        let name_end = text.bytes().position(|byte| byte == b':').unwrap_or(text.len());
        let (name, port) = text.split_at(name_end);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name_byte) {
            return None;
        }
        let address = if name.as_bytes()[0].is_ascii_digit() { name.parse::<Ipv4Addr>().ok() } else { None };
        let host = address.map_or(Host::Name(name), |address| Host::Ip(IpAddr::V4(address)));
        Some(Authority { host, port: parse_port(port)? })
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Reads what follows a host: nothing, `:`, or `:` and digits. The outer `None` is a refusal.
fn parse_port(text: &str) -> Option<Option<u16>> {
    let Some(digits) = text.strip_prefix(':') else {
        return text.is_empty().then_some(None);
    };
    if digits.is_empty() {
        return Some(None);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Some)
}

/// Where path and query lie in the head.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) whole: Span,
    /// Unset for an absolute target without a path, which means `/`.
    pub(super) path: Span,
    pub(super) query: Span,
}

/// Reads the request target (RFC 9112, 3.2) and holds an absolute one against the Host field.
pub(super) fn parse(
    head: &[u8],
    target: &str,
    method: Method,
    host: Option<&[u8]>,
) -> Result<Target, Reject> {
    let whole = Span::of(head, target.as_bytes());
    if !target.is_ascii() || target.contains('#') {
        return Err(bad_target("the request target must be visible ASCII without a fragment"));
    }
    let path_and_query = match target.as_bytes()[0] {
        b'/' => target,
        b'*' if target == "*" && method == Method::Options => target,
        b'*' if target == "*" => return Err(bad_target("the target * is for OPTIONS only")),
        _ => absolute(target, host)?,
    };
    let query_at = memchr::memchr(b'?', path_and_query.as_bytes());
    let (path, query) = match query_at {
        Some(at) => (&path_and_query[..at], Span::of(head, &path_and_query.as_bytes()[at + 1..])),
        None => (path_and_query, Span::default()),
    };
    let path = if path.is_empty() { Span::default() } else { Span::of(head, path.as_bytes()) };
    Ok(Target { whole, path, query })
}

/// The path and query of an absolute target, whose authority must be the one that Host names.
fn absolute<'a>(target: &'a str, host: Option<&[u8]>) -> Result<&'a str, Reject> {
    let bad_form = || bad_target("the request target must be a path, an http or https URI, or *");
    let (scheme, rest) = target.split_once("://").ok_or_else(bad_form)?;
    let default_port = default_port(scheme).ok_or_else(bad_form)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    let authority = Authority::parse(authority.as_bytes()).ok_or_else(bad_form)?;
    if let Some(host) = host.and_then(Authority::parse) {
        let port = |it: Authority<'_>| it.port.unwrap_or(default_port);
        if host.host != authority.host || port(host) != port(authority) {
            return Err(bad_target("the authority of the request target must equal the Host header"));
        }
    }
    Ok(path_and_query)
}

/// The port that a web scheme means when none is written.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ => None,
    }
}

fn bad_target(message: &'static str) -> Reject {
    Reject::new(400, "bad_target", message).closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_exactly() {
        let parse = |text: &'static str| Authority::parse(text.as_bytes());
        let ip = |text: &str| Host::Ip(text.parse().unwrap());
        assert_eq!(parse("127.0.0.1:80"), Some(Authority { host: ip("127.0.0.1"), port: Some(80) }));
        assert_eq!(parse("[::1]"), Some(Authority { host: ip("::1"), port: None }));
        assert_eq!(parse("[::ffff:127.0.0.1]:9"), Some(Authority { host: ip("127.0.0.1"), port: Some(9) }));
        assert_eq!(parse("LocalHost:"), Some(Authority { host: Host::Name("localhost"), port: None }));
        assert_eq!(parse("127.1"), Some(Authority { host: Host::Name("127.1"), port: None }));
        for bad in [
            "",
            ":80",
            "a:b",
            "a:65536",
            "a:+80",
            "a:80:80",
            "u@a",
            "a b",
            "[::1",
            "[::1]x",
            "[fe80::1%1]",
            "a,b",
            "a/b",
            "ä",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn targets_come_in_three_forms() {
        let read = |target: &str, method| parse(target.as_bytes(), target, method, Some(b"a:80"));
        let span = |start, end| Span { start, end };
        assert_eq!(read("/x?y=1?", Method::Get).unwrap().path, span(0, 2));
        assert_eq!(read("/x?y=1?", Method::Get).unwrap().query, span(3, 7));
        assert_eq!(read("http://A/x", Method::Get).unwrap().path, span(8, 10));
        assert_eq!(read("http://a:80", Method::Get).unwrap().path, Span::default());
        assert!(read("*", Method::Options).is_ok());
        let bad = [
            ("*", Method::Get),
            ("a:80", Method::Other),
            ("http://b/", Method::Get),
            ("http://a:81/", Method::Get),
        ];
        for (target, method) in bad.into_iter().chain([("ftp://a/", Method::Get), ("/#f", Method::Get)]) {
            assert_eq!(read(target, method).unwrap_err().code, "bad_target", "{target}");
        }
    }
}
