//! A peer that can misbehave at every layer: TCP, multistream-select and Noise as they should be or not, Yamux frames by hand.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use futures_lite::future::block_on;
use futures_lite::io::{AssertAsync, AsyncReadExt as _, AsyncWriteExt as _};
use libp2p_core::upgrade::OutboundConnectionUpgrade as _;
use libp2p_identity::Keypair;
use libp2p_noise::{Config, Output};

pub const MCP: &str = "/mcp+p2p/1.0.0";
pub const TASK_QUEUE: &str = "/ipfs-datasets/task-queue/1.0.0";
pub const PING: &str = "/ipfs/ping/1.0.0";
const MULTISTREAM: &str = "/multistream/1.0.0";

/// No single read takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

pub const DATA: u8 = 0;
pub const WINDOW: u8 = 1;
const YAMUX_PING: u8 = 2;
const SYN: u16 = 1;
const ACK: u16 = 2;
const FIN: u16 = 4;
const RST: u16 = 8;

/// One Yamux frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u16,
    pub stream: u32,
    /// How much more may be sent on the stream.
    pub window: u32,
    pub body: Vec<u8>,
}

impl Frame {
    /// Whether nothing more comes on its stream.
    pub fn ends(&self) -> bool {
        self.flags & (FIN | RST) != 0
    }
}

/// A secured connection whose Yamux is done by hand.
pub struct Attacker {
    io: Output<AssertAsync<TcpStream>>,
    next: u32,
}

/// A TCP connection that waits no longer than a test may.
pub fn tcp(node: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(node)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A line of multistream-select, with its length.
pub fn line(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).expect("these lines are short");
    [&[length], text.as_bytes(), b"\n"].concat()
}

/// What opens a negotiation and proposes one protocol.
pub fn proposal(protocol: &str) -> Vec<u8> {
    [line(MULTISTREAM), line(protocol)].concat()
}

impl Attacker {
    /// Connects as an honest peer does, up to the first Yamux frame.
    pub fn connect(node: SocketAddr) -> io::Result<Self> {
        Self::with_key(node, &Keypair::generate_ed25519())
    }

    /// The same with a key that may have connections already.
    pub fn with_key(node: SocketAddr, key: &Keypair) -> io::Result<Self> {
        block_on(async {
            let mut io = AssertAsync::new(tcp(node)?);
            agree(&mut io, "/noise").await?;
            let noise = Config::new(key).map_err(io::Error::other)?;
            let (_, mut io) = noise.upgrade_outbound(io, "/noise").await.map_err(io::Error::other)?;
            agree(&mut io, "/yamux/1.0.0").await?;
            Ok(Self { io, next: 1 })
        })
    }

    /// Writes one frame whose header says `length`, whatever stands behind it.
    pub fn frame(&mut self, kind: u8, flags: u16, stream: u32, length: u32, body: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0, kind];
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
        self.raw(&bytes)
    }

    /// Writes bytes that may be no frame at all.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        block_on(async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        })
    }

    /// Opens a stream and sends these bytes as its first ones.
    pub fn open(&mut self, bytes: &[u8]) -> io::Result<u32> {
        let stream = self.next;
        self.next += 2;
        self.frame(DATA, SYN, stream, bytes.len() as u32, bytes)?;
        Ok(stream)
    }

    /// Opens a stream of the protocol and sends a first part of what it carries.
    pub fn open_with(&mut self, protocol: &str, bytes: &[u8]) -> io::Result<u32> {
        self.open(&[&proposal(protocol), bytes].concat())
    }

    pub fn send(&mut self, stream: u32, bytes: &[u8]) -> io::Result<()> {
        // No frame of a peer that keeps to its windows is longer.
        for part in bytes.chunks(16 << 10) {
            self.frame(DATA, 0, stream, part.len() as u32, part)?;
        }
        Ok(())
    }

    /// Lets the node write so much more on the stream.
    pub fn allow(&mut self, stream: u32, bytes: u32) -> io::Result<()> {
        self.frame(WINDOW, 0, stream, bytes, &[])
    }

    /// Says that nothing more comes on the stream.
    pub fn finish(&mut self, stream: u32) -> io::Result<()> {
        self.frame(DATA, FIN, stream, 0, &[])
    }

    pub fn reset(&mut self, stream: u32) -> io::Result<()> {
        self.frame(WINDOW, RST, stream, 0, &[])
    }

    /// The next frame about a stream; pings are answered.
    pub fn receive(&mut self) -> io::Result<Frame> {
        loop {
            let (frame, length) = block_on(self.read())?;
            if frame.kind != YAMUX_PING {
                return Ok(frame);
            }
            if frame.flags & SYN != 0 {
                self.frame(YAMUX_PING, ACK, 0, length, &[])?;
            }
        }
    }

    async fn read(&mut self) -> io::Result<(Frame, u32)> {
        let mut head = [0; 12];
        self.io.read_exact(&mut head).await?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = word(8);
        let mut body = vec![0; if head[1] == DATA { length as usize } else { 0 }];
        self.io.read_exact(&mut body).await?;
        let window = if head[1] == WINDOW { length } else { 0 };
        let flags = u16::from_be_bytes([head[2], head[3]]);
        Ok((Frame { kind: head[1], flags, stream: word(4), window, body }, length))
    }

    /// What the node sends on the stream until it ends it, and whether it did so by a reset.
    pub fn rest(&mut self, stream: u32) -> io::Result<(Vec<u8>, bool)> {
        let mut got = Vec::new();
        loop {
            let frame = self.receive()?;
            if frame.stream == stream {
                got.extend_from_slice(&frame.body);
                if frame.ends() {
                    return Ok((got, frame.flags & RST != 0));
                }
            }
        }
    }

    /// What the node sends on the stream until `enough` says so.
    pub fn read_until(&mut self, stream: u32, enough: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
        let mut got = Vec::new();
        while !enough(&got) {
            let frame = self.receive()?;
            if frame.stream == stream {
                got.extend_from_slice(&frame.body);
                if frame.ends() && !enough(&got) {
                    return Err(io::Error::other(format!("stream {stream} ended after {got:?}")));
                }
            }
        }
        Ok(got)
    }

    /// Calls `echo` on a stream of its own, as any honest peer may.
    pub fn echo(&mut self, text: &str) -> io::Result<()> {
        let stream = self.open_with(MCP, &call(1, text))?;
        let agreed = proposal(MCP).len();
        let got = self.read_until(stream, |got| {
            let body = got.get(agreed + 4..).unwrap_or_default();
            got.len() >= agreed + 4 && body.len() >= length_of(&got[agreed..])
        })?;
        self.finish(stream)?;
        let answer: serde_json::Value =
            serde_json::from_slice(&got[agreed + 4..]).map_err(io::Error::other)?;
        match answer["result"]["content"][0]["text"] == text {
            true => Ok(()),
            false => Err(io::Error::other(format!("not the echo of {text}: {answer}"))),
        }
    }
}

/// The length that the first four bytes say.
pub fn length_of(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize
}

/// A frame of MCP.
pub fn mcp_frame(message: &serde_json::Value) -> Vec<u8> {
    let body = message.to_string();
    [&(body.len() as u32).to_be_bytes(), body.as_bytes()].concat()
}

/// A call of `echo` in the newest revision.
pub fn call(id: u64, text: &str) -> Vec<u8> {
    let meta = serde_json::json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = serde_json::json!({ "name": "echo", "arguments": { "message": text }, "_meta": meta });
    mcp_frame(&serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
}

async fn agree<Io>(io: &mut Io, protocol: &str) -> io::Result<()>
where
    Io: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin,
{
    let wanted = proposal(protocol);
    io.write_all(&wanted).await?;
    io.flush().await?;
    let mut answer = vec![0; wanted.len()];
    io.read_exact(&mut answer).await?;
    if answer == wanted { Ok(()) } else { Err(io::Error::other(format!("{protocol} was not agreed on"))) }
}
