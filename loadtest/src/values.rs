//! The values that flags take: servers to start, loads, lists of cores, endpoints.

use std::fmt::{self, Display};
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use clap::ValueEnum;
use ringmesh::p2p::address::PeerAddress;
use serde::Serialize;

use crate::options::Era;

/// A server to start: a name for the tables and the command that starts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedCommand {
    pub(crate) name: String,
    /// The revision after the `@` of the name, where there is one.
    pub(crate) era: Option<Era>,
    pub(crate) command: String,
}

impl FromStr for NamedCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = match text.split_once('=') {
            Some((name, command)) if !name.trim().is_empty() && !command.trim().is_empty() => {
                (name.trim().to_owned(), command.trim().to_owned())
            }
            _ => return Err(format!("{text:?} is not NAME=COMMAND")),
        };
        let era = name.split_once('@').map(|(_, era)| Era::from_str(era, false)).transpose()?;
        Ok(Self { name, era, command })
    }
}

/// Connections, and requests in flight on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) pipeline: u32,
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (connections, pipeline) = text.split_once('x').unwrap_or((text, "1"));
        match (connections.parse(), pipeline.parse()) {
            (Ok(connections @ 1..=30_000), Ok(pipeline @ 1..=1024)) => Ok(Self { connections, pipeline }),
            _ => Err(format!("{text:?} is not CONNECTIONS (1 to 30000) or CONNECTIONSxPIPELINE (1 to 1024)")),
        }
    }
}

/// Rates of an open loop, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ramp {
    first: f64,
    last: f64,
    steps: u32,
}

impl Ramp {
    /// The rates, each as far from the next as all others.
    pub(crate) fn rates(&self) -> Vec<f64> {
        let gap = (self.last - self.first) / f64::from((self.steps - 1).max(1));
        (0..self.steps).map(|step| self.first + gap * f64::from(step)).collect()
    }
}

impl FromStr for Ramp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not FIRST:LAST:STEPS, two rates from 1 to 10000000 and 2 to 100 steps");
        let [first, last, steps] = text.split(':').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let rate = |text: &str| text.parse().ok().filter(|rate| (1.0..=1e7).contains(rate));
        let steps = steps.parse().ok().filter(|steps| (2..=100).contains(steps));
        match (rate(first), rate(last), steps) {
            (Some(first), Some(last), Some(steps)) => Ok(Self { first, last, steps }),
            _ => Err(wrong()),
        }
    }
}

/// A list of cores, as the kernel writes one: `0,2-3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CpuList(pub(crate) Vec<usize>);

impl Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&cpus.join(","))
    }
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a list of cores such as 1 or 0,2-3 (at most core 1023)");
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| wrong())?;
            let last: usize = last.trim().parse().map_err(|_| wrong())?;
            if first > last || last > 1023 {
                return Err(wrong());
            }
            cpus.extend(first..=last);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

/// Where the requests go: to an HTTP endpoint, or to a peer over libp2p.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Http(Target),
    Peer(PeerAddress),
}

impl Endpoint {
    /// The HTTP endpoint, if it is one.
    pub(crate) fn http(&self) -> Option<&Target> {
        match self {
            Self::Http(target) => Some(target),
            Self::Peer(_) => None,
        }
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(target) => write!(f, "http://{}{}", target.authority, target.path),
            Self::Peer(address) => write!(f, "{address}"),
        }
    }
}

/// An HTTP endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The address to connect to.
    pub(crate) address: SocketAddr,
    /// What the Host header says.
    pub(crate) authority: String,
    /// The path of the endpoint, with its leading slash.
    pub(crate) path: String,
}

impl Target {
    /// The target of an `http://` URL.
    pub(crate) fn from_url(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| format!("{url:?} must start with http:// (there is no TLS here)"))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self::new(authority, if path.is_empty() { "/" } else { path })
    }

    /// A target from `host:port` (port 80 if left out) and a path.
    pub(crate) fn new(authority: &str, path: &str) -> Result<Self, String> {
        if !path.starts_with('/') || path.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(format!("the path {path:?} must start with / and hold no blanks"));
        }
        let with_port = if has_port(authority) { authority.to_owned() } else { format!("{authority}:80") };
        let address = with_port
            .to_socket_addrs()
            .map_err(|error| format!("{authority:?} is not a host and port that resolve: {error}"))?
            .next()
            .ok_or_else(|| format!("{authority:?} has no address"))?;
        Ok(Self { address, authority: authority.to_owned(), path: path.to_owned() })
    }
}

fn has_port(authority: &str) -> bool {
    let after_v6 = authority.rfind(']').map_or(0, |at| at + 1);
    authority[after_v6..].contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!("3,0-1".parse(), Ok(CpuList(vec![0, 1, 3])));
        for bad in ["", "a", "2-1", "0-5000", "1,,2"] {
            assert!(bad.parse::<CpuList>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ramps() {
        assert_eq!("100:300:3".parse::<Ramp>().unwrap().rates(), [100.0, 200.0, 300.0]);
        assert_eq!("300:100:2".parse::<Ramp>().unwrap().rates(), [300.0, 100.0]);
        for bad in ["", "1:2", "1:2:1", "0:2:2", "1:2:3:4", "1:x:3", "1:NaN:3"] {
            assert!(bad.parse::<Ramp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn named_commands() {
        let named: NamedCommand = "a@2025-11-25 = x --y=z".parse().unwrap();
        assert_eq!((named.name.as_str(), named.era), ("a@2025-11-25", Some(Era::V2025_11_25)));
        assert_eq!(named.command, "x --y=z");
        for bad in ["a", "=x", "a=", "a@1999-01-01=x"] {
            assert!(bad.parse::<NamedCommand>().is_err(), "{bad}");
        }
    }

    #[test]
    fn targets() {
        let target = Target::new("127.0.0.1:8000", "/mcp").unwrap();
        assert_eq!(target.address, ([127, 0, 0, 1], 8000).into());
        assert_eq!(Target::new("[::1]:81", "/").unwrap().address.port(), 81);
        assert_eq!(Target::new("[::1]", "/").unwrap().address.port(), 80);
        assert_eq!(Target::from_url("http://127.0.0.1:8000/mcp"), Ok(target));
        assert_eq!(Target::from_url("http://127.0.0.1").unwrap().path, "/");
        assert!(Target::from_url("https://127.0.0.1/").is_err());
        assert!(Target::new("127.0.0.1:8000", "mcp").is_err());
        assert!(Target::new("127.0.0.1:x", "/").is_err());
    }
}
