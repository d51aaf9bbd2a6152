//! Lists, the headers that tools ask for, and typed results.

use std::cell::Cell;

use ringmesh::client::{ClientError, CompletionTarget};
use serde_json::{Value, json};

use super::script::Script;
use super::{connect, options, run};

fn tool(name: &str, property: Value) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object", "properties": { "v": property } } })
}

#[test]
fn lists_are_read_to_their_last_page() {
    run(|scope| async move {
        let script = Script::modern(|seen| match seen.body["params"]["cursor"].as_str() {
            None => seen.result(json!({ "tools": [tool("a", json!({}))], "nextCursor": "" })),
            Some("") => seen.result(
                json!({ "tools": [tool("b", json!({})), 7, { "name": "no schema" }], "nextCursor": "2" }),
            ),
            Some("2") => seen.result(json!({ "tools": [tool("c", json!({}))] })),
            Some(other) => panic!("{other}"),
        });
        let client = connect(&scope, &script, options()).await;
        let names: Vec<String> =
            client.list_tools().await.unwrap().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, ["a", "b", "c"], "what cannot be read is left out");
        assert!(script.sent("tools/list")[0].body["params"].get("cursor").is_none());
    });
}

#[test]
fn lists_without_an_end_are_an_error() {
    let list = |pages: usize, entries: usize| {
        run(move |scope| async move {
            let page = Cell::new(0);
            let script = Script::modern(move |seen| {
                page.set(page.get() + 1);
                let entry = json!({ "name": "p" });
                seen.result(json!({ "prompts": vec![entry; 4], "nextCursor": page.get().to_string() }))
            });
            let mut options = options();
            (options.limits.max_pages, options.limits.max_list_entries) = (pages, entries);
            let client = connect(&scope, &script, options).await;
            let error = client.list_prompts().await.unwrap_err();
            let name = if pages < entries { "max_pages" } else { "max_list_entries" };
            assert!(matches!(error, ClientError::Limit { limit, max: 5 } if limit == name), "{error}");
        });
    };
    list(5, 1_000);
    list(1_000, 5);
    run(|scope| async move {
        let script = Script::modern(|seen| seen.result(json!({ "resources": [], "nextCursor": "same" })));
        let client = connect(&scope, &script, options()).await;
        let error = client.list_resources().await.unwrap_err();
        assert!(error.to_string().contains("nextCursor") && script.count("resources/list") == 2, "{error}");
    });
}

#[test]
fn tools_with_bad_headers_are_left_out_and_not_called() {
    run(|scope| async move {
        let script = Script::modern(|seen| match seen.method() {
            "tools/list" => seen.result(json!({ "tools": [
                tool("good", json!({ "type": "string", "x-mcp-header": "Region" })),
                tool("bad", json!({ "type": "number", "x-mcp-header": "Score" })) ] })),
            _ => seen.result(json!({ "content": [] })),
        });
        let client = connect(&scope, &script, options()).await;
        let tools = client.list_tools().await.unwrap();
        assert_eq!(tools.len(), 1);
        let error = client.call_tool("bad", json!({ "v": 1 })).await.unwrap_err();
        assert!(matches!(&error, ClientError::InvalidTool { name, .. } if name == "bad"), "{error}");
        client.call_tool("good", json!({ "v": " padded " })).await.unwrap();
        let head = &script.sent("tools/call")[0].outgoing.head;
        assert_eq!(head.params, [("Mcp-Param-Region".to_owned(), "=?base64?IHBhZGRlZCA=?=".to_owned())]);
        assert_eq!(head.name.as_deref(), Some("good"));
    });
}

#[test]
fn a_mismatch_makes_the_client_look_at_the_schema_once() {
    run(|scope| async move {
        let script = Script::modern(|seen| match seen.method() {
            "tools/list" => seen
                .result(json!({ "tools": [tool("t", json!({ "type": "integer", "x-mcp-header": "V" }))] })),
            _ if seen.outgoing.head.params.is_empty() => seen.error(400, -32020, Value::Null),
            _ => seen.result(json!({ "content": [{ "type": "text", "text": "ok" }] })),
        });
        let client = connect(&scope, &script, options()).await;
        assert_eq!(client.call_tool("t", json!({ "v": 3 })).await.unwrap().text(), "ok");
        assert_eq!(script.methods()[1..], ["tools/call", "tools/list", "tools/call"]);
        let error = client.call_tool("t", json!({ "v": null })).await.unwrap_err();
        assert_eq!(error.protocol().unwrap().code, -32020, "what does not help is not repeated");
        assert_eq!(script.count("tools/call"), 3);
    });
}

#[test]
fn what_is_not_offered_is_not_asked_for() {
    run(|scope| async move {
        let script = Script::new(|seen| {
            seen.result(json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} }))
        });
        let client = connect(&scope, &script, options()).await;
        let target = CompletionTarget::Prompt("p".into());
        let errors = [
            client.list_tools().await.unwrap_err(),
            client.call_tool("t", Value::Null).await.unwrap_err(),
            client.read_resource("a:b").await.unwrap_err(),
            client.complete(target, "a", "", Default::default()).await.unwrap_err(),
            client.subscribe("a:b").await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| matches!(error, ClientError::NotOffered { .. })), "{errors:?}");
        assert_eq!(script.methods(), ["server/discover"]);
    });
}

#[test]
fn completion_names_its_target_and_context() {
    run(|scope| async move {
        let script = Script::modern(|seen| {
            seen.result(json!({ "resultType": "complete", "completion": { "values": ["x"], "total": 9, "hasMore": true } }))
        });
        let client = connect(&scope, &script, options()).await;
        let context = [("a".to_owned(), "1".to_owned())].into();
        let target = CompletionTarget::ResourceTemplate("t://{b}".into());
        let completion = client.complete(target, "b", "2", context).await.unwrap();
        assert_eq!((completion.values.len(), completion.total, completion.has_more), (1, Some(9), true));
        let params = &script.sent("completion/complete")[0].body["params"];
        assert_eq!(params["ref"], json!({ "type": "ref/resource", "uri": "t://{b}" }));
        assert_eq!(params["context"], json!({ "arguments": { "a": "1" } }));
    });
}

#[test]
fn structured_content_must_fit_what_the_list_promised() {
    run(|scope| async move {
        let script = Script::modern(|seen| match seen.method() {
            "tools/list" => seen
                .result(json!({ "tools": [{ "name": "t", "inputSchema": { "type": "object" },
                "outputSchema": { "type": "object", "required": ["n"] } }] })),
            _ => seen.result(json!({ "content": [], "structuredContent": seen.body["params"]["arguments"] })),
        });
        let client = connect(&scope, &script, options()).await;
        client.call_tool("t", json!({})).await.unwrap();
        client.list_tools().await.unwrap();
        client.call_tool("t", json!({ "n": 1 })).await.unwrap();
        let error = client.call_tool("t", json!({})).await.unwrap_err();
        assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
        let mut lenient = options();
        lenient.check_output = false;
        let client = connect(&scope, &script, lenient).await;
        client.list_tools().await.unwrap();
        client.call_tool("t", json!({})).await.unwrap();
    });
}
