//! A swarm over TCP, Noise and Yamux with one behaviour and nothing else.

use std::error::Error;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::core::upgrade::Version;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, noise, tcp, yamux};

pub const MCP: StreamProtocol = StreamProtocol::new("/mcp+p2p/1.0.0");

/// A swarm that saves the round trip of a stream's negotiation where `lazy` says so, which stock does not by default.
pub fn build<B: NetworkBehaviour>(behaviour: B, lazy: bool) -> Result<Swarm<B>, Box<dyn Error>> {
    let swarm = libp2p::SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| behaviour)
        .map_err(|_| "invariant: the behaviour is there already")?
        .with_swarm_config(|config| {
            let config = config.with_idle_connection_timeout(Duration::from_secs(3600));
            if lazy { config.with_substream_upgrade_protocol_override(Version::V1Lazy) } else { config }
        })
        .build();
    Ok(swarm)
}

/// Dials the address, which ends in `/p2p/ID`, and waits for the connection.
pub async fn connect<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    address: &str,
) -> Result<PeerId, Box<dyn Error>> {
    let options = DialOpts::from(address.parse::<Multiaddr>()?);
    let peer = options.get_peer_id().ok_or("the target names no peer")?;
    swarm.dial(options)?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { .. } => return Ok(peer),
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
}
