//! The servers that are compared: this program's own, and outside ones that have been built.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::args::JournalMode;
use super::node::Says;
use super::plan::{Cell, Mix, Pace};
use crate::options::Era;

/// Most connections of a server that dials for each call.
const MOST_DIALLING: u32 = 64;

/// What a subject is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// `serve native`: one runtime for HTTP and peers.
    Native,
    /// `serve bridge`: tokio in front, a lasting bridge to the executor that owns the peers.
    Bridge,
    /// `serve bridge-dial`: a new node and a new connection for each call to a peer.
    BridgeDial,
    /// A program that offers `echo` and nothing else of ours.
    Peer { program: PathBuf, era: Era },
}

/// One server of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Subject {
    /// Native and the lasting bridge, which are always compared.
    pub(crate) fn always() -> Vec<Self> {
        [("native", Kind::Native), ("bridge", Kind::Bridge)]
            .map(|(name, kind)| Self::new(name, kind))
            .to_vec()
    }

    /// The bridge that dials for each call.
    pub(crate) fn dialling() -> Self {
        Self::new("bridge-dial", Kind::BridgeDial)
    }

    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind }
    }

    /// Whether it can do what a load asks, and differs from the others in it.
    pub(crate) fn takes_part(&self, cell: &Cell) -> bool {
        match self.kind {
            Kind::Native | Kind::Bridge => true,
            // It does some tens of cycles a second, so what is more than that only times out.
            Kind::BridgeDial => {
                let few = cell.pace == Pace::Closed && cell.connections <= MOST_DIALLING;
                cell.mix == Mix::QueueRemote && few
            }
            Kind::Peer { .. } => cell.mix == Mix::Echo,
        }
    }

    /// The revision it is spoken to in.
    pub(crate) fn era(&self) -> Era {
        match self.kind {
            Kind::Peer { era, .. } => era,
            _ => Era::V2026_07_28,
        }
    }

    /// How it tells where it serves; `free` is an address nobody else uses.
    pub(crate) fn says(&self, free: SocketAddr) -> Says {
        if matches!(self.kind, Kind::Peer { .. }) { Says::Nothing(free) } else { Says::Itself }
    }

    /// The command that starts it on these cores; `remote` is the node that it may be told to ask.
    pub(crate) fn command(
        &self,
        own: &Own,
        cpus: &[usize],
        remote: &str,
        free: SocketAddr,
        folder: &Path,
    ) -> Command {
        let program = match &self.kind {
            Kind::Native => return own.serve("native", cpus, Some(remote), folder),
            Kind::Bridge => return own.serve("bridge", cpus, Some(remote), folder),
            Kind::BridgeDial => return own.serve("bridge-dial", cpus, Some(remote), folder),
            Kind::Peer { program, .. } => program,
        };
        // taskset replaces itself by the server, so the process id is the server's.
        let mut command = Command::new("taskset");
        command.args(["-c", &list(cpus)]).arg(program);
        command.args(["--http", "hyper", "--listen", &free.to_string()]);
        command
    }
}

/// This program as a server.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) program: PathBuf,
    pub(crate) journal_mode: JournalMode,
}

impl Own {
    /// The command that serves as `variant` on these cores, and may ask the node `remote`.
    pub(crate) fn serve(
        &self,
        variant: &str,
        cpus: &[usize],
        remote: Option<&str>,
        folder: &Path,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["serve", variant, "--listen", "127.0.0.1:0", "--p2p-listen", "/ip4/127.0.0.1/tcp/0"]);
        command
            .args(["--journal-mode", self.journal_mode.name(), "--cpus", &list(cpus)])
            .arg("--data-dir")
            .arg(folder);
        if let Some(remote) = remote {
            command.args(["--remote", remote]);
        }
        command
    }
}

/// Cores as a list with commas.
pub(crate) fn list(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The outside servers below `folder`: those that have been built, and why each of the others is left out.
pub(crate) fn peers(folder: &Path) -> (Vec<Subject>, Vec<String>) {
    let program = folder.join("rmcp/target/release/peer-rmcp");
    let mut left_out = vec![
        "glommio-echo is left out: it copies bytes and answers no MCP; --floor takes it".to_owned(),
        "libp2p-tokio is left out: it speaks libp2p and no HTTP; loadtest/p2p_compare.py takes it".to_owned(),
    ];
    if !program.is_file() {
        left_out.insert(0, format!("rmcp is left out: {} has not been built", program.display()));
        return (Vec::new(), left_out);
    }
    let fastest = Kind::Peer { program, era: Era::V2025_11_25 };
    (vec![Subject::new("rmcp@2025-11-25", fastest)], left_out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;
    use crate::compare::plan::Layout;

    #[test]
    fn outside_servers_take_part_when_they_are_there() {
        let folder = std::env::temp_dir().join(format!("ringmesh-peers-{}", std::process::id()));
        let (none, why) = peers(&folder);
        assert!(none.is_empty());
        assert!(why[0].contains("has not been built"), "{why:?}");
        let bin = folder.join("rmcp/target/release");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("peer-rmcp"), "").unwrap();
        let (found, why) = peers(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((found.len(), why.len()), (1, 2));
        assert!(
            found[0].takes_part(&cell(Mix::Echo, 16)) && !found[0].takes_part(&cell(Mix::QueueLocal, 16))
        );
    }

    fn cell(mix: Mix, connections: u32) -> Cell {
        Cell { layout: Layout::Apart, mix, connections, pace: Pace::Closed }
    }

    #[test]
    fn who_takes_part_in_what() {
        let dialling = Subject::dialling();
        let remote = cell(Mix::QueueRemote, 64);
        assert!(dialling.takes_part(&remote) && !dialling.takes_part(&cell(Mix::QueueLocal, 64)));
        assert!(!dialling.takes_part(&cell(Mix::QueueRemote, 65)));
        assert!(!dialling.takes_part(&Cell { pace: Pace::OfKnee(50), ..remote }));
        assert!(Subject::always().iter().all(|subject| subject.takes_part(&cell(Mix::ToolsList, 1024))));
    }

    #[test]
    fn commands_name_the_variant_and_the_cores() {
        let own = Own { program: "x".into(), journal_mode: JournalMode::None };
        let command = own.serve("bridge", &[0, 1], Some("/m"), Path::new("/d"));
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words[..2], ["serve", "bridge"]);
        assert!(words.windows(2).any(|pair| pair == ["--cpus", "0,1"]));
        assert!(words.windows(2).any(|pair| pair == ["--data-dir", "/d"]));
    }
}
