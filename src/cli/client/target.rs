//! TARGET on the command line: a URL, or what stands for one.

use crate::client::http::HttpTarget;

/// Where a server's endpoint is when nobody says otherwise.
const ENDPOINT: &str = "/mcp";

/// The URL that TARGET means. `host:port` means http, and without a path the endpoint is `/mcp`.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed, without secrets.
pub(super) fn url(target: &str) -> Result<String, String> {
    if target.starts_with('/') {
        let why = "libp2p addresses are not supported here yet; name an http or https URL, or host:port";
        return Err(format!("bad target: {why}"));
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
    Err("bad target: name a URL (http://host/path, https://host/path) or host:port".to_owned())
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
            ("https://a.example/", "https://a.example/"),
            ("https://a.example/v1/mcp?x", "https://a.example/v1/mcp?x"),
        ] {
            assert_eq!(url(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn what_is_no_target_is_said() {
        for (target, expected) in [
            ("/ip4/127.0.0.1/tcp/1", "libp2p"),
            ("localhost", "host:port"),
            ("", "host:port"),
            ("ftp://a", "http or https"),
            ("http://u:s3cret@a", "user name"),
            ("u:s3cret@a:1", "user name"),
            ("a:0", "from 1 to 65535"),
        ] {
            let why = url(target).unwrap_err();
            assert!(why.contains(expected) && !why.contains("s3cret"), "{target}: {why}");
        }
    }
}
