//! `ringmesh keys`: the keys that seal the state of calls between their rounds.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{exit, refuse, show};
use crate::config::{FlagValue, Sources};
use crate::server;

const ROTATE_HELP: &str = "\
The key in force becomes the previous one, which is still accepted; the one before it is forgotten. A server that runs
goes on with the keys it started with, so restart it, and rotate again only when request_state_ttl_ms has passed since:
then no call is lost.";

/// The arguments of `keys`.
#[derive(Debug, clap::Args)]
pub struct Keys {
    /// What to do with them.
    #[command(subcommand)]
    pub action: KeysAction,
}

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub enum KeysAction {
    /// Make a new key.
    #[command(after_help = ROTATE_HELP)]
    Rotate(Rotate),
}

/// The arguments of `keys rotate`.
#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// The server's data directory; by default that of its configuration.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The server's configuration file; RINGMESH_CONFIG names it in the environment.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Runs `ringmesh keys` and gives the code to end with.
pub fn run_keys(keys: &Keys) -> ExitCode {
    let KeysAction::Rotate(rotate) = &keys.action;
    let flag = |value: &String| FlagValue { flag: "data-dir".to_owned(), values: vec![value.clone()] };
    let flags = rotate.data_dir.iter().map(flag).collect();
    let loaded = Sources::from_process(rotate.config.as_deref())
        .and_then(|sources| Sources { flags, ..sources }.load());
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return refuse(exit::USAGE, &error),
    };
    match server::rotate_keys(loaded.config.data_dir.as_deref()) {
        Ok(file) => show(
            &format!("{}: a new key is in place; restart the server to use it\n", file.display()),
            exit::OK,
        ),
        Err(error) => refuse(exit::FAILURE, &error),
    }
}
