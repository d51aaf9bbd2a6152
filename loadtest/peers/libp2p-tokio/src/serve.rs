//! The server: every request gets the same answer with its id.

use std::error::Error;
use std::io;

use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::request_response::{Event, Message};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Stream, Swarm};

use crate::exchange::Canned;
use crate::stream::read_frame;
use crate::swarm::{MCP, build};
use crate::{Api, Flags, request_response};

pub async fn run(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let canned = Canned::new(flags.parsed("answer-bytes", "300")?);
    match Api::of(flags)? {
        Api::Stream => streams(flags, canned).await,
        Api::RequestResponse => requests(flags, canned).await,
    }
}

async fn listen<B: NetworkBehaviour>(swarm: &mut Swarm<B>, flags: &Flags) -> Result<(), Box<dyn Error>> {
    let port: u16 = flags.parsed("port", "0")?;
    swarm.listen_on(format!("/ip4/127.0.0.1/tcp/{port}").parse()?)?;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            println!("listening {address}/p2p/{}", swarm.local_peer_id());
            return Ok(());
        }
    }
}

async fn streams(flags: &Flags, canned: Canned) -> Result<(), Box<dyn Error>> {
    let mut swarm = build(libp2p_stream::Behaviour::new(), false)?;
    let mut incoming = swarm.behaviour().new_control().accept(MCP)?;
    listen(&mut swarm, flags).await?;
    tokio::spawn(async move {
        // Taken at once: the library drops a stream that comes while another one waits.
        while let Some((_, stream)) = incoming.next().await {
            tokio::spawn(answer_all(stream, canned.clone()));
        }
    });
    loop {
        swarm.select_next_some().await;
    }
}

async fn answer_all(mut stream: Stream, mut canned: Canned) -> io::Result<()> {
    let mut body = Vec::new();
    loop {
        read_frame(&mut stream, &mut body).await?;
        let answer = canned.answer(&body).ok_or_else(|| io::Error::other("a request without an id"))?;
        stream.write_all(answer).await?;
        stream.flush().await?;
    }
}

async fn requests(flags: &Flags, mut canned: Canned) -> Result<(), Box<dyn Error>> {
    let mut swarm = build(request_response::behaviour(), false)?;
    listen(&mut swarm, flags).await?;
    loop {
        let event = swarm.select_next_some().await;
        let SwarmEvent::Behaviour(Event::Message { message, .. }) = event else { continue };
        let Message::Request { request, channel, .. } = message else { continue };
        let answer = canned.answer(&request).ok_or("a request without an id")?.to_vec();
        // The peer may have gone.
        let _ = swarm.behaviour_mut().send_response(channel, answer);
    }
}
