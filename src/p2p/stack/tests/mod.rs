//! Two stacks, or a stack and a peer with ill intent, joined by a wire in memory.

mod driving;
mod ending;
mod handshake;
mod hostile;
mod sim;
mod streams;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::p2p::{Keypair, PeerId};
use sim::{Sim, Task};
use wire::{End, Link, Tap, wire};

const ECHO: &str = "/echo/1.0.0";

/// One end of a connection whose driver runs.
struct Side {
    handle: Handle,
    /// How its driver ended.
    ended: Task<Result<(), ConnectionError>>,
    /// What the peer opened and nobody took care of, where nobody is to.
    kept: Rc<RefCell<Vec<InboundStream>>>,
}

/// What becomes of the streams that a peer opens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inbound {
    /// They are answered with what they said.
    Echo,
    /// So are they, and what each brings with it is answered on the spot.
    EchoAtOnce,
    /// They are kept and not looked at.
    Keep,
}

fn keys() -> (Keypair, Keypair) {
    (Keypair::generate_ed25519(), Keypair::generate_ed25519())
}

fn id(key: &Keypair) -> PeerId {
    key.public().to_peer_id()
}

/// Runs the driver of an end, and what serves the peer.
fn start(sim: &Sim, handle: Handle, driver: Driver<End>, inbound: Inbound) -> Side {
    let kept = Rc::<RefCell<Vec<InboundStream>>>::default();
    let (spawner, keep) = (sim.clone(), kept.clone());
    let ended = sim.spawn(driver.run(move |stream| match inbound {
        Inbound::Echo => drop(spawner.spawn(echo(stream))),
        Inbound::EchoAtOnce => {
            let mut echo = Box::pin(echo(stream));
            if echo.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                drop(spawner.spawn(echo));
            }
        }
        Inbound::Keep => keep.borrow_mut().push(stream),
    }));
    Side { handle, ended, kept }
}

/// Says back all that a stream says, while it says it, and then ends it.
async fn echo(stream: InboundStream) {
    let Ok((mut stream, _)) = stream.negotiate(&["/other/1.0.0", ECHO]).await else { return };
    let mut bytes = [0; 3_000];
    while let Ok(read) = stream.read(&mut bytes).await {
        if read == 0 {
            let _ = stream.close().await;
            return;
        }
        if stream.write_all(&bytes[..read]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Two ends that have shaken hands: the dialer and the listener.
async fn pair(sim: &Sim, link: Link, options: &StackOptions, listening: Inbound) -> (Side, Side) {
    let (dialer, listener, _) = tapped_pair(sim, link, options, listening).await;
    (dialer, listener)
}

/// As [`pair`], with an eye on their wire.
async fn tapped_pair(sim: &Sim, link: Link, options: &StackOptions, listening: Inbound) -> (Side, Side, Tap) {
    let (mine, yours) = wire(sim, link);
    let tap = mine.tap();
    let (a, b) = keys();
    let other = *options;
    let listener = sim.spawn(async move { upgrade(yours, Role::Listener, &b, &other).await.unwrap() });
    let dialled = upgrade(mine, Role::Dialer { expected: None }, &a, options).await.unwrap();
    let dialer = start(sim, dialled.0, dialled.1, Inbound::Echo);
    let (handle, driver, found) = listener.await;
    assert_eq!(found, id(&a));
    (dialer, start(sim, handle, driver, listening), tap)
}

/// Asks for an echo and checks it.
async fn ask(handle: &Handle, said: &[u8]) {
    let (mut stream, _) = handle.open(&[ECHO]).await.unwrap();
    let mut heard = Vec::new();
    stream.write_all(said).await.unwrap();
    stream.close().await.unwrap();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard == said, "{} bytes came back as {}", said.len(), heard.len());
}

/// Bytes that look different everywhere.
fn text(length: usize, seed: u64) -> Vec<u8> {
    let mut random = sim::Random::new(seed);
    (0..length).map(|_| random.next() as u8).collect()
}
