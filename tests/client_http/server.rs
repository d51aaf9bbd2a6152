//! A server that does to each connection what its script says.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::PATIENCE;

/// One connection at the server's side.
pub struct Peer {
    pub socket: TcpStream,
    buffer: Vec<u8>,
    /// Which connection it is, from 0.
    pub index: usize,
}

impl Peer {
    /// The next request, head and body; `None` when the client has closed.
    pub fn request(&mut self) -> Option<String> {
        loop {
            if let Some(length) = whole(&self.buffer) {
                return Some(String::from_utf8(self.buffer.drain(..length).collect()).unwrap());
            }
            let mut chunk = [0; 4096];
            match self.socket.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
            }
        }
    }

    pub fn send(&mut self, text: &str) {
        let _ = self.socket.write_all(text.as_bytes());
    }

    /// An answer of 200 with this JSON.
    pub fn answer(&mut self, body: &str) {
        let length = body.len();
        self.send(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }

    /// Waits until the client has closed; says whether it sent anything before.
    pub fn closed_silently(&mut self) -> bool {
        let mut rest = Vec::new();
        let _ = self.socket.read_to_end(&mut rest);
        rest.is_empty() && self.buffer.is_empty()
    }
}

fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).unwrap().to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let end = head + length.map_or(0, |digits| digits.parse().unwrap());
    (buffer.len() >= end).then_some(end)
}

pub struct Server {
    pub addr: SocketAddr,
    /// Connections accepted so far.
    pub accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(script: impl Fn(Peer) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&accepted), Arc::clone(&stop));
        let accept = move || {
            std::thread::scope(|scope| {
                for socket in listener.incoming().map(Result::unwrap) {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    socket.set_nodelay(true).unwrap();
                    let index = count.fetch_add(1, Ordering::SeqCst);
                    let script = &script;
                    scope.spawn(move || script(Peer { socket, buffer: Vec::new(), index }));
                }
            });
        };
        let thread = Some(std::thread::spawn(accept));
        Server { addr, accepted, stop, thread }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.addr));
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "a script of the server panicked");
    }
}
