//! Asking the client over TCP: rounds on different cores with restarts between, and questions on a call's stream.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Answer, Client, TestServer, modern, post};
use ringmesh::mcp::{CallError, Content, Context, Elicitation, Registry, Role, Sampling};
use ringmesh::{Server, ServerConfig};
use serde_json::{Value, json};

/// Set in a process of this test binary that is a server: the folder for its data and its log of effects.
const FOLDER: &str = "RINGMESH_TEST_ASKING_FOLDER";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

fn note(folder: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn noted(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Places an order, once, after two questions and before a third.
async fn order(folder: PathBuf, context: Context) -> Result<String, CallError> {
    note(&folder, &format!("run {}", context.core()));
    let name = context.elicit("name", Elicitation::typed::<Name>("Who?")).await?.read::<Name>()?.name;
    let placed = context
        .once("place", || async {
            note(&folder, "placed");
            Ok::<_, CallError>(4711)
        })
        .await?;
    let sampling = Sampling::new(10).message(Role::User, Content::text("A greeting?"));
    let greeting = context.sample("greeting", sampling).await?.text();
    let roots = context.roots("roots").await?;
    Ok(format!("{greeting}, {name}: order {placed} goes to {}", roots[0].uri))
}

fn registry(folder: &Path) -> Registry {
    let folder = folder.to_owned();
    Registry::new()
        .tool("core", "", |_: Nothing, context: Context| async move { Ok(context.core().to_string()) })
        .tool("order", "", move |_: Nothing, context: Context| order(folder.clone(), context))
}

/// Not a test of its own: what the processes of [`Process`] run.
#[test]
fn serves() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    // A task queue belongs to one process, and two of them share the directory here.
    let config = ServerConfig { data_dir: Some(folder.join("data")), p2p: false, ..common::config() };
    let server = Server::new(config).registry(registry(&folder)).handle_signals();
    let readiness = server.handle().readiness().clone();
    let running = std::thread::spawn(move || server.run());
    let ringmesh::Start::Ready(addresses) = readiness.wait_timeout(common::PATIENCE) else {
        panic!("{:?}", running.join());
    };
    println!("\nlistening at {}", addresses[0]);
    running.join().unwrap().unwrap();
}

/// A server in a process of its own, which can be killed.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "serves", "--nocapture", "--test-threads", "1"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some(addr) = line.strip_prefix("listening at ") {
                break addr.parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addr }
    }

    /// A connection that the wanted core serves, or any where there is only one core.
    fn client_on(&self, core: usize) -> Client {
        for _ in 0..200 {
            let mut client = Client::connect(self.addr);
            let got = common::text(&client.call("core", json!({})).json()).parse::<usize>().unwrap();
            if got == core || cores() == 1 {
                return client;
            }
        }
        panic!("no connection came to core {core}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get().min(2)
}

/// A round of `order`, by a client that can be asked everything.
fn round(client: &mut Client, state: Option<&Value>, responses: Value) -> Value {
    let mut params = json!({
        "name": "order", "arguments": {}, "inputResponses": responses,
        "_meta": {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "sampling": {}, "roots": {}}}
    });
    if let Some(state) = state {
        params["requestState"] = state.clone();
    }
    let answer = client.ask(modern(1, "tools/call", params));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["result"].clone()
}

fn wants(result: &Value, key: &str) -> Value {
    assert_eq!(result["resultType"], "input_required", "{result}");
    let keys: Vec<_> = result["inputRequests"].as_object().unwrap().keys().collect();
    assert_eq!(keys, [key]);
    result["requestState"].clone()
}

#[test]
fn rounds_on_other_cores_and_after_restarts_place_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let state = wants(&round(&mut process.client_on(0), None, json!({})), "name");
    let name = json!({"name": {"action": "accept", "content": {"name": "Ada"}}});
    let state = wants(&round(&mut process.client_on(cores() - 1), Some(&state), name), "greeting");
    // As hard as it can be: no order of the shutdown saves anything.
    drop(process);
    let process = Process::start(folder.path());
    let said = json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hail"}});
    let state = wants(&round(&mut process.client_on(0), Some(&state), json!({"greeting": said})), "roots");
    // A second server on the same directory can go on too, and so can one with a newer key.
    let rotated =
        common::command().args(["keys", "rotate", "--data-dir"]).arg(folder.path().join("data")).output();
    let rotated = rotated.unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    assert!(String::from_utf8_lossy(&rotated.stdout).contains("restart"), "{rotated:?}");
    let second = Process::start(folder.path());
    let roots = json!({"roots": {"roots": [{"uri": "file:///home/ada"}]}});
    for process in [&process, &second] {
        let result = round(&mut process.client_on(cores() - 1), Some(&state), roots.clone());
        assert_eq!(result["content"][0]["text"], "Hail, Ada: order 4711 goes to file:///home/ada");
    }
    let log = noted(folder.path());
    assert_eq!(log.iter().filter(|line| *line == "placed").count(), 1, "{log:?}");
    let last = cores() - 1;
    let runs: Vec<_> = log.iter().filter_map(|line| line.strip_prefix("run ")).collect();
    let expected = [0, last, 0, last, last].map(|core| core.to_string());
    assert_eq!(runs, expected);
}

#[test]
fn a_data_dir_that_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = common::command()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    let rotated = common::command().args(["keys", "rotate", "--data-dir"]).arg(&file).output().unwrap();
    assert_eq!(rotated.status.code(), Some(1), "{rotated:?}");
    // A name that was mistyped gets no keys.
    let nowhere = folder.path().join("nowhere");
    let rotated = common::command().args(["keys", "rotate", "--data-dir"]).arg(&nowhere).output().unwrap();
    assert_eq!((rotated.status.code(), nowhere.exists()), (Some(1), false), "{rotated:?}");
}

/// A tool of the older revisions' sessions, its client, and what the call's stream says.
struct Session {
    id: String,
    server: TestServer,
}

impl Session {
    fn open(change: impl FnOnce(&mut ringmesh::limits::Limits)) -> Self {
        let mut config = common::config();
        change(&mut config.limits);
        let registry = Registry::new().tool("greet", "", |_: Nothing, context: Context| async move {
            let begun = Instant::now();
            let deadline = context.deadline();
            let name = context.elicit("name", Elicitation::typed::<Name>("Who?")).await?.read::<Name>()?.name;
            let waited = begun.elapsed().saturating_sub(Duration::from_millis(400));
            assert!(context.deadline() >= deadline + waited, "the deadline moves on");
            Ok(format!("Hello, {name}"))
        });
        let registry = registry.tool("twice", "", |_: Nothing, context: Context| async move {
            let one = context.elicit("one", Elicitation::typed::<Name>("Who?")).await?.read::<Name>()?.name;
            let two = context.elicit("two", Elicitation::typed::<Name>("And?")).await?.read::<Name>()?.name;
            Ok(format!("{one} and {two}"))
        });
        let server = TestServer::with_tools(config, registry);
        let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"}
        }});
        let answer = server.client().ask(post(&initialize.to_string(), ""));
        Self { id: answer.header("mcp-session-id").unwrap().to_owned(), server }
    }

    fn post(&self, client: &mut Client, message: &Value) {
        client.send(post(&message.to_string(), &format!("Mcp-Session-Id: {}\r\n", self.id)));
    }

    /// Starts `greet`; the client comes back with the question that is on the stream by then.
    fn greet(&self) -> (Client, Value) {
        let (client, mut questions) = self.ask("greet", 1);
        (client, questions.remove(0))
    }

    /// Starts a tool and waits for so many questions.
    fn ask(&self, tool: &str, count: usize) -> (Client, Vec<Value>) {
        let mut client = self.server.client();
        let params = json!({"name": tool, "arguments": {}});
        self.post(&mut client, &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
        self.questions(client, count)
    }

    /// Waits until so many questions are on the stream; nothing of it is taken.
    fn questions(&self, mut client: Client, count: usize) -> (Client, Vec<Value>) {
        let found = std::cell::RefCell::new(Vec::new());
        let seen = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
            let messages = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
            *found.borrow_mut() =
                messages.filter(|message| message["method"] == "elicitation/create").collect();
            (found.borrow().len() >= count).then_some(0)
        };
        client.until(seen).unwrap();
        (client, found.take())
    }

    /// Answers on a connection of its own.
    fn answer(&self, question: &Value, name: &str) -> Answer {
        let result = json!({"action": "accept", "content": {"name": name}});
        let mut client = self.server.client();
        self.post(&mut client, &json!({"jsonrpc": "2.0", "id": question["id"], "result": result}));
        client.answer()
    }
}

#[test]
fn a_question_is_answered_on_another_connection_while_the_calls_time_stands_still() {
    let session = Session::open(|limits| limits.tool_timeout_ms = 500);
    let (mut client, question) = session.greet();
    assert_eq!(question["method"], "elicitation/create");
    std::thread::sleep(Duration::from_millis(1_000));
    for index in 0..8 {
        let name = if index == 0 { "Ada" } else { "Eve" };
        let answer = session.answer(&question, name);
        assert_eq!((answer.status, answer.body.len()), (202, 0));
    }
    let events = client.answer().events();
    assert_eq!(common::text(events.last().unwrap()), "Hello, Ada");
}

#[test]
fn a_client_that_does_not_answer_costs_the_call_only_that_wait() {
    let session = Session::open(|limits| limits.client_request_timeout_ms = 200);
    let (mut client, question) = session.greet();
    let events = client.answer().events();
    assert_eq!(events[1]["params"]["requestId"], question["id"]);
    let result = &events.last().unwrap()["result"];
    assert_eq!(result["isError"], true, "{events:?}");
    assert!(result["content"][0]["text"].as_str().unwrap().contains("within 200 ms"), "{events:?}");
    let metrics = session.server.client().ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let hit = "limit=\"client_request_timeout_ms\"} 1";
    assert!(metrics.text().contains(hit), "{}", metrics.text());
}

#[test]
fn each_question_gets_all_of_its_time() {
    let session = Session::open(|limits| limits.client_request_timeout_ms = 1_500);
    let (client, first) = session.ask("twice", 1);
    std::thread::sleep(Duration::from_millis(900));
    session.answer(&first[0], "Ada");
    let (mut client, both) = session.questions(client, 2);
    std::thread::sleep(Duration::from_millis(900));
    session.answer(&both[1], "Eve");
    assert_eq!(common::text(client.answer().events().last().unwrap()), "Ada and Eve");
}

#[test]
fn the_answers_that_calls_keep_are_bounded() {
    let session = Session::open(|limits| limits.max_buffered_bytes = 6 << 20);
    let long = "x".repeat(3_200 << 10);
    let (kept, first) = session.ask("twice", 1);
    assert_eq!(session.answer(&first[0], &long).status, 202);
    let (mut kept, both) = session.questions(kept, 2);
    let (mut refused, question) = session.ask("twice", 1);
    assert_eq!(session.answer(&question[0], &long).status, 202);
    let events = refused.answer().events();
    let text = common::text(events.last().unwrap());
    assert!(text.contains("max_buffered_bytes"), "{}", &text[..text.len().min(200)]);
    session.answer(&both[1], "Eve");
    assert!(common::text(kept.answer().events().last().unwrap()).ends_with(" and Eve"));
    let (client, question) = session.ask("twice", 1);
    session.answer(&question[0], &long);
    session.questions(client, 2);
}

#[test]
fn a_server_that_stops_does_not_wait_for_an_answer() {
    let session = Session::open(|_| {});
    let (mut client, _) = session.greet();
    let begun = Instant::now();
    session.server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(6));
    let events = client.answer().events();
    assert_eq!(events.last().unwrap()["error"]["code"], -33503, "{events:?}");
}

#[test]
fn a_host_without_sockets_cannot_bring_questions() {
    let registry = Registry::new().tool("greet", "", |_: Nothing, context: Context| async move {
        context.elicit("name", Elicitation::typed::<Name>("Who?")).await.map(|_| ())
    });
    let app = Server::new(common::config()).registry(registry).into_app().unwrap();
    let ask = |body: &Value, session: &str| {
        let answer = futures_lite::future::block_on(app.handle(&post(&body.to_string(), session)));
        String::from_utf8(answer).unwrap()
    };
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"}
    }});
    let opened = ask(&initialize, "").to_ascii_lowercase();
    let (_, id) = opened.split_once("mcp-session-id: ").unwrap();
    let session = format!("Mcp-Session-Id: {}\r\n", &id[..32]);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "greet", "arguments": {}}});
    assert!(ask(&call, &session).contains("cannot be asked"));
}
