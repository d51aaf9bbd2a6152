//! The tool `echo` on rmcp's Streamable HTTP server: stateless, answers as JSON, one tokio thread.
//!
//! Usage: `peer-rmcp --listen 127.0.0.1:8001 [--cpu 0] [--http axum|hyper]`

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::serve::ListenerExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};

/// Built once: the macro's own default would build the router, schemas included, for every request.
static ROUTER: LazyLock<ToolRouter<Echo>> = LazyLock::new(Echo::tool_router);

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct EchoArgs {
    /// The text to send back.
    message: String,
}

#[derive(Clone, Copy)]
struct Echo;

#[tool_router]
impl Echo {
    #[tool(description = "Returns the message")]
    async fn echo(&self, Parameters(EchoArgs { message }): Parameters<EchoArgs>) -> String {
        message
    }
}

#[tool_handler(router = ROUTER)]
impl ServerHandler for Echo {}

#[derive(PartialEq)]
enum Shell {
    Axum,
    Hyper,
}

struct Options {
    listen: SocketAddr,
    cpu: Option<usize>,
    shell: Shell,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { listen: ([127, 0, 0, 1], 8001).into(), cpu: None, shell: Shell::Axum };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match (flag.as_str(), value.as_str()) {
            ("--listen", _) => options.listen = value.parse()?,
            ("--cpu", _) => options.cpu = Some(value.parse()?),
            ("--http", "axum") => options.shell = Shell::Axum,
            ("--http", "hyper") => options.shell = Shell::Hyper,
            _ => {
                return Err(format!("{flag} {value} is not known: --listen, --cpu, --http axum|hyper").into());
            }
        }
    }
    Ok(options)
}

/// Keeps the whole process on one core.
fn pin(cpu: usize) -> std::io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is a valid empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(std::io::Error::other("the core's number is too large"));
    }
    // SAFETY: `cpu` is below CPU_SETSIZE, and the set lives through both calls.
    let status = unsafe {
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service = StreamableHttpService::new(|| Ok(Echo), Arc::new(NeverSessionManager::default()), config);
    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    eprintln!("listening on http://{}/mcp", listener.local_addr()?);
    if options.shell == Shell::Axum {
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
        return Ok(());
    }
    // Without a router above it: any path is answered.
    let service = TowerToHyperService::new(service);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    if let Some(cpu) = options.cpu {
        pin(cpu)?;
    }
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?.block_on(serve(options))
}
