//! The flags that all commands for a server share, and what becomes of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use super::failure::Failure;
use super::{peer, target};
use crate::client::http::HttpOptions;
use crate::client::p2p::P2pOptions;
use crate::client::{Revision, Root};
use crate::mcp::LogLevel;

/// Bytes of a file of headers.
const MAX_HEADER_FILE_BYTES: u64 = 64 << 10;

/// How a server is reached and its answer shown.
#[derive(Debug, Clone, clap::Args)]
pub struct Reach {
    /// The server: an http or https URL, or host:port; without a path, /mcp is meant. Or a peer over libp2p:
    /// /ip4/…/tcp/…/p2p/ID.
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
    /// Seconds that an answer may take, connecting included. On a terminal, progress and questions to you begin them
    /// anew, up to ten minutes.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// A header for every request, for example `Authorization: Bearer …`. `@FILE` reads one a line from a file, which
    /// keeps a secret out of the list of processes. May be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<HeaderFlag>,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The private key to prove oneself with to a peer; without it, a new one each time.
    #[arg(long, value_name = "FILE")]
    pub p2p_key_file: Option<PathBuf>,
    /// A file with the token that a peer's operator shares; without it, RINGMESH_P2P_TOKEN. It is sent to the peer that
    /// TARGET names, once that has proved its id.
    #[arg(long, value_name = "FILE")]
    pub p2p_token_file: Option<PathBuf>,
    /// The revision to speak, instead of finding out what the server speaks.
    #[arg(long, value_name = "REVISION", value_parser = revisions())]
    pub protocol_version: Option<String>,
    /// A directory that the server is told it may work in. May be repeated.
    #[arg(long = "roots", value_name = "PATH")]
    pub roots: Vec<PathBuf>,
    /// Show the server's log on standard error, from this level on.
    #[arg(long, value_name = "LEVEL", value_parser = LogLevel::ALL.map(LogLevel::as_str))]
    pub log_level: Option<String>,
}

fn revisions() -> Vec<&'static str> {
    Revision::ALL.iter().map(|revision| revision.as_str()).collect()
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document, as the server wrote it.
    Json,
}

/// A header, or `@` and a file of them. What it holds is a secret: it is checked late, so that no error repeats it.
#[derive(Clone)]
pub struct HeaderFlag(String);

impl FromStr for HeaderFlag {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for HeaderFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderFlag")
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    if !(0.001..=86_400.0).contains(&seconds) {
        return Err("it must be from 0.001 to 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// What the flags come to.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) target: String,
    pub(super) http: HttpOptions,
    pub(super) p2p: P2pOptions,
    pub(super) timeout: Duration,
    pub(super) revision: Option<Revision>,
    pub(super) roots: Vec<Root>,
    pub(super) log_level: Option<LogLevel>,
    pub(super) output: Output,
}

impl Reach {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        let target = target::whole(&self.target).map_err(Failure::usage)?;
        let p2p = peer::options(self)?;
        let mut headers = Vec::new();
        for HeaderFlag(text) in &self.headers {
            match text.strip_prefix('@') {
                Some(file) => read_headers(Path::new(file), &mut headers)?,
                None => headers.push(header(text).ok_or_else(|| bad_header("the text after --header"))?),
            }
        }
        let http = HttpOptions { headers, ca_file: self.ca_file.clone(), ..HttpOptions::default() };
        Ok(Plan {
            target,
            http,
            p2p,
            timeout: self.timeout,
            revision: self.protocol_version.as_deref().and_then(Revision::parse),
            roots: self.roots.iter().map(|path| root(path)).collect::<Result<_, _>>()?,
            log_level: self.log_level.as_deref().and_then(LogLevel::parse),
            output: self.output,
        })
    }
}

fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn bad_header(what: &str) -> Failure {
    Failure::usage(format!("{what} is no header; write NAME: VALUE"))
}

fn read_headers(file: &Path, headers: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let unreadable = |error: &dyn fmt::Display| {
        Failure::usage(format!("cannot read the headers in {}: {error}", file.display()))
    };
    let length = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if length > MAX_HEADER_FILE_BYTES {
        return Err(unreadable(&format!("it has more than {MAX_HEADER_FILE_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let what = format!("line {} of {}", index + 1, file.display());
        headers.push(header(line).ok_or_else(|| bad_header(&what))?);
    }
    Ok(())
}

/// A directory as a `file://` address.
fn root(path: &Path) -> Result<Root, Failure> {
    let whole = std::fs::canonicalize(path)
        .map_err(|error| Failure::usage(format!("cannot offer the root {}: {error}", path.display())))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let mut uri = String::from("file://");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(whole.as_os_str()) {
        match plain(*byte) {
            true => uri.push(char::from(*byte)),
            false => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Root { uri, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for text in ["0", "-1", "NaN", "inf", "90000", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_root_is_a_whole_address_with_odd_letters_escaped() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("a b%ü");
        std::fs::create_dir(&odd).unwrap();
        let root = root(&odd).unwrap();
        assert!(root.uri.starts_with("file:///") && root.uri.ends_with("/a%20b%25%C3%BC"), "{}", root.uri);
        assert_eq!(root.name.as_deref(), Some("a b%ü"));
        assert!(super::root(Path::new("/no/such/place")).unwrap_err().message.contains("/no/such/place"));
    }

    #[test]
    fn headers_come_from_a_file_and_no_error_repeats_a_value() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Authorization: Bearer s3cret\n\nX:y:z\n").unwrap();
        let mut headers = Vec::new();
        read_headers(file.path(), &mut headers).unwrap();
        assert_eq!(headers[0], ("Authorization".into(), "Bearer s3cret".into()));
        assert_eq!(headers[1], ("X".into(), "y:z".into()));
        std::fs::write(file.path(), "s3cret").unwrap();
        let why = read_headers(file.path(), &mut headers).unwrap_err().message;
        assert!(why.contains("line 1") && !why.contains("s3cret"), "{why}");
        assert_eq!(format!("{:?}", HeaderFlag("s3cret".into())), "HeaderFlag");
    }
}
