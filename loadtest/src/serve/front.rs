//! In front of the bridge: HTTP on a tokio multi-thread runtime.

use std::cell::OnceCell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ringmesh::http::{HttpLimits, Progress, Reject, Request, RequestReader, ResponseHead, write_reject};
use ringmesh::{App, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::bridge::Bridge;
use super::tools_without_peers;

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// The running front; it ends when it is stopped.
#[derive(Debug)]
pub(super) struct Front {
    runtime: Runtime,
    pub(super) address: SocketAddr,
}

/// What every connection needs.
#[derive(Debug)]
struct Shared {
    bridge: Bridge,
    config: ServerConfig,
    limits: HttpLimits,
}

thread_local! {
    /// The tools that need no peer, on this worker thread.
    static TOOLS: OnceCell<App> = const { OnceCell::new() };
}

/// Listens, with a worker thread for each of so many cores.
pub(super) fn start(
    listen: SocketAddr,
    workers: usize,
    bridge: Bridge,
    config: ServerConfig,
) -> Result<Front, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("front")
        .enable_io()
        .build()
        .map_err(|error| format!("tokio does not start: {error}"))?;
    // What is wrong with the configuration is known before anybody connects.
    drop(tools_without_peers(config.clone())?);
    let limits = HttpLimits::from(&config.limits);
    let bind = |error: io::Error| format!("cannot listen on {listen}: {error}");
    let listener = runtime.block_on(TcpListener::bind(listen)).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    runtime.spawn(accept(listener, Arc::new(Shared { bridge, config, limits })));
    Ok(Front { runtime, address })
}

impl Front {
    /// Ends every connection.
    pub(super) fn stop(self) {
        self.runtime.shutdown_background();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                // A connection that breaks is its client's loss.
                tokio::spawn(async move { serve(stream, &shared).await });
            }
            Err(error) => {
                tracing_warn(&error);
                tokio::task::yield_now().await;
            }
        }
    }
}

#[allow(clippy::print_stderr, reason = "a server that cannot accept says so to whoever compares it")]
fn tracing_warn(error: &io::Error) {
    eprintln!("cannot accept connections: {error}");
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = RequestReader::new(shared.limits);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut out = Vec::new();
    loop {
        let keep = match reader.poll() {
            Progress::NeedHead { .. } | Progress::NeedBody { .. } => {
                let length = stream.read(&mut chunk).await?;
                if length == 0 {
                    return Ok(());
                }
                reader.feed(&chunk[..length]);
                continue;
            }
            Progress::Reject(reject) => {
                refuse(&reject, &mut out);
                reader.consume();
                !reject.close
            }
            Progress::Ready if needs_no_peer(&reader.request()) => {
                let keep = answer_here(shared, &mut reader, &mut out);
                keep.ok_or_else(|| io::Error::other("a tool without peers waits for something"))?
            }
            Progress::Ready => {
                let Some(answered) = shared.bridge.answer(reader).await else { return Ok(()) };
                reader = answered.reader;
                out = answered.bytes;
                answered.keep
            }
        };
        stream.write_all(&out).await?;
        out.clear();
        if !keep {
            return stream.shutdown().await;
        }
    }
}

/// Whether the request is a call of `echo` in the revision that names tools in a header: the one tool of the comparison
/// that no peer and no queue has a part in.
fn needs_no_peer(request: &Request<'_>) -> bool {
    let fields = &request.fields;
    fields.mcp_name == Some(b"echo") && fields.mcp_method == Some(b"tools/call")
}

/// Answers on this thread; `None` when that would have to wait.
fn answer_here(shared: &Shared, reader: &mut RequestReader, out: &mut Vec<u8>) -> Option<bool> {
    TOOLS.with(|tools| {
        let app = match tools.get() {
            Some(app) => app,
            None => {
                let app = tools_without_peers(shared.config.clone()).ok()?;
                tools.get_or_init(|| app)
            }
        };
        let answer = pin!(app.answer(reader, out));
        match answer.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(keep) => Some(keep),
            Poll::Pending => None,
        }
    })
}

fn refuse(reject: &Reject, out: &mut Vec<u8>) {
    write_reject(out, reject, &ResponseHead::default());
}
