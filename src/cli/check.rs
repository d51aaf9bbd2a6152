//! `ringmesh check`: what this machine offers, line by line.

use std::process::ExitCode;

use super::{SettingFlags, exit, refuse, show};
use crate::runtime::preflight;
use crate::server::plan;

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The settings to check for; cores and `max_connections` matter.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Print one JSON array instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// Checks the machine for the configuration that `serve` would use, and prints a line for each check.
pub fn run_check(check: &Check) -> ExitCode {
    let loaded = match check.settings.load() {
        Ok(loaded) => loaded,
        Err(error) => return refuse(exit::USAGE, &error),
    };
    let report = preflight::examine(&plan(&loaded.config));
    let text = match check.json {
        true => {
            let json = serde_json::to_string_pretty(&report.checks);
            json.expect("invariant: checks are plain text") + "\n"
        }
        false => report.to_string(),
    };
    show(&text, if report.failures().next().is_some() { exit::PREFLIGHT } else { exit::OK })
}
