//! The log: lines on standard error, for people or for machines.

use std::fmt;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The word that configures it.
    pub fn as_str(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}

/// Why the log could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogError {
    /// The filter is not a list of levels; holds the reason.
    BadFilter(String),
    /// The process has a log already, which stays in force.
    AlreadySet,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::BadFilter(reason) => write!(f, "the log filter cannot be used: {reason}"),
            LogError::AlreadySet => f.write_str("the process has a log already; it stays as it is"),
        }
    }
}

impl std::error::Error for LogError {}

/// Sends the process's log to standard error. `filter` is a level, or `target=level` by commas.
///
/// # Errors
/// A filter that cannot be read, or a log that was set up before (by the program that embeds the server, say).
pub fn init_tracing(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| LogError::BadFilter(error.to_string()))?;
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = Subscriber::builder()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        // With a closed standard error the complaint about it would panic, on whatever core was logging.
        .log_internal_errors(false);
    let outcome = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(log.finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(log.json().flatten_event(true).finish()),
    };
    outcome.map_err(|_| LogError::AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_log_is_refused_without_a_panic() {
        assert!(matches!(init_tracing("info,ringmesh=loud", LogFormat::Text), Err(LogError::BadFilter(_))));
        let _ = init_tracing("off", LogFormat::Text);
        assert_eq!(init_tracing("off", LogFormat::Json), Err(LogError::AlreadySet));
    }
}
