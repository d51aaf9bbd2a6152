//! Resources and templates: listed, read, and not found.

use std::collections::BTreeMap;
use std::time::Duration;

use ringmesh::mcp::{
    CacheScope, CallError, Capability, ContentAnnotations, Contents, Context, Icon, LogLevel, Registry,
    Resource, ResourceTemplate, Role,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Got, MODERN, REVISIONS, Server};

#[derive(Deserialize)]
struct Item {
    id: u32,
}

fn registry() -> Registry {
    let annotations = ContentAnnotations {
        audience: vec![Role::User],
        priority: Some(0.5),
        last_modified: Some("2025-01-12T15:00:58Z".into()),
    };
    let full = Resource::text("test://full", "full", "all of it")
        .title("Full")
        .description("Says everything")
        .mime_type("text/plain")
        .icon(Icon::new("https://example.com/i.png").size("48x48"))
        .annotations(annotations)
        .meta("a.b/c", json!({"x": 1}))
        .cache(Duration::from_secs(5), CacheScope::Public);
    let binary = Resource::new("test://binary", "binary", |_: Context| async { Ok(vec![0_u8, 255]) });
    let several = Resource::new("test://several", "several", |_: Context| async {
        Ok(vec![Contents::text("a").uri("test://several/a"), Contents::bytes([1]).mime_type("image/png")])
    });
    let item =
        ResourceTemplate::new("test://items/{id}", "item", |item: Item, context: Context| async move {
            if item.id == 404 {
                return Err(CallError::resource_not_found(context.uri().unwrap()));
            }
            Ok(format!("{} at {}", item.id, context.name()))
        });
    let file = ResourceTemplate::new(
        "file:///docs/{+path}",
        "file",
        |variables: BTreeMap<String, String>, _: Context| async move { Ok(variables["path"].clone()) },
    );
    Registry::new()
        .resource(full)
        .resource(binary.mime_type("application/octet-stream"))
        .resource(several)
        .resource(Resource::text("test://items/7", "seven", "its own"))
        .resource_template(item.mime_type("text/plain").title("An item"))
        .resource_template(file)
}

fn read(server: &Server, uri: &str) -> Got {
    server.modern("resources/read", json!({ "uri": uri }))
}

#[test]
fn everything_about_a_resource_is_listed() {
    let server = Server::new(registry());
    let got = server.modern("resources/list", json!({}));
    let result = got.result();
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("public")));
    assert!(result["ttlMs"].is_u64());
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string());
    let expected = json!({
        "uri": "test://full", "name": "full", "title": "Full", "description": "Says everything",
        "mimeType": "text/plain", "size": 9,
        "annotations": {"audience": ["user"], "priority": 0.5, "lastModified": "2025-01-12T15:00:58Z"},
        "icons": [{"src": "https://example.com/i.png", "sizes": ["48x48"]}],
        "_meta": {"a.b/c": {"x": 1}}
    });
    assert_eq!(result["resources"][0], expected);
    let names: Vec<_> =
        result["resources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["full", "binary", "several", "seven"]);
    let got = server.modern("resources/templates/list", json!({}));
    let expected = json!([
        {"uriTemplate": "test://items/{id}", "name": "item", "title": "An item", "mimeType": "text/plain"},
        {"uriTemplate": "file:///docs/{+path}", "name": "file"}
    ]);
    assert_eq!(got.result()["resourceTemplates"], expected);
}

#[test]
fn a_read_yields_contents_and_how_long_they_may_be_kept() {
    let server = Server::new(registry());
    let got = read(&server, "test://full");
    let result = got.result();
    let expected = json!([{"uri": "test://full", "mimeType": "text/plain", "text": "all of it"}]);
    assert_eq!((&result["contents"], &result["resultType"]), (&expected, &json!("complete")));
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(5000), &json!("public")));
    assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"].is_object());
    assert_eq!(got.label.method.as_str(), "resources/read");
    let got = read(&server, "test://binary");
    let expected = json!([{"uri": "test://binary", "mimeType": "application/octet-stream", "blob": "AP8="}]);
    assert_eq!(got.result()["contents"], expected);
    assert_eq!((&got.result()["ttlMs"], &got.result()["cacheScope"]), (&json!(0), &json!("private")));
    let expected = json!([{"uri": "test://several/a", "text": "a"},
        {"uri": "test://several", "mimeType": "image/png", "blob": "AQ=="}]);
    assert_eq!(read(&server, "test://several").result()["contents"], expected);
}

#[test]
fn a_template_serves_what_it_can_make_and_a_resource_comes_first() {
    let server = Server::new(registry());
    let got = read(&server, "test://items/123");
    let expected = json!([{"uri": "test://items/123", "mimeType": "text/plain",
        "text": "123 at test://items/123"}]);
    assert_eq!(got.result()["contents"], expected);
    assert_eq!(read(&server, "test://items/7").result()["contents"][0]["text"], "its own");
    let got = read(&server, "file:///docs/a/b%20c.txt");
    assert_eq!(got.result()["contents"][0]["text"], "a/b c.txt");
}

#[test]
fn what_is_not_there_is_an_error_and_never_empty() {
    let server = Server::new(registry());
    let unknown = [
        "test://nope",
        "test://items/",
        "test://items/x",
        "test://items/404",
        "test://items/1/2",
        "file:///docs/../etc/passwd",
        "file:///docs/%2e%2e/etc/passwd",
        "file:///docs//etc/passwd",
        "",
    ];
    for uri in unknown {
        let got = read(&server, uri);
        assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("resource_not_found")), "{uri}");
        assert_eq!(got.body()["error"]["data"], json!({ "uri": uri }));
        assert!(got.message().starts_with("Resource not found"), "{}", got.message());
        for version in &REVISIONS[1..] {
            let got = server.legacy(&server.open(version), "resources/read", json!({ "uri": uri }));
            assert_eq!((got.status, got.code()), (200, -32002), "{uri} {version}");
            assert_eq!(got.body()["error"]["data"], json!({ "uri": uri }));
        }
    }
    assert!(read(&server, "test://items/x").message().contains("`id` must be"));
}

#[test]
fn a_uri_must_be_there_and_within_its_limit() {
    let server = Server::limited(registry(), |limits| limits.max_uri_bytes = 64);
    for params in [json!({}), json!({"uri": 7}), json!({"uri": null}), json!({"uri": ["test://full"]})] {
        let got = server.modern("resources/read", params.clone());
        assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("invalid_params")), "{params}");
        assert!(got.message().contains("params.uri"));
    }
    let uri = |bytes: usize| format!("test://{}", "x".repeat(bytes - 7));
    assert_eq!(read(&server, &uri(64)).error(), Some("resource_not_found"));
    let got = read(&server, &uri(65));
    assert_eq!((got.status, got.code(), got.error()), (400, -32602, Some("uri_too_long")));
    assert_eq!(got.body()["error"]["data"], json!({"limit": "max_uri_bytes", "max": 64}));
    assert_eq!(got.label.error.unwrap().limit().unwrap().name(), "max_uri_bytes");
}

#[test]
fn the_header_must_name_the_uri() {
    let server = Server::new(registry());
    let (mut headers, body) = crate::support::modern("resources/read", json!({"uri": "test://full"}));
    headers.name = Some("test://binary".into());
    assert_eq!(server.post(&headers, body.to_string()).code(), -32020);
    headers.name = None;
    assert_eq!(server.post(&headers, body.to_string()).code(), -32020);
}

fn calling() -> Server {
    let fails = Resource::new("test://fails", "fails", |_: Context| async {
        Err::<String, _>(CallError::failed("the disk is on fire"))
    });
    let breaks = Resource::new("test://breaks", "breaks", |_: Context| async {
        Err::<String, _>(CallError::internal("secret detail"))
    });
    let panics = Resource::new("test://panics", "panics", |_: Context| async {
        if true {
            panic!("secret");
        }
        Ok("")
    });
    let needs = Resource::new("test://needs", "needs", |context: Context| async move {
        context.require(Capability::Sampling)?;
        Ok("")
    });
    let talks = Resource::new("test://talks", "talks", |context: Context| async move {
        context.progress(1.0, Some(2.0), None).await;
        context.log(LogLevel::Warning, None, "reading").await;
        Ok("said")
    });
    let waits =
        Resource::new("test://waits", "waits", |_: Context| std::future::pending::<Result<&str, _>>());
    let registry = Registry::new().resource(fails).resource(breaks).resource(panics).resource(needs);
    Server::new(registry.resource(talks).resource(waits.timeout(Duration::from_millis(20))))
}

#[test]
fn failures_are_errors_because_a_read_has_no_other_way_to_tell() {
    let server = calling();
    let got = read(&server, "test://fails");
    assert_eq!((got.status, got.code(), got.message()), (200, -32603, "the disk is on fire"));
    assert_eq!(got.error(), Some("tool_failed"));
    for uri in ["test://breaks", "test://panics"] {
        let got = read(&server, uri);
        assert_eq!((got.code(), got.message()), (-32603, "Internal error"));
    }
    let got = read(&server, "test://needs");
    assert_eq!((got.status, got.code()), (400, -32021));
    assert_eq!(got.body()["error"]["data"], json!({"requiredCapabilities": {"sampling": {}}}));
    assert!(got.message().ends_with("for this resource"));
}

#[test]
fn a_read_is_a_call_with_events_a_deadline_and_a_cancellation() {
    let server = calling();
    let meta = json!({"progressToken": 3, "io.modelcontextprotocol/logLevel": "debug"});
    let got = server.modern("resources/read", json!({"uri": "test://talks", "_meta": meta}));
    assert_eq!(got.result()["contents"][0]["text"], "said");
    let methods: Vec<_> = got.events.iter().map(|event| event["method"].clone()).collect();
    assert_eq!(methods, ["notifications/progress", "notifications/message"]);
    let (headers, body) = crate::support::modern("resources/read", json!({"uri": "test://waits"}));
    let mut call = server.start(&headers, body.to_string()).call();
    crate::support::poll_pending(&mut call);
    assert_eq!((call.timeout(), call.name()), (Duration::from_millis(20), "test://waits"));
    let mut out = Vec::new();
    let got = Got::new(call.expire(&mut out), &out, Vec::new());
    let message = "The resource test://waits did not finish within 20 ms and was cancelled.";
    assert_eq!((got.code(), got.message(), got.error()), (-32603, message, Some("tool_timeout")));
    let session = server.open("2025-11-25");
    let mut call = server
        .start(
            &session,
            crate::support::request("resources/read", json!({"uri": "test://waits"})).to_string(),
        )
        .call();
    crate::support::poll_pending(&mut call);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(server.post(&session, cancel.to_string()).status, 202);
    assert_eq!(crate::support::finish(call).error(), Some("cancelled"));
}

#[test]
fn mistakes_are_refused_with_the_rule() {
    let error = |registry: Registry| {
        let options = ringmesh::mcp::McpOptions::default();
        ringmesh::mcp::Dispatcher::new(registry, options).unwrap_err().to_string()
    };
    let text = |uri: &str| Resource::text(uri, "n", "");
    let template = |uri: &str| {
        ResourceTemplate::new(uri, "n", |_: BTreeMap<String, String>, _: Context| async { Ok("") })
    };
    for (registry, expected) in [
        (Registry::new().resource(text("plain")), "the resource plain must begin with a scheme"),
        (Registry::new().resource(text("test://a b")), "the resource \"test://a b\" has the character ' '"),
        (
            Registry::new().resource(text("test://a")).resource(text("test://a")),
            "the resource test://a is registered twice",
        ),
        (Registry::new().resource(Resource::text("test://a", "", "")), "the resource test://a has no name"),
        (Registry::new().resource(text("test://a").mime_type("text")), "MIME type"),
        (Registry::new().resource(text("test://a").icon(Icon::new("file:///i.png"))), "https:"),
        (Registry::new().resource(text(&format!("test://{}", "x".repeat(3000)))), "max_uri_bytes"),
        (
            Registry::new().resource_template(template("x:{a}{b}")),
            "the resource template x:{a}{b} has nothing between",
        ),
        (Registry::new().resource_template(template("x:plain")), "no variable"),
        (Registry::new().resource_template(template("x:{a}")).resource_template(template("x:{a}")), "twice"),
    ] {
        let error = error(registry);
        assert!(error.contains(expected), "{error}");
    }
    let priority = ContentAnnotations { priority: Some(1.5), ..ContentAnnotations::default() };
    assert!(error(Registry::new().resource(text("x:a").annotations(priority))).contains("from 0 to 1"));
    let completed = template("x:{a}").complete("b", |_, _: Context| async { Ok(vec![String::new()]) });
    assert!(error(Registry::new().resource_template(completed)).contains("completes \"b\""));
}

#[test]
fn older_clients_get_the_fields_they_know() {
    let server = Server::new(registry());
    let listed = |version: &str| -> Value {
        let got = match version {
            MODERN => server.modern("resources/list", json!({})),
            version => server.legacy(&server.open(version), "resources/list", json!({})),
        };
        got.result()["resources"][0].clone()
    };
    let keys = |version: &str| {
        listed(version).as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    let all = "_meta annotations description icons mimeType name size title uri";
    assert_eq!((keys(MODERN).as_str(), keys("2025-11-25").as_str()), (all, all));
    assert_eq!(keys("2025-06-18"), "_meta annotations description mimeType name size title uri");
    for version in ["2025-03-26", "2024-11-05"] {
        assert_eq!(keys(version), "annotations description mimeType name size uri");
        assert_eq!(listed(version)["annotations"], json!({"audience": ["user"], "priority": 0.5}));
        let session = server.open(version);
        let got = server.legacy(&session, "resources/read", json!({"uri": "test://full"}));
        let expected =
            json!({"contents": [{"uri": "test://full", "mimeType": "text/plain", "text": "all of it"}]});
        assert_eq!(*got.result(), expected);
    }
}
