//! The commands that ask a server: `tools`, `call`, `resources`, `read`, `prompts`, `prompt` and `discover`.
//!
//! The path of one command: `flags` and `arguments` (what was asked, checked) → `session` (one executor, the
//! connection, signals) → `commands` (the requests) → `lists`, `content` (the answer for people). What the server asks
//! or tells meanwhile goes through `terminal`.

mod arguments;
mod ask;
mod commands;
mod content;
mod failure;
mod flags;
mod form;
mod lists;
mod peer;
mod save;
mod schema;
mod session;
mod target;
mod terminal;
mod text;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{print, refuse};
use crate::client::ClientOptions;
use crate::client::p2p::P2pOptions;
use crate::observe::{self, LogFormat};
use crate::p2p::identity::Identity;
use commands::{Arguments, Job};
use failure::Failure;
use save::Directory;

pub use flags::{HeaderFlag, Output, Reach};

/// Bytes of arguments read from standard input.
const MAX_INPUT_BYTES: u64 = 16 << 20;

const AFTER_HELP: &str = "\
Exit codes:
  0    the server did what was asked
  1    the tool says that it failed, or the server answered with an error
  2    the command line is wrong
  3    the machine lacks something that is needed (see `ringmesh check`)
  4    the server cannot be reached, or the connection broke
  5    no answer came in time
  6    the answer is not what the protocol has
  130  a signal interrupted it; the server is told
The result goes to standard output, everything else to standard error.";

const CALL_HELP: &str = "\
Arguments:
  key=value    the tool's schema says what it becomes: a text, a number, true or false, …
  key:=json    JSON, whatever the schema says
  A list takes key=value once for each item. A value whose type the schema leaves open is a text.

Examples:
  ringmesh call localhost:8000 echo message=hello
  ringmesh call https://mcp.example.com/mcp add a=1 b=2 --output json
  ringmesh call localhost:8000 search tags=new tags=red 'filter:={\"year\":2026}'
  ringmesh call localhost:8000 echo --json '{\"message\":\"hello\"}'
  ringmesh call https://mcp.example.com/mcp whoami --header @token.txt
  ringmesh call /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW… echo message=hello
";

/// The commands that ask a server.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// List a server's tools and their arguments.
    #[command(after_help = AFTER_HELP)]
    Tools(Ask),
    /// Call a tool of a server.
    #[command(after_help = format!("{CALL_HELP}\n{AFTER_HELP}"))]
    Call(Call),
    /// List a server's resources and templates of resources.
    #[command(after_help = AFTER_HELP)]
    Resources(Ask),
    /// Read a resource of a server.
    #[command(after_help = AFTER_HELP)]
    Read(ReadResource),
    /// List a server's prompts and their arguments.
    #[command(after_help = AFTER_HELP)]
    Prompts(Ask),
    /// Fill in a prompt of a server.
    #[command(after_help = AFTER_HELP)]
    Prompt(FillPrompt),
    /// Say who a server is, which revisions it speaks and what it offers.
    #[command(after_help = AFTER_HELP)]
    Discover(Ask),
}

/// A command with nothing but a target.
#[derive(Debug, clap::Args)]
pub struct Ask {
    /// The server.
    #[command(flatten)]
    pub reach: Reach,
}

/// The arguments of `call`.
#[derive(Debug, clap::Args)]
pub struct Call {
    /// The server.
    #[command(flatten)]
    pub reach: Reach,
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    #[arg(value_name = "KEY=VALUE")]
    pub arguments: Vec<String>,
    /// All arguments as one JSON object; `-` reads it from standard input.
    #[arg(long, value_name = "JSON", conflicts_with = "arguments", allow_hyphen_values = true)]
    pub json: Option<String>,
    /// Write images, audio and other bytes to new files in this directory.
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

/// The arguments of `read`.
#[derive(Debug, clap::Args)]
pub struct ReadResource {
    /// The server.
    #[command(flatten)]
    pub reach: Reach,
    /// The resource's URI.
    pub uri: String,
    /// Write bytes that are no text to new files in this directory.
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

/// The arguments of `prompt`.
#[derive(Debug, clap::Args)]
pub struct FillPrompt {
    /// The server.
    #[command(flatten)]
    pub reach: Reach,
    /// The prompt's name.
    pub name: String,
    /// Its arguments, which are texts.
    #[arg(value_name = "KEY=VALUE")]
    pub arguments: Vec<String>,
    /// Write images, audio and other bytes to new files in this directory.
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

impl ClientCommand {
    fn reach(&self) -> &Reach {
        match self {
            Self::Tools(ask) | Self::Resources(ask) | Self::Prompts(ask) | Self::Discover(ask) => &ask.reach,
            Self::Call(call) => &call.reach,
            Self::Read(read) => &read.reach,
            Self::Prompt(prompt) => &prompt.reach,
        }
    }
}

/// Where the server is and how it is spoken to, for a command that shows no answers and asks nobody.
#[derive(Debug)]
pub(super) struct Unattended(flags::Plan);

impl Unattended {
    /// Reads the flags, and looks whether this machine can run an executor.
    ///
    /// # Errors
    /// The code to end with, and why.
    pub(super) fn new(reach: &Reach) -> Result<Unattended, (u8, String)> {
        let told = |failure: Failure| (failure.code, failure.message);
        let plan = reach.plan().map_err(told)?;
        session::check_machine().map_err(told)?;
        Ok(Unattended(plan))
    }

    /// The server, and the options of a client of it. They stay on the thread that asks for them.
    pub(super) fn client(self) -> (String, ClientOptions) {
        let Unattended(plan) = self;
        let mut options = ClientOptions::new("ringmesh", env!("CARGO_PKG_VERSION"));
        // A client for good has one key for good.
        let identity = plan.p2p.identity.clone().unwrap_or_else(Identity::ephemeral);
        options.p2p = P2pOptions { identity: Some(identity), ..plan.p2p };
        (options.http, options.revision) = (plan.http, plan.revision);
        (options.request_timeout, options.max_request_timeout) = (plan.timeout, plan.timeout);
        (plan.target, options)
    }
}

/// Asks the server and shows its answer.
pub fn run_client(command: ClientCommand) -> ExitCode {
    // Warnings of the library, of a tool that is left out for example, are worth a line.
    let _ = observe::init_tracing("warn", LogFormat::Text);
    let output = command.reach().output;
    match prepare(command).and_then(|(reach, job)| session::run(reach.plan()?, job)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if output == Output::Json && !failure.has_result {
                // The exit code tells it as well, and so does standard error.
                let _ = print(&format!("{}\n", failure.document()));
            }
            refuse(failure.code, &failure.message)
        }
    }
}

fn prepare(command: ClientCommand) -> Result<(Reach, Job), Failure> {
    Ok(match command {
        ClientCommand::Tools(ask) => (ask.reach, Job::Tools),
        ClientCommand::Resources(ask) => (ask.reach, Job::Resources),
        ClientCommand::Prompts(ask) => (ask.reach, Job::Prompts),
        ClientCommand::Discover(ask) => (ask.reach, Job::Discover),
        ClientCommand::Call(call) => {
            let arguments = match &call.json {
                Some(text) if text == "-" => Arguments::Whole(object(&read_input()?)?),
                Some(text) => Arguments::Whole(object(text)?),
                None => Arguments::Named(arguments::split(&call.arguments).map_err(Failure::usage)?),
            };
            (call.reach, Job::Call { tool: call.tool, arguments, save: call.save.map(Directory) })
        }
        ClientCommand::Read(read) => {
            (read.reach, Job::Read { uri: read.uri, save: read.save.map(Directory) })
        }
        ClientCommand::Prompt(prompt) => {
            let givens = arguments::split(&prompt.arguments).map_err(Failure::usage)?;
            let arguments = arguments::texts(givens).map_err(Failure::usage)?;
            (prompt.reach, Job::Prompt { name: prompt.name, arguments, save: prompt.save.map(Directory) })
        }
    })
}

fn object(text: &str) -> Result<serde_json::Value, Failure> {
    arguments::object(text).map_err(Failure::usage)
}

fn read_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_INPUT_BYTES + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 <= MAX_INPUT_BYTES => Ok(text),
        Ok(_) => Err(Failure::usage(format!("the arguments have more than {MAX_INPUT_BYTES} bytes"))),
        Err(error) => Err(Failure::usage(format!("cannot read the arguments: {error}"))),
    }
}
