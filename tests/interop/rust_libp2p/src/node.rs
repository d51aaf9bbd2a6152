//! One node of rust-libp2p: a swarm that runs in a task of its own, and a way to open streams.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, identify, noise, ping, tcp, yamux};
use libp2p_stream::Control;

/// What every node does, and streams of any protocol.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    stream: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// What the swarm saw of the other side.
#[derive(Default)]
pub struct Seen {
    pub identified: Option<identify::Info>,
    pub pinged: Option<Duration>,
    pub closed: bool,
}

/// A connection to a peer, and the swarm that holds it.
pub struct Node {
    control: Control,
    pub seen: Arc<Mutex<Seen>>,
    /// The peer that was dialled.
    pub peer: PeerId,
    swarm: tokio::task::JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

/// A swarm that speaks Noise and Yamux over TCP.
pub fn swarm(key: Keypair) -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    let swarm = libp2p::SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| Behaviour {
            stream: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".into(), key.public())),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_millis(200))),
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    Ok(swarm)
}

/// Connects to the address, which ends in `/p2p/ID`, and runs the swarm from then on.
pub async fn connect(key: Keypair, address: &str) -> Result<Node, Box<dyn Error>> {
    let mut swarm = swarm(key)?;
    let address: Multiaddr = address.parse()?;
    let options = DialOpts::from(address);
    let peer = options.get_peer_id().ok_or("the address names no peer")?;
    swarm.dial(options)?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } if peer_id == peer => break,
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
    let control = swarm.behaviour().control();
    let seen = Arc::<Mutex<Seen>>::default();
    let task = tokio::spawn(watch(swarm, Arc::clone(&seen)));
    Ok(Node { control, seen, peer, swarm: task })
}

async fn watch(mut swarm: Swarm<Behaviour>, seen: Arc<Mutex<Seen>>) {
    loop {
        let event = swarm.select_next_some().await;
        let mut seen = seen.lock().expect("nobody panics with the lock held");
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { info, .. })) => {
                seen.identified = Some(info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { result, .. })) => {
                seen.pinged = result.ok()
            }
            SwarmEvent::ConnectionClosed { .. } => seen.closed = true,
            _ => {}
        }
    }
}

impl Behaviour {
    /// A way to open and accept streams.
    pub fn control(&self) -> Control {
        self.stream.new_control()
    }
}

impl Node {
    /// Opens a stream of the protocol to the peer.
    pub async fn open(&self, protocol: StreamProtocol) -> Result<Stream, Box<dyn Error>> {
        Ok(self.control.clone().open_stream(self.peer, protocol).await?)
    }

    /// Waits for what the swarm is to see.
    pub async fn sees<T>(&self, what: impl Fn(&Seen) -> Option<T>) -> T {
        loop {
            if let Some(found) = what(&self.seen.lock().expect("nobody panics with the lock held")) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
