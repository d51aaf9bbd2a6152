//! The kinds of values: how each is read from text or TOML, and what is allowed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use globset::Glob;

use crate::p2p::address::{PeerAddress, listen_address, multiaddr, peer_id};
use crate::runtime::topology;

/// A value as it was given, before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Text from the environment, a flag or a TOML string.
    Text(String),
    /// A TOML integer that is not negative.
    Integer(u64),
    /// A TOML boolean.
    Flag(bool),
    /// A TOML array, or a flag that was repeated.
    List(Vec<Raw>),
    /// Anything else TOML can say (a float, a date, a table, a negative number), as written.
    Other(String),
}

impl Raw {
    /// The value as a person wrote it, quoted where it is text.
    pub(super) fn display(&self) -> String {
        match self {
            Raw::Text(text) => format!("{text:?}"),
            Raw::Integer(number) => number.to_string(),
            Raw::Flag(flag) => flag.to_string(),
            Raw::Other(written) => written.clone(),
            Raw::List(items) => {
                format!("[{}]", items.iter().map(Raw::display).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The items of a list: an array's, or the pieces of a text between commas. Empty pieces are dropped.
    fn items(&self) -> Option<Vec<String>> {
        match self {
            Raw::Text(text) => {
                let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
                Some(pieces.map(str::to_owned).collect())
            }
            Raw::Integer(number) => Some(vec![number.to_string()]),
            Raw::List(raws) => {
                let pieces: Option<Vec<_>> = raws.iter().map(Raw::items).collect();
                Some(pieces?.into_iter().flatten().collect())
            }
            Raw::Flag(_) | Raw::Other(_) => None,
        }
    }
}

/// A value that was read: its shape is right and it is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Unset,
    Text(String),
    Flag(bool),
    Integer(u64),
    List(Vec<String>),
    Addresses(Vec<SocketAddr>),
    Cores(Vec<usize>),
}

/// What kind of value a setting takes, and the range it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of 1 to `max_chars` characters on one line; with `optional`, `none` unsets it and lines may break.
    Text {
        /// Characters at most.
        max_chars: usize,
        /// Whether it may be unset.
        optional: bool,
    },
    /// A whole number from `min` to `max`; with `optional`, `none` unsets it.
    Integer {
        /// The smallest number allowed.
        min: u64,
        /// The largest number allowed.
        max: u64,
        /// Whether it may be unset.
        optional: bool,
    },
    /// True or false.
    Flag,
    /// One or more IP addresses with port.
    Addresses,
    /// One IP address with port, or `none`.
    Address,
    /// A path on this server.
    Path,
    /// A directory of the machine, or `none`.
    Directory,
    /// A file of the machine, or `none`.
    File,
    /// TCP addresses as multiaddrs.
    P2pListen,
    /// Multiaddrs that end in a peer id.
    PeerAddresses,
    /// Peer ids.
    PeerIds,
    /// Core numbers as `0-3,5`, or `all`.
    Cores,
    /// Host names, each with or without a port.
    Hosts,
    /// Origins as browsers send them, or `*`.
    Origins,
    /// Glob patterns of tool names.
    Globs,
    /// Log levels, for all or by target.
    LogLevels,
    /// Types of tasks with a number each.
    TypeLimits,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What may be written, as the end of a sentence that starts with "allowed is".
    pub fn allowed(&self) -> String {
        let or_none = |optional: &bool| if *optional { ", or none" } else { "" };
        match self {
            Kind::Text { max_chars, optional } => {
                format!("text of 1 to {max_chars} characters{}", or_none(optional))
            }
            Kind::Integer { min, max, optional } => {
                format!("a whole number from {min} to {max}{}", or_none(optional))
            }
            Kind::Flag => "1, true, yes, y, on or 0, false, no, n, off".to_owned(),
            Kind::Addresses => "one or more of IP:PORT, like 127.0.0.1:8000 or [::1]:8000".to_owned(),
            Kind::Address => "IP:PORT, like 127.0.0.1:9000, or none".to_owned(),
            Kind::Path => "a path like /mcp, of letters, digits and -._~/ (not a probe's path)".to_owned(),
            Kind::Directory => "the path of a directory, like /var/lib/ringmesh, or none".to_owned(),
            Kind::File => "the path of a file, or none".to_owned(),
            Kind::P2pListen => "multiaddrs like /ip4/127.0.0.1/tcp/4001 or /ip6/::1/tcp/4001".to_owned(),
            Kind::PeerAddresses => {
                "multiaddrs that end in /p2p/ID, like /ip4/192.0.2.1/tcp/4001/p2p/12D3…".to_owned()
            }
            Kind::PeerIds => "peer ids, in base58 (12D3…) or as CIDv1 (bafz…)".to_owned(),
            Kind::Cores => "core numbers like 0-3,5, or all".to_owned(),
            Kind::Hosts => "host names or IP addresses, with or without :PORT".to_owned(),
            Kind::Origins => "origins like https://app.example.com, or *".to_owned(),
            Kind::Globs => "patterns of tool names, like p2p_*".to_owned(),
            Kind::LogLevels => "off, error, warn, info, debug, trace, or TARGET=LEVEL, by commas".to_owned(),
            Kind::TypeLimits => "TYPE=COUNT, like docker.execute=4".to_owned(),
            Kind::Choice(words) => words.join(" or "),
        }
    }

    /// Reads a value. The error says what is wrong with it beyond not being allowed; it may be empty.
    pub(super) fn read(&self, raw: &Raw) -> Result<Value, String> {
        match *self {
            Kind::Text { max_chars, optional } => read_text(raw, max_chars, optional),
            Kind::Integer { min, max, optional } => read_integer(raw, min, max, optional),
            Kind::Flag => read_flag(raw).map(Value::Flag),
            Kind::Addresses => {
                let addresses = each(raw, read_address)?;
                if addresses.is_empty() { Err(String::new()) } else { Ok(Value::Addresses(addresses)) }
            }
            Kind::Address if is_word(raw, "none") => Ok(Value::Unset),
            Kind::Address => Ok(Value::Addresses(vec![read_address(text(raw)?)?])),
            Kind::P2pListen => {
                let read = |text: &str| listen_address(text).map(|address| multiaddr(address).to_string());
                each(raw, read).map(Value::List)
            }
            Kind::PeerAddresses => {
                each(raw, |text| text.parse::<PeerAddress>().map(|address| address.to_string()))
                    .map(Value::List)
            }
            Kind::PeerIds => each(raw, |text| peer_id(text).map(|id| id.to_string())).map(Value::List),
            Kind::Directory | Kind::File => read_text(raw, MAX_PATH_CHARS, true),
            Kind::Path => read_path(text(raw)?).map(Value::Text),
            Kind::Cores if is_word(raw, "all") => Ok(Value::Unset),
            Kind::Cores => {
                let list = raw.items().ok_or_else(String::new)?.join(",");
                topology::parse_core_list(&list).map(Value::Cores).map_err(|error| error.to_string())
            }
            Kind::Hosts => each(raw, read_host).map(Value::List),
            Kind::Origins => each(raw, read_origin).map(Value::List),
            Kind::Globs => each(raw, read_glob).map(Value::List),
            Kind::LogLevels => read_levels(raw),
            Kind::TypeLimits => each(raw, read_type_limit).map(Value::List),
            Kind::Choice(words) => {
                let given = text(raw)?.to_ascii_lowercase();
                words.contains(&given.as_str()).then_some(Value::Text(given)).ok_or_else(String::new)
            }
        }
    }
}

fn text(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) => Ok(text.trim()),
        _ => Err("this is not text".to_owned()),
    }
}

fn is_word(raw: &Raw, word: &str) -> bool {
    matches!(raw, Raw::Text(text) if text.trim().eq_ignore_ascii_case(word))
}

fn each<T>(raw: &Raw, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items = raw.items().ok_or_else(|| "this is not text or a list of texts".to_owned())?;
    items.iter().map(|item| read(item)).collect()
}

fn read_text(raw: &Raw, max_chars: usize, optional: bool) -> Result<Value, String> {
    if optional && is_word(raw, "none") {
        return Ok(Value::Unset);
    }
    let text = text(raw)?;
    let allowed = |c: char| !c.is_control() || (optional && (c == '\n' || c == '\t'));
    match text.chars().count() {
        1.. if !text.chars().all(allowed) => Err("control characters are in it".to_owned()),
        count if (1..=max_chars).contains(&count) => Ok(Value::Text(text.to_owned())),
        count => Err(format!("it has {count} characters")),
    }
}

fn read_integer(raw: &Raw, min: u64, max: u64, optional: bool) -> Result<Value, String> {
    let number = match raw {
        Raw::Integer(number) => *number,
        raw if optional && is_word(raw, "none") => return Ok(Value::Unset),
        Raw::Text(text) => text.trim().replace('_', "").parse().map_err(|_| String::new())?,
        _ => return Err(String::new()),
    };
    if (min..=max).contains(&number) { Ok(Value::Integer(number)) } else { Err(String::new()) }
}

pub(super) fn read_flag(raw: &Raw) -> Result<bool, String> {
    match raw {
        Raw::Flag(flag) => Ok(*flag),
        Raw::Integer(number @ 0..=1) => Ok(*number == 1),
        Raw::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "y" | "on" => Ok(true),
            "0" | "false" | "no" | "n" | "off" => Ok(false),
            _ => Err(String::new()),
        },
        _ => Err(String::new()),
    }
}

/// An IP address, or `localhost` for the loopback address of IPv4.
pub(super) fn read_ip(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("{text:?} is not an IP address; names are not resolved"))
}

fn read_address(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text:?} names no port"))?;
    let port = port.parse().map_err(|_| format!("{port:?} is not a port from 0 to 65535"))?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(format!("{text:?}: an IPv6 address stands in brackets, like [::1]:8000"));
    }
    Ok(SocketAddr::new(read_ip(host)?, port))
}

/// Paths that the server answers itself, whatever is mounted beside them.
const RESERVED_PATHS: &[&str] = &["/health", "/livez", "/readyz", "/metrics"];

/// The longest path that Linux takes.
const MAX_PATH_CHARS: usize = 4095;

fn read_path(text: &str) -> Result<String, String> {
    let path = if text.len() > 1 { text.trim_end_matches('/') } else { text };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if !path.starts_with('/') || !path.bytes().all(plain) || path.contains("//") || path.len() > 256 {
        return Err(String::new());
    }
    if RESERVED_PATHS.contains(&path) {
        return Err(format!("{path} belongs to the probes"));
    }
    Ok(path.to_owned())
}

fn read_host(text: &str) -> Result<String, String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(format!("{text:?} has no valid port"));
    }
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if bare.parse::<IpAddr>().is_ok() || (!name.is_empty() && is_name(name)) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("{text:?} is not a host name; every host is named, patterns are not known"))
}

fn read_origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let (scheme, host) =
        text.split_once("://").ok_or_else(|| format!("{text:?} has no scheme like https://"))?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !is_scheme || host.contains('/') {
        return Err(format!("{text:?} is not just scheme://host[:port]"));
    }
    read_host(host)?;
    Ok(text.to_ascii_lowercase())
}

fn read_glob(text: &str) -> Result<String, String> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(format!("{text:?} holds what no tool name holds"));
    }
    Glob::new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The type and the number of `TYPE=COUNT`.
pub(crate) fn type_limit(text: &str) -> Option<(&str, usize)> {
    let (name, count) = text.rsplit_once('=')?;
    let name = name.trim();
    let count = count.trim().parse().ok().filter(|count| (1..=1_000_000).contains(count))?;
    (!name.is_empty()).then_some((name, count))
}

fn read_type_limit(text: &str) -> Result<String, String> {
    let (name, count) = type_limit(text)
        .ok_or_else(|| format!("{text:?} is not TYPE=COUNT with a count from 1 to 1000000"))?;
    Ok(format!("{name}={count}"))
}

fn read_levels(raw: &Raw) -> Result<Value, String> {
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| word.eq_ignore_ascii_case(level))
    };
    let read = |item: &str| {
        let level = item.rsplit_once('=').map_or(item, |(_, level)| level);
        let target_is_named = !item.starts_with('=');
        if target_is_named && is_level(level) {
            Ok(item.to_owned())
        } else {
            Err(format!("{item:?} is no level"))
        }
    };
    let items = each(raw, read)?;
    if items.is_empty() { Err(String::new()) } else { Ok(Value::Text(items.join(","))) }
}
