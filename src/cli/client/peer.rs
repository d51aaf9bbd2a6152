//! What the flags say of a peer: the key to prove oneself with, and the token.

use std::ffi::OsString;
use std::path::Path;

use super::failure::Failure;
use super::flags::Reach;
use super::target;
use crate::client::p2p::P2pOptions;
use crate::config::Secret;
use crate::p2p::identity::Identity;
use crate::runtime::{Links, read_private};

const TOKEN_VARIABLE: &str = "RINGMESH_P2P_TOKEN";
/// What the server's own setting allows: 1,024 characters of at most four bytes, and the end of the line.
const MAX_TOKEN_CHARS: usize = 1_024;
const MAX_TOKEN_FILE_BYTES: u64 = 4 * MAX_TOKEN_CHARS as u64 + 2;

/// The options for a peer. Files are read before there is an executor that they could hold up.
pub(super) fn options(reach: &Reach) -> Result<P2pOptions, Failure> {
    let is_peer = target::is_peer(&reach.target);
    if is_peer && !(reach.headers.is_empty() && reach.ca_file.is_none()) {
        return Err(Failure::usage("--header and --ca-file are for http and https; a peer knows neither"));
    }
    if !is_peer && (reach.p2p_key_file.is_some() || reach.p2p_token_file.is_some()) {
        let why = "--p2p-key-file and --p2p-token-file are for a peer: /ip4/…/tcp/…/p2p/ID";
        return Err(Failure::usage(why));
    }
    if !is_peer {
        return Ok(P2pOptions::default());
    }
    let identity = reach.p2p_key_file.as_deref().map(Identity::from_file).transpose();
    let identity = identity.map_err(|error| Failure::usage(error.to_string()))?;
    let token = match &reach.p2p_token_file {
        Some(file) => Some(token_in(file)?),
        None => token_of(std::env::var_os(TOKEN_VARIABLE))?,
    };
    Ok(P2pOptions { identity, token, ..P2pOptions::default() })
}

fn token_in(file: &Path) -> Result<Secret, Failure> {
    let wrong = |why: String| Failure::usage(format!("cannot use the token in {}: {why}", file.display()));
    let content = read_private(file, Links::Follow, MAX_TOKEN_FILE_BYTES).map_err(wrong)?;
    let content = content.ok_or_else(|| wrong("there is no such file".to_owned()))?;
    let text = String::from_utf8(content).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    checked(text.trim_end_matches(['\r', '\n'])).map_err(wrong)
}

/// An empty variable is none.
fn token_of(variable: Option<OsString>) -> Result<Option<Secret>, Failure> {
    let Some(value) = variable.filter(|value| !value.is_empty()) else { return Ok(None) };
    let text = value.into_string().map_err(|_| Failure::usage(format!("{TOKEN_VARIABLE} is not UTF-8")))?;
    checked(&text).map(Some).map_err(|why| Failure::usage(format!("cannot use {TOKEN_VARIABLE}: {why}")))
}

/// The reason never repeats the token.
fn checked(token: &str) -> Result<Secret, String> {
    let chars = token.chars().count();
    if !(1..=MAX_TOKEN_CHARS).contains(&chars) {
        return Err(format!("a token has 1 to {MAX_TOKEN_CHARS} characters, not {chars}"));
    }
    if token.chars().any(char::is_control) {
        return Err("a token is one line, without control characters".to_owned());
    }
    Ok(Secret(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(content: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_token_is_read_from_a_private_file_without_its_newline() {
        assert_eq!(token_in(file("s3cret\n", 0o600).path()).unwrap(), Secret("s3cret".into()));
        let long = "s3cret".repeat(200);
        for (content, mode, expected) in [
            ("s3cret", 0o644, "chmod 600"),
            ("\n", 0o600, "1 to 1024"),
            (&long, 0o600, "1 to 1024"),
            ("s3cret\nx", 0o600, "one line"),
        ] {
            let why = token_in(file(content, mode).path()).unwrap_err().message;
            assert!(why.contains(expected) && !why.contains("s3cret"), "{why}");
        }
        assert!(token_in(Path::new("/no/such/file")).unwrap_err().message.contains("/no/such/file"));
    }

    #[test]
    fn an_empty_variable_is_no_token() {
        assert_eq!(token_of(None).unwrap(), None);
        assert_eq!(token_of(Some("".into())).unwrap(), None);
        assert_eq!(token_of(Some("s3cret".into())).unwrap(), Some(Secret("s3cret".into())));
        assert!(token_of(Some("a\u{1}s3cret".into())).is_err_and(|error| !error.message.contains("s3cret")));
    }
}
