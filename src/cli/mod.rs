//! The command line: `ringmesh serve`, `check`, `id`, `journal`, `keys` and `worker`, and the commands that ask a server.
//!
//! Parsing ends in a [`Command`]; [`configure`] takes `serve` as far as a configuration; [`run_check`], [`run_id`],
//! [`run_journal`], [`run_keys`], [`run_worker`], [`run_reaper`], [`run_client`] and [`print_completions`] are the whole of the others. Whatever a person should read is printed here and nowhere else.

mod check;
mod client;
mod completions;
mod flags;
mod id;
mod journal;
mod keys;
mod worker;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Loaded;
use crate::observe;

pub use check::{Check, run_check};
pub use client::{Ask, Call, ClientCommand, FillPrompt, HeaderFlag, Output, Reach, ReadResource, run_client};
pub use completions::{Completions, print_completions};
pub use flags::SettingFlags;
pub use id::{Id, run_id};
pub use journal::{Dump, Journal, JournalAction, JournalPlace, run_journal};
pub use keys::{Keys, KeysAction, Rotate, run_keys};
pub use worker::{WorkerFlags, run_reaper, run_worker};

/// The codes with which the command ends.
pub mod exit {
    /// Everything went well, a stop by the first signal included.
    pub const OK: u8 = 0;
    /// The server failed while it ran; of a question to a server: it answered with an error, or the tool failed.
    pub const FAILURE: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// The machine lacks something that the server needs; see `ringmesh check`.
    pub const PREFLIGHT: u8 = 3;
    /// The server that was asked cannot be reached, or the connection broke.
    pub const UNREACHABLE: u8 = 4;
    /// The server that was asked did not answer in time.
    pub const TIMEOUT: u8 = 5;
    /// The server that was asked does not keep to the protocol.
    pub const PROTOCOL: u8 = 6;
    /// A signal interrupted a question to a server.
    pub const INTERRUPTED: u8 = 130;
    /// A second signal ended the process at once.
    pub const SECOND_SIGNAL: u8 = 130;
}

const AFTER_HELP: &str = "\
Exit codes:
  0    it ended well, also when a signal asked for it
  1    it failed while it ran
  2    the command line or the configuration is wrong
  3    the machine lacks something that is needed (see `ringmesh check`)
  4-6  a server that was asked: cannot be reached, too late, not the protocol
  130  a second signal ended it at once, or a signal a question to a server";

const SERVE_EXAMPLES: &str = "\
Examples:
  ringmesh serve
  ringmesh serve --listen 0.0.0.0:8000 --allowed-host mcp.example.com --cores 0-3
  ringmesh serve --config /etc/ringmesh/ringmesh.toml --limit max_body_bytes=1048576
  ringmesh serve --config ringmesh.toml --print-config

Each flag wins over its variable in the environment (RINGMESH_LISTEN and so on), which wins over the file.
Limits and their names: docs/configuration.md, or --print-config.";

/// A thread-per-core server for the Model Context Protocol.
#[derive(Debug, Parser)]
#[command(name = "ringmesh", version, about, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the command was asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM, SIGINT or SIGHUP.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Check whether this machine can run the server, and say what to mend.
    Check(Check),
    /// Show the peer id of this node, and the addresses that its peers use.
    #[command(after_help = id::EXAMPLES)]
    Id(Id),
    /// The commands that ask a server.
    #[command(flatten)]
    Client(Box<ClientCommand>),
    /// Print the completions for a shell.
    #[command(after_help = completions::EXAMPLES)]
    Completions(Completions),
    /// Look at what outlives the process: check it, or print it.
    #[command(after_help = journal::EXAMPLES)]
    Journal(Journal),
    /// Renew the keys that seal the state of calls between their rounds.
    Keys(Keys),
    /// Claim tasks from a server, and run a command for each.
    #[command(after_help = worker::HELP)]
    Worker(Box<WorkerFlags>),
    /// End what a worker has started once the worker is gone; the worker starts it itself.
    #[command(hide = true)]
    WorkerReaper,
}

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// The settings that were given.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Print every value in force with its origin, secrets masked, and end.
    #[arg(long)]
    pub print_config: bool,
}

/// Reads the process's command line. Help, version and usage errors are printed, and end with their exit code.
///
/// # Errors
/// The code to end with, when there is nothing left to do.
pub fn parse() -> Result<Command, ExitCode> {
    parse_from(std::env::args_os())
}

/// Reads a command line; the first argument is the program's name.
///
/// # Errors
/// As [`parse`].
pub fn parse_from<A: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = A>,
) -> Result<Command, ExitCode> {
    Cli::try_parse_from(arguments).map(|cli| cli.command).map_err(|message| {
        // A reader that went away is no reason for another error.
        let _ = message.print();
        ExitCode::from(if message.use_stderr() { exit::USAGE } else { exit::OK })
    })
}

/// Takes `serve` as far as its configuration: loads it, prints it if that was asked for, and sets up the log.
///
/// # Errors
/// The code to end with; what is wrong has been printed.
pub fn configure(serve: &Serve) -> Result<Loaded, ExitCode> {
    let loaded = serve.settings.load().map_err(|error| refuse(exit::USAGE, &error))?;
    if serve.print_config {
        return Err(show(&loaded.print_config(), exit::OK));
    }
    let log = observe::init_tracing(loaded.config.log_filter(), loaded.config.log_format);
    // A log that is there already is the embedding program's; it serves as well.
    if let Err(error @ observe::LogError::BadFilter(_)) = log {
        return Err(refuse(exit::USAGE, &error));
    }
    loaded.notes.iter().for_each(|note| tracing::warn!("{note}"));
    Ok(loaded)
}

/// Prints why the command ends, and gives the code to end with.
pub fn refuse(code: u8, reason: &dyn std::fmt::Display) -> ExitCode {
    // A closed standard error leaves only the code to tell what happened.
    let _ = writeln!(io::stderr(), "ringmesh: {reason}");
    ExitCode::from(code)
}

/// Writes to standard output; a reader that closed it early has what it wanted.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Prints what was asked for and gives the code to end with: this one, unless it could not be written.
fn show(text: &str, code: u8) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::from(code),
        Err(error) => refuse(exit::FAILURE, &unwritten(&error)),
    }
}

fn unwritten(error: &io::Error) -> String {
    format!("cannot write to standard output: {error}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_explains_itself() {
        Cli::command().debug_assert();
        let mut command = Cli::command();
        let serve = command.find_subcommand_mut("serve").unwrap();
        let help = serve.render_long_help().to_string();
        for text in ["--listen <IP:PORT>", "--cores", "--limit <NAME=VALUE>", "--print-config", "Examples:"] {
            assert!(help.contains(text), "{text} is missing in\n{help}");
        }
        assert!(Cli::command().render_long_help().to_string().contains("130  a second signal"));
    }

    #[test]
    fn a_command_line_becomes_a_command() {
        let serve =
            parse_from(["ringmesh", "serve", "--listen", "[::1]:0", "--debug", "--print-config"]).unwrap();
        assert!(matches!(serve, Command::Serve(Serve { print_config: true, .. })));
        assert!(matches!(parse_from(["ringmesh", "check", "--json"]).unwrap(), Command::Check(_)));
        assert!(matches!(parse_from(["ringmesh", "id", "--json"]).unwrap(), Command::Id(_)));
        assert!(matches!(parse_from(["ringmesh", "keys", "rotate"]).unwrap(), Command::Keys(_)));
        let verify = parse_from(["ringmesh", "journal", "verify", "--data-dir", "/x"]).unwrap();
        assert!(matches!(verify, Command::Journal(Journal { action: JournalAction::Verify(_) })));
    }
}
