//! Stock rust-libp2p on tokio, as the other end of the wire.
//!
//! Usage: `interop-rust-libp2p RSA_KEY client MULTIADDR...` uses a running node, and `interop-rust-libp2p RSA_KEY server`
//! is one: it prints `listening NAME MULTIADDR` for each kind of key and one that knows only the old dialect, `ready`, and
//! `heartbeat NAME PEER_ID` for each heartbeat that comes in. `RSA_KEY` is a file with a PKCS#8 key in DER, since no
//! such key is made here.

mod client;
mod dialect;
mod node;
mod server;
mod wire;

use std::process::ExitCode;

use libp2p::identity::Keypair;

/// Kinds of keys, each with a way to make one.
pub struct Keys {
    rsa: Vec<u8>,
}

impl Keys {
    /// Every kind that a peer may have.
    pub const KINDS: [&'static str; 4] = ["ed25519", "secp256k1", "ecdsa", "rsa"];

    /// A key of that kind; always the same one for RSA.
    pub fn make(&self, kind: &str) -> Keypair {
        match kind {
            "rsa" => Keypair::rsa_from_pkcs8(&mut self.rsa.clone())
                .expect("the file holds a PKCS#8 RSA key in DER"),
            "secp256k1" => Keypair::generate_secp256k1(),
            "ecdsa" => Keypair::generate_ecdsa(),
            _ => Keypair::generate_ed25519(),
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let keys = |file: &str| Keys { rsa: std::fs::read(file).expect("the file of the RSA key") };
    let good = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [file, "server"] => runtime.block_on(server::run(&keys(file))),
        [file, "client", ref addresses @ ..] if !addresses.is_empty() => {
            runtime.block_on(client::run(&keys(file), addresses))
        }
        _ => {
            eprintln!("usage: interop-rust-libp2p RSA_KEY server | client MULTIADDR...");
            false
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
