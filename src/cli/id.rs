//! `ringmesh id`: who this node is to its peers, and where they find it.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::{SettingFlags, exit, refuse, show};
use crate::config::ServerConfig;
use crate::p2p::address::{PeerAddress, listen_address, multiaddr, reachable};
use crate::p2p::identity::Identity;
use crate::runtime;
use crate::server::{self, Keeping};

pub(super) const EXAMPLES: &str = "\
Give the settings that the server runs with: the key is that of --p2p-key-file, or identity.key in the data directory,
where it is made if there is none yet. The addresses are those of --p2p-listen; 0.0.0.0 and :: stand for every address
of the machine.

Examples:
  ringmesh id
  ringmesh id --config /etc/ringmesh/ringmesh.toml --json
  ringmesh id --p2p-listen /ip4/0.0.0.0/tcp/4001";

/// The arguments of `id`.
#[derive(Debug, clap::Args)]
pub struct Id {
    /// The server's settings; those of libp2p and the data directory matter.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// Runs `ringmesh id` and gives the code to end with.
pub fn run_id(id: &Id) -> ExitCode {
    let config = match id.settings.load() {
        Ok(loaded) => loaded.config,
        Err(error) => return refuse(exit::USAGE, &error),
    };
    let (identity, path) = match server::node_identity(&config, true, |name| std::env::var_os(name)) {
        Ok((identity, Keeping::File { path, made })) => {
            if made {
                note(&format!("made a new key, {}", path.display()));
            }
            (identity, path)
        }
        Ok((_, Keeping::Nowhere(why))) => {
            return refuse(exit::FAILURE, &format!("{why}: without one, the id differs at each start"));
        }
        Err(error) => return refuse(exit::FAILURE, &error),
    };
    let addresses = addresses(&config, &identity);
    let text = match id.json {
        true => as_json(&identity, &path, &addresses),
        false => as_text(&identity, &path, &addresses),
    };
    show(&text, exit::OK)
}

/// What a person should know beside the answer, where a script does not look.
fn note(text: &str) {
    // A closed standard error leaves the answer.
    let _ = writeln!(io::stderr(), "ringmesh: {text}");
}

/// Where peers find the node, as far as the configuration tells.
fn addresses(config: &ServerConfig, identity: &Identity) -> Vec<String> {
    if !config.p2p {
        note("libp2p is off (p2p = false), so no peer can connect");
        return Vec::new();
    }
    if config.p2p_listen.is_empty() {
        note("no address to listen on is set (p2p_listen), so no peer can connect");
    }
    let machine = runtime::machine_addresses();
    let mut addresses = Vec::new();
    for text in &config.p2p_listen {
        // The configuration has read it already.
        let Ok(address) = listen_address(text) else { continue };
        if address.port() == 0 {
            note(&format!("{text}: its port is known only when the server runs"));
            continue;
        }
        for address in reachable(address, &machine) {
            let address = PeerAddress { address: multiaddr(address), peer_id: identity.peer_id() };
            addresses.push(address.to_string());
        }
    }
    addresses
}

fn as_json(identity: &Identity, path: &Path, addresses: &[String]) -> String {
    let json = serde_json::json!({
        "peer_id": identity.base58(),
        "cid": identity.cid(),
        "key": identity.key_kind(),
        "key_file": path.to_string_lossy(),
        "addresses": addresses,
    });
    format!("{json:#}\n")
}

fn as_text(identity: &Identity, path: &Path, addresses: &[String]) -> String {
    let mut text = format!(
        "peer id  {}\ncid      {}\nkey      {}, {}\n",
        identity.base58(),
        identity.cid(),
        identity.key_kind(),
        path.display(),
    );
    addresses.iter().for_each(|address| text.push_str(&format!("address  {address}\n")));
    text
}
