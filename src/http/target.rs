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
            return Some(Authority {
                host: Host::Ip(address.to_canonical()),
                port: parse_port(port.as_bytes())?,
            });
        }
        let (name, port) = text.split_at(name_bytes(text.as_bytes())?);
        let address = if name.as_bytes()[0].is_ascii_digit() { name.parse::<Ipv4Addr>().ok() } else { None };
        let host = address.map_or(Host::Name(name), |address| Host::Ip(IpAddr::V4(address)));
        Some(Authority { host, port: parse_port(port.as_bytes())? })
    }

    /// True for what [`Self::parse`] reads, without the work of reading an IPv4 address.
    pub(super) fn is_valid(text: &[u8]) -> bool {
        match text.first() {
            Some(b'[') => Authority::parse(text).is_some(),
            _ => name_bytes(text).is_some_and(|end| parse_port(&text[end..]).is_some()),
        }
    }
}

/// The length of the name before a port.
fn name_bytes(text: &[u8]) -> Option<usize> {
    let is_name_byte = |byte: &u8| NAME_BYTES[*byte as usize];
    let end = text.iter().position(|byte| !is_name_byte(byte)).unwrap_or(text.len());
    ((1..=MAX_NAME_BYTES).contains(&end)).then_some(end)
}

/// The bytes of a name: letters, digits and `-._~`. Escapes and other marks are no part of a host that is served.
const NAME_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    allowed
};

/// Reads what follows a host: nothing, `:`, or `:` and digits. The outer `None` is a refusal.
fn parse_port(text: &[u8]) -> Option<Option<u16>> {
    let Some((b':', digits)) = text.split_first() else {
        return text.is_empty().then_some(None);
    };
    let mut port = (!digits.is_empty()).then_some(0_u16);
    for digit in digits {
        let value = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        port = Some(port?.checked_mul(10)?.checked_add(value)?);
    }
    Some(port)
}

/// Where the request target lies in the head, and path and query in the target.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) whole: Span,
    /// Empty for an absolute target without a path, which means `/`.
    pub(super) path: Span,
    /// Unset without a `?`.
    pub(super) query: Span,
}

impl Target {
    /// Target, path and query as text.
    pub(super) fn text<'a>(&self, head: &'a [u8]) -> (&'a str, &'a str, Option<&'a str>) {
        let whole = std::str::from_utf8(self.whole.bytes(head))
            .expect("invariant: the target was checked to be ASCII");
        let part = |span: Span| &whole[span.start as usize..span.end as usize];
        let path = part(self.path);
        (whole, if path.is_empty() { "/" } else { path }, self.query.is_set().then(|| part(self.query)))
    }
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
    let start = (target.len() - path_and_query.len()) as u32;
    let end = target.len() as u32;
    let Some(mark) = path_and_query.bytes().position(|byte| byte == b'?') else {
        return Ok(Target { whole, path: Span { start, end }, query: Span::default() });
    };
    let mark = start + mark as u32;
    Ok(Target { whole, path: Span { start, end: mark }, query: Span { start: mark + 1, end } })
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
            assert!(!Authority::is_valid(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn targets_come_in_three_forms() {
        let read = |target: &str, method| parse(target.as_bytes(), target, method, Some(b"a:80"));
        let text = |target: &'static str| read(target, Method::Get).unwrap().text(target.as_bytes());
        assert_eq!(text("/x?y=1?"), ("/x?y=1?", "/x", Some("y=1?")));
        assert_eq!(text("/x?"), ("/x?", "/x", Some("")));
        assert_eq!(text("http://A/x"), ("http://A/x", "/x", None));
        assert_eq!(text("http://a:80"), ("http://a:80", "/", None));
        assert_eq!(text("http://a?b"), ("http://a?b", "/", Some("b")));
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
