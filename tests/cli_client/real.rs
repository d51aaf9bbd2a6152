//! The commands against servers that answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringmesh::{CallError, Context, Json, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::common::tools::{Nothing, eventually, registry};
use super::common::{TestServer, config};
use super::fake;
use super::{command, ended, ringmesh, succeeded, with_input};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Typed {
    text: String,
    count: Option<i64>,
    flag: Option<bool>,
    tags: Option<Vec<String>>,
}

async fn typed(args: Typed, _: Context) -> Result<Json<Typed>, CallError> {
    Ok(Json(args))
}

async fn fails(_: Nothing, _: Context) -> Result<String, CallError> {
    Err(CallError::failed("it is broken"))
}

fn server() -> TestServer {
    let registry =
        Registry::new().tool("typed", "Returns its arguments", typed).tool("fails", "Never works", fails);
    TestServer::with_tools(config(), registry)
}

fn json(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "one document on one line: {text}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn tools_are_listed_and_called() {
    let server = server();
    let target = server.addr.to_string();
    let tools = succeeded(&["tools", &target]);
    assert!(tools.contains("\n  text=string"), "{tools}");
    assert!(tools.contains("\n  tags=string[]") && tools.contains("Returns its arguments"), "{tools}");
    let whole = json(&succeeded(&["tools", &format!("http://{target}"), "--output", "json"]));
    assert!(whole["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "typed"));
    assert_eq!(succeeded(&["call", &target, "echo", "message=a = b"]), "a = b\n");
    let words = ["text=1", "count=2", "flag=true", "tags=x", "tags=y"];
    let called = [&["call", &target, "typed"], &words[..], &["--output", "json"]].concat();
    let result = json(&succeeded(&called));
    let expected = json!({ "text": "1", "count": 2, "flag": true, "tags": ["x", "y"] });
    assert_eq!(result["structuredContent"], expected);
    let arguments = r#"{"text":"whole"}"#;
    let result = with_input(&["call", &target, "typed", "--json", "-", "--output", "json"], arguments);
    assert_eq!(json(&result.stdout)["structuredContent"]["text"], "whole");
    let result = succeeded(&["call", &target, "echo", "--json", r#"{"message":"m"}"#]);
    assert_eq!(result, "m\n");
}

#[test]
fn every_revision_is_spoken_and_no_session_is_left() {
    let server = server();
    let target = server.addr.to_string();
    for revision in ["2026-07-28", "2025-11-25", "2025-06-18"] {
        let shown = succeeded(&["discover", &target, "--protocol-version", revision]);
        assert!(shown.contains(&format!("revision  {revision}\n")), "{shown}");
        let echoed = succeeded(&["call", &target, "echo", "message=x", "--protocol-version", revision]);
        assert_eq!(echoed, "x\n");
    }
    let status = json(&succeeded(&["call", &target, "server_status", "--output", "json"]));
    assert_eq!(status["structuredContent"]["sessions"], 0, "a session is left");
    let whole = json(&succeeded(&["discover", &target, "--output", "json"]));
    assert_eq!((&whole["revision"], whole["server"].is_object()), (&json!("2026-07-28"), true));
}

#[test]
fn what_the_server_or_the_tool_refuses_ends_with_code_1() {
    let server = server();
    let target = server.addr.to_string();
    let failed = ringmesh(&["call", &target, "fails"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), "it is broken\n"), "{}", failed.stderr);
    assert_eq!(failed.stderr, "ringmesh: the tool says that it failed\n");
    let failed = ringmesh(&["call", &target, "fails", "--output", "json"]);
    assert_eq!((failed.code, &json(&failed.stdout)["isError"]), (Some(1), &json!(true)));
    let unknown = ringmesh(&["call", &target, "no_such_tool"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""), "{}", unknown.stderr);
    let not_offered = ringmesh(&["prompts", &target]);
    assert_eq!(not_offered.code, Some(1), "{}", not_offered.stderr);
    assert!(not_offered.stderr.contains("does not offer prompts"), "{}", not_offered.stderr);
    // A wrong type is seen before the call.
    let wrong = ringmesh(&["call", &target, "typed", "text=x", "count=many"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("\"count\" must be"), "{}", wrong.stderr);
    let path = ringmesh(&["tools", &format!("http://{target}/elsewhere")]);
    assert_eq!(path.code, Some(1), "{}", path.stderr);
}

#[test]
fn a_slow_tool_ends_with_code_5_and_the_call_is_cancelled() {
    let (registry, fate) = registry();
    let server = TestServer::with_tools(config(), registry);
    let target = server.addr.to_string();
    let late = ringmesh(&["call", &target, "linger", "ms=20000", "--timeout", "1"]);
    assert_eq!((late.code, late.stdout.as_str()), (Some(5), ""), "{}", late.stderr);
    eventually("the tool is dropped", || fate.dropped.load(Ordering::SeqCst) == 1);
    assert_eq!(fate.finished.load(Ordering::SeqCst), 0);
}

#[test]
fn a_signal_interrupts_a_call_and_the_server_hears_of_it() {
    for revision in ["2026-07-28", "2025-11-25"] {
        let (registry, fate) = registry();
        let server = TestServer::with_tools(config(), registry);
        let target = server.addr.to_string();
        let arguments = ["call", &target, "linger", "ms=20000", "--protocol-version", revision];
        let child = command(&arguments).spawn().unwrap();
        eventually("the tool runs", || fate.started.load(Ordering::SeqCst) == 1);
        // SAFETY: the child is ours and has not been waited for, so its id is still its own.
        assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
        let ended = ended(child);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""), "{}", ended.stderr);
        eventually("the tool is dropped", || fate.dropped.load(Ordering::SeqCst) == 1);
        assert_eq!(fate.finished.load(Ordering::SeqCst), 0, "{revision}");
    }
}

#[test]
fn the_command_serves_what_the_command_asks() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let target = format!("localhost:{port}");
    let serve = ["serve", "--listen", &format!("127.0.0.1:{port}"), "--max-cores", "1"];
    let child = command(&serve).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut answers = String::new();
    for _ in 0..100 {
        let ended = ringmesh(&["call", &target, "echo", "message=over the wire"]);
        answers = ended.stdout;
        if ended.code == Some(0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // SAFETY: the child is ours and has not been waited for, so its id is still its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    assert_eq!(ended(child).code, Some(0));
    assert_eq!(answers, "over the wire\n");
}

/// Resources and prompts of a fake server.
fn library() -> super::server::Server {
    fake::serve(|asked| {
        let text = |name: &str| asked.params[name].as_str().unwrap_or_default().to_owned();
        Some(match asked.method.as_str() {
            "resources/list" => json!({ "resources": [
                { "uri": "test://a", "name": "A", "mimeType": "text/plain", "description": "the \u{1b}first" } ] }),
            "resources/templates/list" => {
                json!({ "resourceTemplates": [{ "uriTemplate": "test://{id}", "name": "T" }] })
            }
            "resources/read" if text("uri") == "test://image" => {
                json!({ "contents": [{ "uri": "test://image", "mimeType": "image/png", "blob": "iVBORw==" }] })
            }
            "resources/read" => json!({ "contents": [{ "uri": text("uri"), "text": "hello" }] }),
            "prompts/list" => json!({ "prompts": [{ "name": "p", "description": "asks",
                "arguments": [{ "name": "topic", "required": true, "description": "what about" }] }] }),
            "prompts/get" => json!({ "messages": [{ "role": "user", "content": { "type": "text",
                "text": format!("About {}", asked.params["arguments"]["topic"].as_str().unwrap()) } }] }),
            _ => return None,
        })
    })
}

#[test]
fn resources_and_prompts_are_listed_and_read() {
    let server = library();
    let target = server.addr.to_string();
    let listed = succeeded(&["resources", &target]);
    assert!(listed.starts_with("test://a  A, text/plain: the \\u{1b}first\n"), "{listed}");
    assert!(listed.ends_with("Templates:\n  test://{id}  T\n"), "{listed}");
    let whole = json(&succeeded(&["resources", &target, "--output", "json"]));
    assert_eq!(whole["resourceTemplates"][0]["name"], "T");
    assert_eq!(succeeded(&["read", &target, "test://a"]), "hello", "no line end is added in a pipe");
    let listed = succeeded(&["prompts", &target]);
    assert_eq!(listed, "p               asks\n  topic=string  required: what about\n");
    assert_eq!(succeeded(&["prompt", &target, "p", "topic=rings"]), "[user]\nAbout rings\n");
    let shown = succeeded(&["discover", &target]);
    assert!(shown.contains("server        fake 9\n") && shown.contains("prompts (listChanged)"), "{shown}");
    assert!(shown.contains("instructions  Be kind.\n"), "{shown}");
}

#[test]
fn bytes_are_summarised_or_saved() {
    let server = library();
    let target = server.addr.to_string();
    let shown = succeeded(&["read", &target, "test://image"]);
    assert_eq!(shown, "[resource image/png, 4 bytes; --save DIR writes it to a file]\n");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new");
    let save = path.to_str().unwrap();
    let shown = succeeded(&["read", &target, "test://image", "--save", save]);
    assert!(shown.contains("saved to"), "{shown}");
    assert_eq!(std::fs::read(path.join("resource-1.png")).unwrap(), b"\x89PNG");
    // The document stays as it is, and no file is overwritten.
    let whole = json(&succeeded(&["read", &target, "test://image", "--save", save, "--output", "json"]));
    assert_eq!(whole["contents"][0]["blob"], "iVBORw==");
    assert!(path.join("resource-2.png").exists());
    let blocked = path.join("resource-1.png/x");
    let failed = ringmesh(&["read", &target, "test://image", "--save", blocked.to_str().unwrap()]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("cannot save"), "{}", failed.stderr);
}

#[test]
fn headers_and_the_servers_words_come_through_unchanged() {
    let server = fake::serve(|asked| {
        assert!(asked.head.contains("\r\nX-One: 1\r\n"), "{}", asked.head);
        assert!(asked.head.contains("\r\nAuthorization: Bearer t\r\n"), "{}", asked.head);
        let schema = json!({ "type": "object", "minimum": 1.0, "$ref": "https://example.org/never-fetched" });
        (asked.method == "tools/list").then(|| json!({ "tools": [{ "name": "t", "inputSchema": schema }] }))
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Authorization: Bearer t\n").unwrap();
    let from_file = format!("@{}", file.path().display());
    let target = server.addr.to_string();
    let flags = ["--header", "X-One: 1", "--header", &from_file, "--output", "json"];
    let text = succeeded(&[&["tools", &target], &flags[..]].concat());
    assert!(text.contains(r#""minimum":1.0"#) && text.contains("never-fetched"), "{text}");
}
