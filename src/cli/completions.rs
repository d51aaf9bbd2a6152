//! `ringmesh completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, exit, show};

pub(super) const EXAMPLES: &str = "\
Examples:
  ringmesh completions bash > ~/.local/share/bash-completion/completions/ringmesh
  ringmesh completions zsh > ~/.zfunc/_ringmesh
  ringmesh completions fish > ~/.config/fish/completions/ringmesh.fish";

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints a script for the shell.
pub fn print_completions(completions: &Completions) -> ExitCode {
    let all = Cli::command();
    // The generators offer what help does not show, too.
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut command = clap::Command::new("ringmesh").version(env!("CARGO_PKG_VERSION")).subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, "ringmesh", &mut script);
    show(&String::from_utf8_lossy(&script), exit::OK)
}
