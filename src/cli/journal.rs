//! `ringmesh journal`: looks at what outlives the process, and changes nothing.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use futures_lite::future::block_on;

use super::{exit, refuse, show, unwritten};
use crate::config::{FlagValue, Sources};
use crate::journal::{self, Dumped, Report};
use crate::runtime::log_file::JournalFolder;
use crate::server;

pub(super) const EXAMPLES: &str = "\
Stop the server first: what it writes meanwhile looks like damage.

Examples:
  ringmesh journal verify
  ringmesh journal dump --data-dir /var/lib/ringmesh --payload | jq .sequence";

/// The arguments of `journal`.
#[derive(Debug, clap::Args)]
pub struct Journal {
    /// What to do with it.
    #[command(subcommand)]
    pub action: JournalAction,
}

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub enum JournalAction {
    /// Read everything as a start would, and say what is there and whether it is whole.
    Verify(JournalPlace),
    /// Print each record that a start would serve, as a JSON object a line.
    Dump(Dump),
}

/// Where the journal is.
#[derive(Debug, clap::Args)]
pub struct JournalPlace {
    /// The server's data directory; by default that of its configuration.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The server's configuration file; RINGMESH_CONFIG names it in the environment.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The arguments of `journal dump`.
#[derive(Debug, clap::Args)]
pub struct Dump {
    /// Where the journal is.
    #[command(flatten)]
    pub place: JournalPlace,
    /// Print what each record says too, in base64.
    #[arg(long)]
    pub payload: bool,
}

/// Runs `ringmesh journal` and gives the code to end with.
pub fn run_journal(journal: &Journal) -> ExitCode {
    let place = match &journal.action {
        JournalAction::Verify(place) => place,
        JournalAction::Dump(dump) => &dump.place,
    };
    let path = match place.find() {
        Ok(path) => path,
        Err(why) => return refuse(exit::USAGE, &why),
    };
    match &journal.action {
        JournalAction::Verify(_) => verify(&path),
        JournalAction::Dump(options) => dump(&path, options.payload),
    }
}

impl JournalPlace {
    fn find(&self) -> Result<PathBuf, String> {
        let flag = |value: &String| FlagValue { flag: "data-dir".to_owned(), values: vec![value.clone()] };
        let flags = self.data_dir.iter().map(flag).collect();
        let loaded = Sources::from_process(self.config.as_deref())
            .and_then(|sources| Sources { flags, ..sources }.load())
            .map_err(|error| error.to_string())?;
        server::journal_path(loaded.config.data_dir.as_deref())
            .ok_or_else(|| "there is no data directory; name it with --data-dir".to_owned())
    }
}

fn verify(path: &Path) -> ExitCode {
    match block_on(journal::verify(&JournalFolder::for_reading(path).blocking())) {
        Ok(report) => show(&as_text(path, &report), exit::OK),
        Err(error) => refuse(exit::FAILURE, &format!("{}: {error}", path.display())),
    }
}

fn as_text(path: &Path, report: &Report) -> String {
    let mut text = format!(
        "{}: whole\nsnapshot: sequence {}, {} records\nlogs: {}, {} segments, {} batches, {} records\n",
        path.display(),
        report.snapshot_sequence,
        report.snapshot_records,
        report.logs,
        report.segments,
        report.batches,
        report.records,
    );
    if report.cut_bytes > 0 {
        text.push_str(&format!(
            "a crash left {} bytes in pieces, which the next start cuts off\n",
            report.cut_bytes
        ));
    }
    text
}

fn dump(path: &Path, payload: bool) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let folder = JournalFolder::for_reading(path).blocking();
    let dumped = block_on(journal::dump(&folder, |found| {
        if written.is_ok() {
            written = out.write_all(as_line(&found, payload).as_bytes());
        }
    }));
    match (dumped, written.and_then(|()| out.flush())) {
        (Err(error), _) => refuse(exit::FAILURE, &format!("{}: {error}", path.display())),
        // A reader that closed its end early has what it wanted.
        (Ok(_), Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            refuse(exit::FAILURE, &unwritten(&error))
        }
        _ => ExitCode::from(exit::OK),
    }
}

fn as_line(found: &Dumped<'_>, payload: bool) -> String {
    let Dumped { in_snapshot, record } = found;
    let mut line = serde_json::json!({
        "in_snapshot": in_snapshot, "sequence": record.sequence, "kind": record.kind, "bytes": record.bytes.len(),
    });
    if payload {
        line["payload"] = STANDARD.encode(record.bytes).into();
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use super::*;
    use crate::journal::RecordRef;

    #[test]
    fn a_record_is_a_line() {
        let found = Dumped { in_snapshot: false, record: RecordRef { sequence: 7, kind: 2, bytes: b"abc" } };
        assert_eq!(as_line(&found, false), "{\"bytes\":3,\"in_snapshot\":false,\"kind\":2,\"sequence\":7}\n");
        assert!(as_line(&found, true).contains("\"payload\":\"YWJj\""));
    }
}
