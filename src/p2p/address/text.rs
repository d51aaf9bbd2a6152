//! Multiaddrs from text.

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;

use super::peer_id::peer_id;

/// Bytes of a multiaddr's text; more is refused. A name has at most 253, an id about 100.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Reads any multiaddr; ids may be CIDv1.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn read_multiaddr(text: &str) -> Result<Multiaddr, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("a multiaddr has at most {MAX_TEXT_BYTES} bytes, not {}", text.len()));
    }
    let rest =
        text.strip_prefix('/').ok_or_else(|| format!("{text:?} is no multiaddr: it has no / in front"))?;
    let mut parts = rest.split('/').peekable();
    let mut address = Multiaddr::empty();
    while let Some(name) = parts.peek().copied() {
        let part = match name {
            "p2p" | "ipfs" => {
                let id = parts.nth(1).ok_or_else(|| format!("{text:?} ends where a peer id is due"))?;
                Protocol::P2p(peer_id(id).map_err(|problem| format!("{text:?}: {problem}"))?)
            }
            _ => Protocol::from_str_parts(&mut parts)
                .map_err(|error| format!("{text:?} is no multiaddr: {}", explain(name, &error)))?,
        };
        address.push(part);
    }
    Ok(address)
}

fn explain(name: &str, error: &libp2p_core::multiaddr::Error) -> String {
    use libp2p_core::multiaddr::Error;
    match (name, error) {
        ("", _) => "there is nothing between two slashes, or after the last".to_owned(),
        (_, Error::InvalidProtocolString) => format!("it ends where the value of /{name} is due"),
        (_, Error::UnknownProtocolString(_)) => format!("/{name} is not known"),
        ("tcp" | "udp", _) => format!("the value of /{name} is no port from 0 to 65535"),
        (_, error) => format!("the value of /{name} cannot be read: {error}"),
    }
}
