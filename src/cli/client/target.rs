//! TARGET on the command line: a URL, or what stands for one, or where a peer is.

use crate::client::http::HttpTarget;
use crate::p2p::address::PeerAddress;

/// Where a server's endpoint is when nobody says otherwise.
const ENDPOINT: &str = "/mcp";

/// Whether TARGET is a multiaddr, which means a peer.
pub(super) fn is_peer(target: &str) -> bool {
    target.starts_with('/')
}

/// What TARGET means: a multiaddr that ends in the id of a peer, or a URL. `host:port` means http, and without a path
/// the endpoint is `/mcp`.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed, without secrets.
pub(super) fn whole(target: &str) -> Result<String, String> {
    if is_peer(target) {
        let peer = target.parse::<PeerAddress>().map_err(|why| format!("bad target: {why}"))?;
        return Ok(peer.to_string());
    }
    let url = match target.contains("://") {
        true => target.to_owned(),
        false => with_scheme(target)?,
    };
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    let url = match url[end..].starts_with('/') {
        true => url,
        false => format!("{}{ENDPOINT}{}", &url[..end], &url[end..]),
    };
    HttpTarget::parse(&url).map_err(|error| error.to_string())?;
    Ok(url)
}

fn with_scheme(target: &str) -> Result<String, String> {
    let authority = target.split(['/', '?', '#']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    let is_port = port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    if is_port || authority.contains('@') {
        return Ok(format!("http://{target}"));
    }
    let allowed = "a URL (http://host/path, https://host/path), host:port, or a peer (/ip4/…/tcp/…/p2p/ID)";
    Err(format!("bad target: name {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_mcp_unless_a_path_says_otherwise() {
        for (target, expected) in [
            ("localhost:8000", "http://localhost:8000/mcp"),
            ("[::1]:8000", "http://[::1]:8000/mcp"),
            ("127.0.0.1:1/other", "http://127.0.0.1:1/other"),
            ("http://a", "http://a/mcp"),
            ("http://a:1?key=x/y", "http://a:1/mcp?key=x/y"),
            (
                "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWMMm5siUf1HZDte63yYEXQ1mgFwvYkiXRQwNejB5brsHJ",
                "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWMMm5siUf1HZDte63yYEXQ1mgFwvYkiXRQwNejB5brsHJ",
            ),
            ("https://a.example/", "https://a.example/"),
            ("https://a.example/v1/mcp?x", "https://a.example/v1/mcp?x"),
        ] {
            assert_eq!(whole(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn what_is_no_target_is_said() {
        for (target, expected) in [
            ("/ip4/127.0.0.1/tcp/1", "does not end in /p2p/ID"),
            ("/ip4/127.0.0.1/udp/1/p2p/12D3KooWMMm5siUf1HZDte63yYEXQ1mgFwvYkiXRQwNejB5brsHJ", "UDP"),
            ("/mcp", "multiaddr"),
            ("localhost", "host:port"),
            ("", "host:port"),
            ("ftp://a", "http or https"),
            ("http://u:s3cret@a", "user name"),
            ("u:s3cret@a:1", "user name"),
            ("a:0", "from 1 to 65535"),
        ] {
            let why = whole(target).unwrap_err();
            assert!(why.contains(expected) && !why.contains("s3cret"), "{target}: {why}");
        }
    }
}
