//! The client: a closed loop with a fixed number of requests in flight, every answer checked.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::request_response::{Event, Message};
use libp2p::swarm::SwarmEvent;
use libp2p::{PeerId, Stream};
use libp2p_stream::Control;

use crate::exchange::{Exchange, FIRST_ID};
use crate::measure::{Counts, Start};
use crate::stream::read_frame;
use crate::swarm::{MCP, build, connect};
use crate::{Api, Flags, request_response};

struct Load {
    target: String,
    long_lived: bool,
    lazy: bool,
    in_flight: usize,
    warmup: Duration,
    duration: Duration,
    server_pid: String,
}

/// What the workers of a run share.
struct Shared {
    exchange: RefCell<Exchange>,
    counts: RefCell<Counts>,
}

pub async fn run(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let mode: String = flags.parsed("mode", "stream-per-request")?;
    let load = Load {
        target: flags.0.get("target").ok_or("--target is missing")?.clone(),
        long_lived: mode == "long-lived",
        lazy: flags.parsed("lazy", "true")?,
        in_flight: flags.parsed("in-flight", "32")?,
        warmup: Duration::from_secs_f64(flags.parsed("warmup-s", "1")?),
        duration: Duration::from_secs_f64(flags.parsed("duration-s", "5")?),
        server_pid: flags.parsed("server-pid", "self")?,
    };
    match Api::of(flags)? {
        Api::Stream => tokio::task::LocalSet::new().run_until(streams(&load)).await,
        Api::RequestResponse if load.long_lived => Err("request-response has no long-lived streams".into()),
        Api::RequestResponse => requests(&load).await,
    }
}

async fn streams(load: &Load) -> Result<(), Box<dyn Error>> {
    let mut swarm = build(libp2p_stream::Behaviour::new(), load.lazy)?;
    let peer = connect(&mut swarm, &load.target).await?;
    let control = swarm.behaviour().new_control();
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let exchange = RefCell::new(Exchange::new(FIRST_ID));
    let shared = Rc::new(Shared { exchange, counts: RefCell::new(Counts::new()) });
    for _ in 0..load.in_flight {
        let (control, shared) = (control.clone(), Rc::clone(&shared));
        match load.long_lived {
            true => tokio::task::spawn_local(talk(control, peer, shared)),
            false => tokio::task::spawn_local(ask_anew(control, peer, shared)),
        };
    }
    tokio::time::sleep(load.warmup).await;
    let start = Start::now(&load.server_pid);
    shared.counts.borrow_mut().measuring = true;
    tokio::time::sleep(load.duration).await;
    tell(&start, &shared.counts.borrow(), &shared.exchange.borrow())
}

fn tell(start: &Start, counts: &Counts, exchange: &Exchange) -> Result<(), Box<dyn Error>> {
    println!("{}", start.report(counts, [exchange.request_bytes(), exchange.answer_bytes()])?);
    if counts.errors > 0 { Err("there were wrong answers".into()) } else { Ok(()) }
}

/// One request on a stream that is there.
async fn ask(stream: &mut Stream, shared: &Shared, body: &mut Vec<u8>) -> io::Result<()> {
    let (id, request) = {
        let mut exchange = shared.exchange.borrow_mut();
        let (id, request) = exchange.next_request();
        (id, request.to_vec())
    };
    stream.write_all(&request).await?;
    stream.flush().await?;
    read_frame(stream, body).await?;
    let checked = shared.exchange.borrow_mut().check(id, body);
    checked.unwrap_or_else(|error| shared.counts.borrow_mut().wrong(error));
    Ok(())
}

/// A stream for each request. One that ends without an answer was dropped by the server: the request is made again, and
/// its time goes on.
async fn ask_anew(mut control: Control, peer: PeerId, shared: Rc<Shared>) {
    let mut body = Vec::new();
    loop {
        let started = Instant::now();
        loop {
            let mut stream = match control.open_stream(peer, MCP).await {
                Ok(stream) => stream,
                Err(error) => return shared.counts.borrow_mut().wrong(error.to_string()),
            };
            if ask(&mut stream, &shared, &mut body).await.is_ok() {
                break;
            }
            shared.counts.borrow_mut().dropped += 1;
        }
        shared.counts.borrow_mut().right(started);
    }
}

/// One stream for all requests of a worker.
async fn talk(mut control: Control, peer: PeerId, shared: Rc<Shared>) {
    let mut body = Vec::new();
    loop {
        let mut stream = match control.open_stream(peer, MCP).await {
            Ok(stream) => stream,
            Err(error) => return shared.counts.borrow_mut().wrong(error.to_string()),
        };
        loop {
            let started = Instant::now();
            if ask(&mut stream, &shared, &mut body).await.is_err() {
                shared.counts.borrow_mut().dropped += 1;
                break;
            }
            shared.counts.borrow_mut().right(started);
        }
    }
}

async fn requests(load: &Load) -> Result<(), Box<dyn Error>> {
    let mut swarm = build(request_response::behaviour(), load.lazy)?;
    let peer = connect(&mut swarm, &load.target).await?;
    let mut exchange = Exchange::new(FIRST_ID);
    let mut counts = Counts::new();
    let mut asked = HashMap::new();
    let warm = Instant::now();
    let mut start = None;
    loop {
        while asked.len() < load.in_flight {
            let (id, frame) = exchange.next_request();
            let key = swarm.behaviour_mut().send_request(&peer, frame.to_vec());
            asked.insert(key, (id, Instant::now()));
        }
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(Event::Message {
                message: Message::Response { request_id, response },
                ..
            }) => {
                let (id, started) = asked.remove(&request_id).ok_or("an answer to nothing")?;
                exchange.check(id, &response).unwrap_or_else(|error| counts.wrong(error));
                counts.right(started);
            }
            SwarmEvent::Behaviour(Event::OutboundFailure { error, .. }) => return Err(error.into()),
            _ => continue,
        }
        if start.is_none() && warm.elapsed() >= load.warmup {
            start = Some(Start::now(&load.server_pid));
            counts.measuring = true;
        }
        if let Some(start) = start.as_ref().filter(|start| start.after(load.duration)) {
            return tell(start, &counts, &exchange);
        }
    }
}
