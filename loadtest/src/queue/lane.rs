//! One connection: a request, its answer, the next request.

use std::io;
use std::time::{Duration, Instant};

use ringmesh::runtime::{BoxError, Stream};

use super::{Shared, beanstalkd, tools};
use crate::fault::{ErrorKind, Fault};
use crate::options::{QueueArgs, QueueProtocol, QueueRound};

const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A connection with bytes read ahead.
pub(super) struct Lane {
    stream: Stream,
    pub(super) held: Vec<u8>,
    round: QueueRound,
    protocol: QueueProtocol,
    requests: tools::Requests,
}

impl Lane {
    pub(super) async fn connect(args: &QueueArgs, index: u32) -> Result<Lane, BoxError> {
        let stream = Stream::connect(args.target, CONNECT_TIME).await?;
        let requests = tools::Requests::new(args.target, index, args.payload_bytes);
        Ok(Lane { stream, held: Vec::new(), round: args.round, protocol: args.protocol, requests })
    }

    /// Works until the run is over; an error ends the lane.
    pub(super) async fn run(&mut self, shared: &Shared) {
        while !shared.over.get() {
            let started = Instant::now();
            match self.once().await {
                Ok(()) if shared.measuring.get() => shared.stats.borrow_mut().record(started.elapsed()),
                Ok(()) => {}
                Err(_) if shared.over.get() => return,
                Err(error) => {
                    let fault = Fault::new(ErrorKind::Text, error.to_string());
                    return shared.stats.borrow_mut().fail(fault, 1);
                }
            }
        }
    }

    async fn once(&mut self) -> io::Result<()> {
        match (self.protocol, self.round) {
            (QueueProtocol::Tools, QueueRound::Submit) => self.submit().await.map(drop),
            (QueueProtocol::Tools, QueueRound::Cycle) => {
                self.submit().await?;
                let claim = self.requests.claim.clone();
                let answer = self.ask(claim).await?;
                let (id, token) = tools::claimed(&answer)?;
                let complete = self.requests.complete(&id, token);
                tools::check(&self.ask(complete).await?, &id)
            }
            (QueueProtocol::Beanstalkd, QueueRound::Submit) => beanstalkd::put(self).await.map(drop),
            (QueueProtocol::Beanstalkd, QueueRound::Cycle) => beanstalkd::cycle(self).await,
        }
    }

    async fn submit(&mut self) -> io::Result<String> {
        let request = self.requests.submit.clone();
        tools::task_id(&self.ask(request).await?)
    }

    async fn ask(&mut self, request: Vec<u8>) -> io::Result<Vec<u8>> {
        self.send(request).await?;
        loop {
            if let Some(length) = tools::whole(&self.held)? {
                let rest = self.held.split_off(length);
                return Ok(std::mem::replace(&mut self.held, rest));
            }
            self.read_more().await?;
        }
    }

    pub(super) async fn send(&mut self, request: Vec<u8>) -> io::Result<()> {
        self.stream.write(request);
        self.stream.flush().await
    }

    pub(super) async fn read_more(&mut self) -> io::Result<()> {
        let bytes = self.stream.read().await?;
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.held.extend_from_slice(&bytes);
        Ok(())
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.requests.payload.as_bytes()
    }
}
