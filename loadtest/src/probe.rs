//! One request on a plain blocking socket: is the server there, and does it answer right?

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::answer;
use crate::checker::{Checker, Rule, Verdict};
use crate::request::{self, FIRST_ID, Key, Template};
use crate::run::Job;

/// How long one attempt may wait for bytes.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Pause between attempts; the resolution of the start-up figure.
const PAUSE: Duration = Duration::from_micros(500);

/// Asks until the first right answer, at most until `deadline`; returns its length in bytes.
pub(crate) fn wait_for_answer(job: &Job, deadline: Instant) -> Result<usize, String> {
    loop {
        match ask(job) {
            Ok(length) => return Ok(length),
            Err(error) if Instant::now() >= deadline => {
                return Err(format!("no right answer from {}: {error}", job.target.authority));
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// One call on a connection of its own, with the handshake where the revision has one.
fn ask(job: &Job) -> Result<usize, String> {
    let mut stream = TcpStream::connect_timeout(&job.target.address, ATTEMPT).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(ATTEMPT)).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let shape = &job.shape;
    let mut session = None;
    if shape.era.has_sessions() && !job.raw {
        let bytes = exchange(&mut stream, &request::initialize(&job.target, shape.era))?;
        session = answer::parse(&bytes).ok().flatten().and_then(|answer| answer.session);
        exchange(&mut stream, &request::initialized(&job.target, shape.era, session.as_deref()))?;
    }
    let message_bytes = shape.message_bytes as usize;
    let key = Key::new(FIRST_ID);
    let mut call = Vec::new();
    Template::call(&job.target, shape.era, &shape.tool, message_bytes, session.as_deref())
        .append(&mut call, &key);
    let bytes = exchange(&mut stream, &call)?;
    let rule = if job.raw { Rule::Fixed } else { Rule::Echo(shape.expect) };
    match Checker::new(rule, message_bytes).check(&bytes, &key) {
        Verdict::Good(length) => Ok(length),
        Verdict::Wrong(_, fault) | Verdict::Broken(fault) => Err(fault.detail),
        Verdict::Incomplete => Err("an incomplete answer".to_owned()),
    }
}

/// Sends a request and reads until a whole answer is there.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Vec<u8>, String> {
    stream.write_all(request).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    while answer::parse(&bytes).map_err(|fault| fault.detail)?.is_none() {
        match stream.read(&mut chunk).map_err(|error| error.to_string())? {
            0 => return Err("the server closed the connection".to_owned()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(bytes)
}
