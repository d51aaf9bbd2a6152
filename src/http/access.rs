//! Who may ask at all: the Host and Origin checks that keep a web page of elsewhere away from a local server.
//!
//! A page whose name an attacker points at 127.0.0.1 (DNS rebinding) still sends its own name in Host, and a page of
//! another site sends its own Origin. Both are compared exactly; a prefix or a suffix is never enough.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::fields::Fields;
use super::origin::{Origin, OriginRule};
use super::reject::Reject;
use super::response::CorsGrant;
use super::target::{Authority, Host};

/// What the policy is built from.
#[derive(Debug, Default, Clone, Copy)]
pub struct AccessOptions<'a> {
    /// The addresses that the server listens on.
    pub bound: &'a [SocketAddr],
    /// The machine's own addresses, which a wildcard address stands for while no host is named.
    pub machine_addresses: &'a [IpAddr],
    /// Further hosts, as `host` (any port) or `host:port` (`--allowed-host`, `MCP_ALLOWED_HOSTS`).
    pub allowed_hosts: &'a [String],
    /// Origins whose pages may call, as `scheme://host[:port]`, or `*` for any (`MCP_CORS_ORIGINS`).
    pub cors_origins: &'a [String],
    /// True when every request must authenticate.
    pub authentication: bool,
}

/// Why a policy cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessError {
    /// An allowed host is neither `host` nor `host:port`.
    BadHost(String),
    /// A CORS origin is neither `*` nor `scheme://host[:port]`.
    BadOrigin(String),
    /// `*` among the CORS origins, and no authentication.
    AnyOriginWithoutAuthentication,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::BadHost(host) => {
                write!(
                    f,
                    "allowed host {host:?} is not of the form host or host:port; name each host, there is no wildcard"
                )
            }
            AccessError::BadOrigin(origin) => {
                write!(
                    f,
                    "CORS origin {origin:?} is neither * nor of the form scheme://host or scheme://host:port"
                )
            }
            AccessError::AnyOriginWithoutAuthentication => f.write_str(
                "the CORS origin * lets any web page call this server and is refused while there is no authentication; \
                 list the origins",
            ),
        }
    }
}

impl std::error::Error for AccessError {}

/// The Host and Origin checks, built once at start. Loopback names are always served.
#[derive(Debug, Clone)]
pub struct AccessPolicy {
    addresses: Vec<IpAddr>,
    hosts: Vec<HostRule>,
    origins: OriginRule,
    /// A wildcard address is bound and no host is named, so the machine's addresses are a guess.
    guessed: bool,
}

/// A host that was named, with its port if one was.
#[derive(Debug, Clone)]
struct HostRule {
    text: String,
}

impl HostRule {
    fn authority(&self) -> Option<Authority<'_>> {
        Authority::parse(self.text.as_bytes())
    }

    /// `port` is the one that was written, or the one that the scheme means.
    fn admits(&self, host: Host<'_>, port: Option<u16>) -> bool {
        self.authority().is_some_and(|rule| rule.host == host && (rule.port.is_none() || rule.port == port))
    }
}

impl AccessPolicy {
    /// Builds the policy.
    ///
    /// # Errors
    /// A host or an origin that cannot be read, and `*` without authentication.
    pub fn new(options: &AccessOptions<'_>) -> Result<AccessPolicy, AccessError> {
        let wildcard = options.bound.iter().any(|address| address.ip().is_unspecified());
        let guessed = wildcard && options.allowed_hosts.is_empty();
        let bound = options.bound.iter().map(SocketAddr::ip).filter(|address| !address.is_unspecified());
        let machine = options.machine_addresses.iter().copied().filter(|_| guessed);
        let addresses = bound.chain(machine).map(|address| address.to_canonical()).collect();
        let hosts = options.allowed_hosts.iter().map(|text| {
            let rule = HostRule { text: text.trim().to_owned() };
            if rule.authority().is_some() { Ok(rule) } else { Err(AccessError::BadHost(text.clone())) }
        });
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let origins = OriginRule::new(options.cors_origins)?;
        if origins.any && !options.authentication {
            return Err(AccessError::AnyOriginWithoutAuthentication);
        }
        Ok(AccessPolicy { addresses, hosts, origins, guessed })
    }

    /// Checks Host and Origin of a request.
    ///
    /// # Errors
    /// 403 for a Host that is not served and for an Origin that may not call; the connection lives on.
    pub fn check<'a>(&self, fields: &Fields<'a>) -> Result<CorsGrant<'a>, Reject> {
        let host = fields.host.and_then(Authority::parse);
        let Some(host) = host.filter(|host| self.serves(*host)) else {
            return Err(refuse_host(fields.host));
        };
        match fields.origin {
            None => Ok(CorsGrant::default()),
            Some(origin) => self.check_origin(origin, host),
        }
    }

    /// What to tell the operator of a wildcard address at start, when no host was named.
    pub fn advice(&self) -> Option<String> {
        self.guessed.then(|| {
            let addresses: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
            format!(
                "listening on every address; requests are answered for localhost and the machine's own addresses \
                 ({}); to be reached by a name, add --allowed-host NAME or set MCP_ALLOWED_HOSTS=NAME",
                addresses.join(", ")
            )
        })
    }

    fn serves(&self, authority: Authority<'_>) -> bool {
        is_loopback(authority.host)
            || matches!(authority.host, Host::Ip(address) if self.addresses.contains(&address))
            || self.hosts.iter().any(|rule| rule.admits(authority.host, authority.port))
    }

    fn check_origin<'a>(&self, text: &'a [u8], host: Authority<'_>) -> Result<CorsGrant<'a>, Reject> {
        if text == b"null" {
            let message = "a page without an origin (Origin: null) may not call this server";
            return Err(Reject::new(403, "origin_null", message));
        }
        let Some(origin) = Origin::parse(text) else {
            return Err(Reject::new(
                403,
                "bad_origin",
                "Origin must be of the form scheme://host or scheme://host:port",
            ));
        };
        let admitted = self.is_own(&origin, host) || self.origins.admits(&origin);
        if !admitted {
            let message = format!(
                "pages of {} may not call this server; MCP_CORS_ORIGINS lists those that may",
                origin.text
            );
            return Err(Reject::new(403, "origin_not_allowed", message));
        }
        Ok(CorsGrant { origin: Some(origin.text) })
    }

    /// True for a page that this machine serves: of a loopback name with any port, of the very host and port that the
    /// request names, or of a host that the operator named.
    fn is_own(&self, origin: &Origin<'_>, host: Authority<'_>) -> bool {
        let Some(default_port) = origin.web_port() else { return false };
        let port = origin.authority.port.unwrap_or(default_port);
        let same = origin.authority.host == host.host && port == host.port.unwrap_or(default_port);
        let named = self.hosts.iter().any(|rule| {
            let written = rule.authority().and_then(|authority| authority.port);
            rule.admits(origin.authority.host, Some(port)) && (written.is_some() || port == default_port)
        });
        is_loopback(origin.authority.host) || same || named
    }
}

/// `localhost`, 127/8 and `::1`.
fn is_loopback(host: Host<'_>) -> bool {
    match host {
        Host::Ip(address) => address.is_loopback(),
        Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
    }
}

fn refuse_host(host: Option<&[u8]>) -> Reject {
    let Some(host) = host.and_then(|host| std::str::from_utf8(host).ok()) else {
        return Reject::new(403, "host_not_allowed", "the request has no Host header, which this path needs");
    };
    let message = format!(
        "the host {host:?} is not served here; if it should be, start the server with --allowed-host {host} \
         or MCP_ALLOWED_HOSTS={host}"
    );
    Reject::new(403, "host_not_allowed", message)
}
