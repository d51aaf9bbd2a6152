//! What tools return: text, structure, failures, panics, blocking work.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringmesh::mcp::{
    CallError, Content, Context, Json, McpOptions, Offload, OffloadFull, Registry, Reply, Tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{LEGACY, Server, Started, modern, poll_pending, request};

#[derive(Deserialize, JsonSchema)]
struct NoArgs {}

#[derive(Serialize, JsonSchema)]
struct Weather {
    celsius: f64,
}

fn tool<R: ringmesh::mcp::IntoReply + 'static>(
    name: &str,
    body: impl Fn() -> Result<R, CallError> + Clone + Send + Sync + 'static,
) -> Tool {
    Tool::new(name, "", move |_: NoArgs, _: Context| {
        let body = body.clone();
        async move { body() }
    })
}

#[test]
fn structured_content_comes_with_its_schema_and_a_text_copy() {
    let server = Server::new(Registry::new().with(tool("weather", || Ok(Json(Weather { celsius: 21.5 })))));
    let got = server.call("weather", json!({}));
    assert_eq!(got.result()["structuredContent"], json!({"celsius": 21.5}));
    assert_eq!(got.content(), r#"{"celsius":21.5}"#);
    let list = server.modern("tools/list", json!({}));
    let schema = &list.result()["tools"][0]["outputSchema"];
    assert_eq!((&schema["type"], &schema["required"]), (&json!("object"), &json!(["celsius"])));
    let session = server.open(LEGACY);
    let got = server.legacy(&session, "tools/call", json!({"name": "weather"}));
    assert_eq!(got.result()["structuredContent"], json!({"celsius": 21.5}));
    assert!(got.result().get("resultType").is_none() && got.result().get("_meta").is_none());
    let list = server.legacy(&session, "tools/list", json!({}));
    assert_eq!(list.result()["tools"][0]["outputSchema"]["type"], "object");
}

#[test]
fn structure_that_is_no_object_exists_in_2026_07_28_only() {
    let server = Server::new(
        Registry::new().with(tool("list", || Ok(Json(vec![1, 2])))).with(tool("null", || Ok(Value::Null))),
    );
    let got = server.call("list", json!({}));
    assert_eq!((&got.result()["structuredContent"], got.content()), (&json!([1, 2]), "[1,2]"));
    assert_eq!(server.call("null", json!({})).result()["structuredContent"], Value::Null);
    assert!(server.call("null", json!({})).text.contains(r#""structuredContent":null"#));
    assert_eq!(server.modern("tools/list", json!({})).result()["tools"][0]["outputSchema"]["type"], "array");
    let session = server.open("2025-06-18");
    let got = server.legacy(&session, "tools/call", json!({"name": "list"}));
    assert_eq!((got.result().get("structuredContent"), got.content()), (None, "[1,2]"));
    let list = server.legacy(&session, "tools/list", json!({}));
    assert!(list.result()["tools"][0].get("outputSchema").is_none());
    assert!(list.result().get("ttlMs").is_none() && list.result().get("cacheScope").is_none());
}

#[test]
fn a_declared_output_schema_is_enforced() {
    let schema =
        json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}, "required": ["n"]});
    let with = |name: &str, value: Value| tool(name, move || Ok(value.clone())).output_schema(schema.clone());
    let server = Server::new(
        Registry::new()
            .with(with("good", json!({"n": 1})))
            .with(with("bad", json!({"n": -1, "secret": "x"})))
            .with(tool("none", || Ok("text")).output_schema(schema.clone()))
            .with(tool::<&str>("fails", || Err(CallError::failed("no"))).output_schema(schema.clone())),
    );
    assert_eq!(server.call("good", json!({})).result()["structuredContent"], json!({"n": 1}));
    for name in ["bad", "none"] {
        let got = server.call(name, json!({}));
        assert_eq!((got.status, got.code(), got.error()), (200, -32603, Some("invalid_output")));
        assert_eq!(got.message(), "Internal error");
    }
    assert!(server.call("fails", json!({})).is_error(), "a failure needs no structure");
}

#[test]
fn failures_are_results_and_protocol_errors_are_errors() {
    let server = Server::new(
        Registry::new()
            .with(tool::<&str>("failed", || Err(CallError::failed("too late"))))
            .with(tool::<i32_text>("question_mark", || Ok("x".parse::<i32>().map(|n| n.to_string())?)))
            .with(tool::<&str>("params", || Err(CallError::invalid_params("no such thing"))))
            .with(tool::<&str>("internal", || Err(CallError::internal("password=hunter2"))))
            .with(tool::<&str>("own", || Err(CallError::protocol(7, "seven", Some(json!({"a": 1}))))))
            .with(tool::<&str>("stolen", || Err(CallError::protocol(-32042, "no", None)))),
    );
    let got = server.call("failed", json!({}));
    assert_eq!((got.is_error(), got.content(), got.error()), (true, "too late", Some("tool_failed")));
    assert!(server.call("question_mark", json!({})).is_error());
    let got = server.call("params", json!({}));
    assert_eq!((got.status, got.code(), got.message()), (400, -32602, "no such thing"));
    let got = server.call("internal", json!({}));
    assert_eq!((got.status, got.code(), got.message()), (200, -32603, "Internal error"));
    assert!(!got.text.contains("hunter2"));
    let got = server.call("own", json!({}));
    assert_eq!((got.status, got.code(), got.error()), (200, 7, Some("tool_protocol")));
    assert_eq!(got.body()["error"]["data"], json!({"a": 1}));
    assert_eq!(server.call("stolen", json!({})).code(), -32603);
    let session = server.open(LEGACY);
    let got = server.legacy(&session, "tools/call", json!({"name": "params"}));
    assert_eq!((got.status, got.code()), (200, -32602));
}

#[expect(non_camel_case_types, reason = "names what the tool returns")]
type i32_text = String;

#[test]
fn every_kind_of_content_can_be_returned() {
    let reply = || {
        Ok(Reply::blocks([Content::text("a"), Content::image(b"\x01", "image/png")])
            .with_meta("k", json!([1])))
    };
    let both = || {
        let structured = Reply::structured(&json!({"n": 1}))?;
        Ok(structured
            .with_blocks([Content::text("one")])
            .with_meta("io.modelcontextprotocol/serverInfo", "forged"))
    };
    let server = Server::new(
        Registry::new()
            .with(tool("blocks", reply))
            .with(tool("both", both))
            .with(tool("unit", || Ok(())))
            .with(tool("one", || Ok(Content::resource_link("a://b", "c")))),
    );
    let got = server.call("blocks", json!({}));
    assert_eq!(got.result()["content"][1], json!({"type": "image", "data": "AQ==", "mimeType": "image/png"}));
    assert_eq!(got.result()["_meta"]["k"], json!([1]));
    assert_eq!(got.result()["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "ringmesh");
    let got = server.call("both", json!({}));
    assert_eq!((got.content(), &got.result()["structuredContent"]), ("one", &json!({"n": 1})));
    assert_eq!(got.result()["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "ringmesh");
    assert_eq!(server.call("unit", json!({})).result()["content"], json!([]));
    assert_eq!(server.call("one", json!({})).result()["content"][0]["type"], "resource_link");
    let session = server.open(LEGACY);
    let got = server.legacy(&session, "tools/call", json!({"name": "blocks"}));
    assert_eq!(got.result()["_meta"], json!({"k": [1]}));
}

#[test]
fn raw_json_with_line_breaks_still_answers_on_one_line() {
    let text = || {
        let raw = serde_json::value::RawValue::from_string("{\n\"a\":\r\n1}".to_owned()).unwrap();
        Reply::structured(&raw)
    };
    let server = Server::new(Registry::new().with(tool("lines", text)));
    assert_eq!(server.call("lines", json!({})).result()["structuredContent"], json!({"a": 1}));
}

#[test]
fn panics_are_caught_counted_and_kept_inside() {
    let starting = Tool::new("starting", "", |_: NoArgs, _: Context| {
        if true {
            panic!("secret one");
        }
        async { Ok("") }
    });
    let polled = Tool::new("polled", "", |_: NoArgs, _: Context| async {
        futures_lite::future::yield_now().await;
        if true {
            panic!("secret two");
        }
        Ok("")
    });
    let server = Server::new(Registry::new().with(starting).with(polled).with(tool("fine", || Ok("fine"))));
    for name in ["starting", "polled"] {
        let got = server.call(name, json!({}));
        assert_eq!((got.status, got.code(), got.error()), (200, -32603, Some("panic")), "{name}");
        assert_eq!(got.message(), "Internal error");
        assert!(got.label.tool.is_some());
    }
    assert_eq!(server.call("fine", json!({})).content(), "fine");
}

/// A pool that keeps its jobs until told to run them.
#[derive(Default)]
struct Held {
    jobs: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    room: usize,
}

impl Offload for Held {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadFull> {
        let mut jobs = self.jobs.lock().unwrap();
        if jobs.len() >= self.room {
            return Err(OffloadFull);
        }
        jobs.push(job);
        Ok(())
    }
}

fn blocking_server(pool: &Arc<Held>) -> Server {
    let options = McpOptions { offload: Some(pool.clone()), ..McpOptions::default() };
    let slow = |_: NoArgs, context: Context| {
        if context.is_cancelled() {
            return Err(CallError::failed("cancelled"));
        }
        Ok(format!("{:?}", std::thread::current().name()))
    };
    let bad = |_: NoArgs, _: Context| -> Result<&str, CallError> { panic!("secret") };
    Server::with(
        Registry::new().with(Tool::blocking("slow", "", slow)).with(Tool::blocking("bad", "", bad)),
        options,
    )
}

#[test]
fn blocking_tools_run_on_the_pool() {
    let pool = Arc::new(Held { room: 4, ..Held::default() });
    let server = blocking_server(&pool);
    let (headers, body) = modern("tools/call", json!({"name": "slow"}));
    let mut call = server.start(&headers, body.to_string()).call();
    poll_pending(&mut call);
    let job = pool.jobs.lock().unwrap().pop().unwrap();
    let thread = std::thread::Builder::new().name("pool".into()).spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        job();
    });
    assert_eq!(crate::support::finish(call).content(), "Some(\"pool\")");
    thread.unwrap().join().unwrap();
}

#[test]
fn a_full_pool_is_overload_and_a_lost_or_panicking_job_is_an_error() {
    let pool = Arc::new(Held { room: 1, ..Held::default() });
    let server = blocking_server(&pool);
    let start = |name: &str| {
        let (headers, body) = modern("tools/call", json!({ "name": name }));
        server.start(&headers, body.to_string())
    };
    let first = start("bad").call();
    let Started::Done(got) = start("slow") else { panic!("the pool is full") };
    assert_eq!((got.status, got.retry_after_s, got.error()), (503, Some(1), Some("blocking_full")));
    assert_eq!(got.code(), -33503);
    assert_eq!(got.body()["error"]["data"]["retryable"], true);
    assert_eq!((got.label.tool, &got.body()["id"]), (Some(0), &json!(1)));
    let job = pool.jobs.lock().unwrap().pop().unwrap();
    job();
    assert_eq!(crate::support::finish(first).error(), Some("panic"));
    let second = start("slow").call();
    pool.jobs.lock().unwrap().clear();
    assert_eq!(crate::support::finish(second).error(), Some("internal"));
}

#[test]
fn the_context_knows_the_call() {
    let about = |_: NoArgs, context: Context| async move {
        Ok(json!({
            "id": context.request_id(), "core": context.core(), "who": context.principal(),
            "tool": context.name(), "revision": context.revision().as_str(),
            "seconds": context.deadline().saturating_duration_since(std::time::Instant::now()).as_secs_f64().round()
        }))
    };
    let server =
        Server::new(Registry::new().with(Tool::new("about", "", about).timeout(Duration::from_secs(100))));
    let expected = json!({"id": "1", "core": 3, "who": "anonymous", "tool": "about", "revision": "2026-07-28",
        "seconds": 100.0});
    assert_eq!(server.call("about", json!({})).result()["structuredContent"], expected);
    let (mut headers, body) = modern("tools/call", json!({"name": "about"}));
    headers.principal = Some("a principal with a name that is longer than thirty bytes".into());
    let got = server.post(&headers, body.to_string());
    assert_eq!(got.result()["structuredContent"]["who"], *headers.principal.as_ref().unwrap());
    let (headers, _) = modern("tools/call", json!({"name": "about"}));
    let call = server.start(&headers, body.to_string()).call();
    assert_eq!((call.timeout(), call.name()), (Duration::from_secs(100), "about"));
    assert!(!call.survives_disconnect());
    let _ = request("ping", json!({}));
}
