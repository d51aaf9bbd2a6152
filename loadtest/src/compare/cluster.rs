//! The servers of one layout: all those that are compared, and the remote node, up for as long as it is measured.

use std::path::Path;
use std::time::{Duration, Instant};

use super::ask::ask;
use super::commands::free_port;
use super::cpus::{Cpus, SHARED_NICE};
use super::equal::{self, Answer};
use super::node::{self, Node, Says};
use super::plan::Layout;
use super::subject::{Kind, Own, Subject};
use crate::options::Cli;
use crate::probe;
use crate::run::Job;
use clap::Parser;

/// How long an outside server may take until its first right answer.
const START_WITHIN: Duration = Duration::from_secs(20);

/// Servers that serve. Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// In the order of the subjects.
    pub(crate) servers: Vec<Node>,
    /// The node that remote operations end at.
    pub(crate) remote: Node,
}

impl Cluster {
    /// Starts all, with their data below `below`.
    pub(crate) fn start(
        subjects: &[Subject],
        own: &Own,
        layout: Layout,
        cpus: &Cpus,
        below: &Path,
    ) -> Result<Self, String> {
        let command = |folder: &Path| {
            let mut command = own.serve("native", &[cpus.remote], None, folder);
            if cpus.remote_yields() {
                node::lower_priority(&mut command, SHARED_NICE);
            }
            command
        };
        let remote = Node::start("the remote node", command, Says::Itself, below)?;
        let address = remote.p2p.clone().ok_or("the remote node does not say where peers reach it")?;
        let mut servers = Vec::new();
        for subject in subjects {
            let free = ([127, 0, 0, 1], free_port()?).into();
            let command = |folder: &Path| subject.command(own, cpus.server(layout), &address, free, folder);
            let node = Node::start(&subject.name, command, subject.says(free), below)?;
            if let Kind::Peer { era, .. } = subject.kind {
                await_echo(&subject.name, &node, era.version())?;
            }
            servers.push(node);
        }
        Ok(Self { servers, remote })
    }

    /// An error when the servers of this program do not answer alike; outside ones have only to echo.
    pub(crate) fn check_equal(&self, subjects: &[Subject]) -> Result<(), String> {
        let remote = self.remote.p2p.as_deref();
        let mut all: Vec<(String, Vec<Answer>)> = Vec::new();
        for (subject, node) in subjects.iter().zip(&self.servers) {
            if !matches!(subject.kind, Kind::Peer { .. }) {
                let answers = equal::answers(&mut |question| ask(node.http, question), remote);
                all.push((
                    subject.name.clone(),
                    answers.map_err(|error| format!("{}: {error}", subject.name))?,
                ));
            }
        }
        equal::check(&all)
    }

    /// An error when one of them has ended.
    pub(crate) fn check_alive(&mut self) -> Result<(), String> {
        self.servers.iter_mut().chain([&mut self.remote]).try_for_each(Node::check_alive)
    }
}

/// Waits until an outside server gives a text back.
fn await_echo(name: &str, node: &Node, era: &str) -> Result<(), String> {
    let url = format!("http://{}/mcp", node.http);
    let words = ["x", "--url", &url, "--mix", "echo", "--era", era, "--connections", "1"];
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    let job = Job::from_args(&cli.load)?;
    probe::wait_for_answer(&job, Instant::now() + START_WITHIN)
        .map(drop)
        .map_err(|error| format!("{name}: {error}"))
}
