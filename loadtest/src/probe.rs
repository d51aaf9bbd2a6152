//! One request on a plain blocking socket: is the server there, and does it answer right?

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::answer;
use crate::checker::{Checker, Verdict};
use crate::key::{FIRST_ID, Key};
use crate::mix::{Fill, Script};
use crate::run::Job;
use crate::values::Target;

/// How long one attempt may wait for bytes.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Pause between attempts; the resolution of the start-up figure.
const PAUSE: Duration = Duration::from_micros(500);

/// Asks until the first right answer, at most until `deadline`; returns its length in bytes.
pub(crate) fn wait_for_answer(job: &Job, deadline: Instant) -> Result<usize, String> {
    let target = job.endpoint.http().ok_or("a server is waited for over HTTP")?;
    let script = Arc::new(job.script()?);
    loop {
        match ask(target, &script) {
            Ok(length) => return Ok(length),
            Err(error) if Instant::now() >= deadline => {
                return Err(format!("no right answer from {}: {error}", target.authority));
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// The first request of the mix on a connection of its own, with the handshake where the revision has one.
fn ask(target: &Target, script: &Arc<Script>) -> Result<usize, String> {
    let mut stream = TcpStream::connect_timeout(&target.address, ATTEMPT).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(ATTEMPT)).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let dialect = &script.dialect;
    let mut session = None;
    if dialect.era.has_sessions() && !script.fixed {
        let bytes = exchange(&mut stream, &dialect.initialize())?;
        session = answer::parse(&bytes).ok().flatten().and_then(|answer| answer.session);
        exchange(&mut stream, &dialect.initialized(session.as_deref()))?;
    }
    let step = &script.operations[0].steps[0];
    let key = Key::new(FIRST_ID);
    let message_bytes = script.message_bytes;
    let fill = Fill { key: &key, message_bytes, filler: &script.filler, lane: 0, captured: &[] };
    let (mut body, mut call) = (Vec::new(), Vec::new());
    step.body.append(&mut body, &fill);
    dialect.append(&mut call, &step.head, &dialect.session_field(session.as_deref()), &body);
    let bytes = exchange(&mut stream, &call)?;
    match Checker::new(Arc::clone(script)).check(&bytes, step, &fill) {
        Verdict::Good(length, _) => Ok(length),
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
