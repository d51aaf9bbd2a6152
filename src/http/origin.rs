//! The Origin header (RFC 6454, 7): `scheme://host[:port]`, and the list of those that may call.

use super::access::AccessError;
use super::target::{Authority, default_port};

/// One origin. `null` is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) text: &'a str,
    scheme: &'a str,
    pub(super) authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Option<Origin<'a>> {
        let text = std::str::from_utf8(text).ok()?;
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            || !scheme.bytes().all(is_scheme_byte)
        {
            return None;
        }
        Some(Origin { text, scheme, authority: Authority::parse(authority.as_bytes())? })
    }

    /// The default port of a web page's scheme; none for `chrome-extension` and the like.
    pub(super) fn web_port(&self) -> Option<u16> {
        default_port(self.scheme)
    }

    fn port(&self) -> Option<u16> {
        self.authority.port.or_else(|| self.web_port())
    }

    fn is_same(&self, other: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.authority.host == other.authority.host
            && self.port() == other.port()
    }
}

/// The origins that the operator listed.
#[derive(Debug, Clone, Default)]
pub(super) struct OriginRule {
    pub(super) any: bool,
    listed: Vec<String>,
}

impl OriginRule {
    pub(super) fn new(entries: &[String]) -> Result<OriginRule, AccessError> {
        let mut rule = OriginRule::default();
        for entry in entries.iter().map(|entry| entry.trim()) {
            match entry {
                "*" => rule.any = true,
                _ if Origin::parse(entry.as_bytes()).is_some() => rule.listed.push(entry.to_owned()),
                _ => return Err(AccessError::BadOrigin(entry.to_owned())),
            }
        }
        Ok(rule)
    }

    pub(super) fn admits(&self, origin: &Origin<'_>) -> bool {
        let mut listed = self.listed.iter().filter_map(|entry| Origin::parse(entry.as_bytes()));
        self.any || listed.any(|entry| entry.is_same(origin))
    }
}
