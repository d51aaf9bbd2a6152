//! The same rounds in the protocol of beanstalkd (its `doc/protocol.txt`): put, reserve, delete.

use std::io;

use super::lane::Lane;
use crate::key::find;

/// Puts a job; its id.
pub(super) async fn put(lane: &mut Lane) -> io::Result<u64> {
    let payload = lane.payload();
    let mut request = format!("put 5 0 1800 {}\r\n", payload.len()).into_bytes();
    request.extend_from_slice(payload);
    request.extend_from_slice(b"\r\n");
    lane.send(request).await?;
    let line = line(lane).await?;
    number(&line, "INSERTED ")
}

/// Puts a job, reserves one and deletes it.
pub(super) async fn cycle(lane: &mut Lane) -> io::Result<()> {
    put(lane).await?;
    lane.send(b"reserve\r\n".to_vec()).await?;
    let reserved = line(lane).await?;
    let mut words = reserved.split(' ').skip(1);
    let (id, bytes) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
    let bytes: usize = bytes.parse().map_err(|_| io::Error::other(reserved.clone()))?;
    while lane.held.len() < bytes + 2 {
        lane.read_more().await?;
    }
    lane.held.drain(..bytes + 2);
    lane.send(format!("delete {id}\r\n").into_bytes()).await?;
    match line(lane).await?.as_str() {
        "DELETED" => Ok(()),
        other => Err(io::Error::other(other.to_owned())),
    }
}

async fn line(lane: &mut Lane) -> io::Result<String> {
    loop {
        if let Some(end) = find(&lane.held, b"\r\n") {
            let rest = lane.held.split_off(end + 2);
            let line = std::mem::replace(&mut lane.held, rest);
            return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        lane.read_more().await?;
    }
}

fn number(line: &str, start: &str) -> io::Result<u64> {
    let number = line.strip_prefix(start).and_then(|rest| rest.parse().ok());
    number.ok_or_else(|| io::Error::other(line.to_owned()))
}
