//! A bare echo loop on glommio's own TcpStream: each whole request gets one fixed response.
//!
//! It finds the end of the head and the Content-Length, nothing else, and writes the same bytes each time, so it shows
//! what the reactor and the kernel cost without HTTP checks, JSON or MCP.
//!
//! Usage: `peer-glommio-echo --listen 127.0.0.1:8002 [--cpu 0] [--response-bytes 400]`

use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};
use memchr::memmem;

struct Options {
    listen: SocketAddr,
    cpu: Option<usize>,
    response_bytes: usize,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { listen: ([127, 0, 0, 1], 8002).into(), cpu: None, response_bytes: 400 };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--listen" => options.listen = value.parse()?,
            "--cpu" => options.cpu = Some(value.parse()?),
            "--response-bytes" => options.response_bytes = value.parse()?,
            _ => return Err(format!("{flag} is not known: --listen, --cpu, --response-bytes").into()),
        }
    }
    Ok(options)
}

/// One 200 answer of `total` bytes, or of the smallest size that still is an answer.
fn response(total: usize) -> Vec<u8> {
    let head = |body: usize| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body}\r\n\r\n")
    };
    let mut body = total.saturating_sub(head(total).len()).max(2);
    // A shorter length may take fewer digits.
    while head(body + 1).len() + body < total {
        body += 1;
    }
    let mut bytes = head(body).into_bytes();
    bytes.push(b'"');
    bytes.resize(bytes.len() + body - 2, b'x');
    bytes.push(b'"');
    bytes
}

/// The length of the first request in `bytes`, or None while it is not complete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let name = b"Content-Length: ";
    let body = memmem::find(&bytes[..head], name).map_or(0, |at| {
        bytes[at + name.len()..head]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0, |length: usize, digit| length * 10 + usize::from(digit - b'0'))
    });
    (bytes.len() >= head + body).then_some(head + body)
}

async fn answer(mut stream: TcpStream, response: Rc<Vec<u8>>) -> std::io::Result<()> {
    let mut input = vec![0; 16 * 1024];
    let mut filled = 0;
    let mut output = Vec::new();
    loop {
        let read = stream.read(&mut input[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut taken = 0;
        while let Some(length) = request_length(&input[taken..filled]) {
            taken += length;
            output.extend_from_slice(&response);
        }
        input.copy_within(taken..filled, 0);
        filled -= taken;
        if !output.is_empty() {
            stream.write_all(&output).await?;
            output.clear();
        }
    }
}

async fn serve(listen: SocketAddr, response: Vec<u8>) -> Result<(), String> {
    let listener = TcpListener::bind(listen).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    eprintln!("listening on http://{address}/mcp");
    let response = Rc::new(response);
    loop {
        let stream = listener.accept().await.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        glommio::spawn_local(answer(stream, Rc::clone(&response))).detach();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let placement = options.cpu.map_or(Placement::Unbound, Placement::Fixed);
    let executor = LocalExecutorBuilder::new(placement).io_memory(64 << 10).ring_depth(64);
    let response = response(options.response_bytes);
    Ok(executor.make().map_err(|error| error.to_string())?.run(serve(options.listen, response))?)
}
