//! Stock rust-libp2p on tokio, as the server and as the client of a comparison. Each runs on one thread.
//!
//! Usage:
//! `peer-libp2p-tokio serve [--api stream|request-response] [--port 0] [--answer-bytes 300]` prints its multiaddr.
//! `peer-libp2p-tokio load --target MULTIADDR [--api stream|request-response] [--mode stream-per-request|long-lived]
//! [--in-flight 32] [--warmup-s 1] [--duration-s 5] [--server-pid PID]` prints one JSON object.
//!
//! `stream` is the crate libp2p-stream, `request-response` the behaviour of that name with a codec of our frames; it has
//! no long-lived streams. The server copies the id of a request into an answer that is always the same, and does nothing
//! else: no JSON is read, no tool is found, nothing is counted.

mod exchange_file;
mod load;
mod measure;
mod request_response;
mod serve;
mod stream;
mod swarm;

use std::collections::HashMap;
use std::error::Error;
use std::str::FromStr;

use exchange_file::exchange;

/// What the command line says: `--name value`, any number of times.
struct Flags(HashMap<String, String>);

impl Flags {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut flags = HashMap::new();
        while let Some(flag) = args.next() {
            let name = flag.strip_prefix("--").ok_or_else(|| format!("{flag} is no flag"))?;
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            flags.insert(name.to_owned(), value);
        }
        Ok(Self(flags))
    }

    fn parsed<T: FromStr>(&self, name: &str, default: &str) -> Result<T, Box<dyn Error>>
    where
        T::Err: Error + 'static,
    {
        Ok(self.0.get(name).map_or(default, String::as_str).parse()?)
    }
}

/// Which of the stock ways to use a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Api {
    Stream,
    RequestResponse,
}

impl Api {
    fn of(flags: &Flags) -> Result<Self, Box<dyn Error>> {
        match flags.parsed::<String>("api", "stream")?.as_str() {
            "stream" => Ok(Self::Stream),
            "request-response" => Ok(Self::RequestResponse),
            other => Err(format!("--api is stream or request-response, not {other}").into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let flags = Flags::read(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command.as_str() {
        "serve" => runtime.block_on(serve::run(&flags)),
        "load" => runtime.block_on(load::run(&flags)),
        _ => Err("serve or load, then flags: see the head of src/main.rs".into()),
    }
}
