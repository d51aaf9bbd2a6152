//! The named behaviours that users of the server before this one relied on, each under its own name.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Client, TestServer, call, config, text};
use ringmesh::runtime::{ExecutorSettings, Queue, Scope, ScopeOptions, spawn_executor};
use ringmesh::{BoxError, CallError, Context, Ended, Registry, Server, ServerConfig, ServerError, Start};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

fn registry(name: &'static str, reply: &'static str) -> Registry {
    let tool = move |_: Nothing, _: Context| async move { Ok::<_, CallError>(reply) };
    Registry::new().tool(name, "A tool for tests", tool)
}

#[test]
fn configuration_default() {
    let config = ServerConfig::default();
    assert_eq!(config.server_name, "ringmesh");
    assert_eq!(config.listen, ["127.0.0.1:8000".parse().unwrap()]);
    assert_eq!(config.mount_path, "/mcp");
    config.validate().unwrap();
}

#[test]
fn configuration_custom() {
    let config = ServerConfig { server_name: "mine".into(), mount_path: "/tools".into(), ..config() };
    let server = TestServer::start(config);
    let request = String::from_utf8(call("echo", serde_json::json!({ "message": "hi" }))).unwrap();
    let answer = server.client().ask(request.replace("POST /mcp", "POST /tools"));
    let result = answer.json();
    assert_eq!(text(&result), "hi");
    assert_eq!(result["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "mine");
    assert_eq!(server.client().ask(request).status, 404);
}

#[test]
fn configuration_from_environment() {
    // The environment of this process is everybody's; the command gets one of its own.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ringmesh"))
        .args(["serve", "--print-config"])
        .env_clear()
        .env("MCP_SERVER_NAME", "from-env")
        .env("MCP_PORT", "8123")
        .env("RINGMESH_MAX_JSON_DEPTH", "32")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("from-env") && printed.contains("127.0.0.1:8123"), "{printed}");
    assert!(printed.contains("RINGMESH_MAX_JSON_DEPTH"), "the origin is named: {printed}");
}

#[test]
fn initialization() {
    let server = Server::new(config());
    assert_eq!(server.config().server_name, "ringmesh");
    assert_eq!(server.handle().readiness().state(), Start::Pending);
}

#[test]
fn initialization_with_override() {
    let addresses = ["127.0.0.1:0".parse::<SocketAddr>().unwrap()];
    let server = Server::new(ServerConfig::default()).name("other").listen(addresses);
    assert_eq!(server.config().server_name, "other");
    let server = TestServer::run(server.builtin_tools());
    assert_ne!(server.addr.port(), 8000);
}

#[test]
fn set_up_registers_the_tools() {
    let server = TestServer::with_tools(config(), registry("greet", "hello"));
    let answer = server.client().call("greet", serde_json::json!({}));
    assert_eq!(text(&answer.json()), "hello");
}

#[test]
fn executor_context_check() {
    let outside = futures_lite::future::block_on(Server::new(config()).run_in_executor());
    assert!(matches!(outside, Err(ServerError::OutsideExecutor)), "{outside:?}");
    let inside =
        spawn_executor(None, "test", &ExecutorSettings::default(), || async { Server::new(config()).run() });
    let inside = inside.unwrap().join().unwrap();
    assert!(matches!(inside, Err(ServerError::InsideExecutor)), "{inside:?}");
}

#[test]
fn lifecycle_hooks_run_once_a_process_and_once_a_core() {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let cores = Arc::new(AtomicUsize::new(0));
    let note = |text: &'static str| {
        let log = log.clone();
        move || {
            log.lock().unwrap().push(text.to_owned());
            Ok(())
        }
    };
    let (started, stopped) = (cores.clone(), cores.clone());
    let server = Server::new(ServerConfig { max_cores: Some(1), ..config() })
        .on_startup(note("startup"))
        .on_shutdown(note("first registered, last run"))
        .on_shutdown(note("last registered, first run"))
        .on_core_startup(move |_| {
            let started = started.clone();
            async move {
                started.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
        .on_core_shutdown(move |_| {
            let stopped = stopped.clone();
            async move {
                stopped.fetch_add(10, Ordering::SeqCst);
                Ok(())
            }
        });
    TestServer::run(server).stop().unwrap();
    let log = log.lock().unwrap();
    assert_eq!(*log, ["startup", "last registered, first run", "first registered, last run"]);
    assert_eq!(cores.load(Ordering::SeqCst), 11);
}

#[test]
fn a_failing_startup_hook_stops_the_start() {
    let server = Server::new(config()).on_startup(|| Err("no database".into()));
    let readiness = server.handle().readiness().clone();
    let error = server.run().unwrap_err();
    assert_eq!(error.to_string(), "on_startup failed: no database");
    assert_eq!(readiness.state(), Start::Failed);
}

#[test]
fn a_failing_core_hook_stops_the_start() {
    let server = Server::new(config()).on_core_startup(|_| async { Err("no cache".into()) });
    let error = server.run().unwrap_err();
    assert_eq!(error.to_string(), "on_startup failed: no cache");
}

#[test]
fn run_with_time_out() {
    let server = Server::new(config()).run_timeout(Duration::from_millis(100));
    assert_eq!(server.run().unwrap(), Ended::TimedOut);
}

#[test]
fn cancellation_from_another_thread() {
    let server = TestServer::start(config());
    assert_eq!(server.stop().unwrap(), Ended::Stopped);
}

#[test]
fn app_from_factory() {
    let app = Server::new(config()).registry(registry("greet", "hello")).into_app().unwrap();
    let answer = futures_lite::future::block_on(app.handle(&call("greet", serde_json::json!({}))));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#""text":"hello""#), "{answer}");
}

#[test]
fn run_inside_a_scope() {
    let executor = spawn_executor(None, "test", &ExecutorSettings::default(), || async {
        let options = ScopeOptions { queue: Queue::Serve, name: "program", ..ScopeOptions::default() };
        Scope::run(options, |scope| async move {
            let server = Server::new(config()).builtin_tools();
            let readiness = server.handle().readiness().clone();
            let inner = scope.clone();
            scope.spawn("server", async move {
                assert_eq!(server.run_in_scope(&inner).await?, Ended::Stopped);
                Ok::<(), BoxError>(())
            })?;
            let Start::Ready(addresses) = readiness.wait().await else { return Err("not ready".into()) };
            let client = std::thread::spawn(move || {
                let mut client = Client::connect(addresses[0]);
                text(&client.call("echo", serde_json::json!({ "message": "inside" })).json()).to_owned()
            });
            while !client.is_finished() {
                ringmesh::runtime::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(client.join().expect("the client"), "inside");
            scope.cancel();
            Ok::<(), BoxError>(())
        })
        .await
        .map_err(|error| error.to_string())
    });
    let ended = executor.unwrap().join().unwrap();
    assert_eq!(ended, Ok(()));
}
