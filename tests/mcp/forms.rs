//! The form of a message: JSON, JSON-RPC, ids, batches, depth.

use ringmesh::mcp::Registry;
use serde_json::json;

use crate::support::{Headers, MODERN, Server, modern};

fn server() -> Server {
    Server::new(Registry::new())
}

/// Posts bytes with the headers of a `server/discover` of 2026-07-28.
fn post(body: impl AsRef<[u8]>) -> crate::support::Got {
    let (headers, _) = modern("server/discover", json!({}));
    server().post(&headers, body)
}

#[test]
fn what_is_not_json_is_a_parse_error_without_id() {
    let cases: [&[u8]; 14] = [
        b"",
        b" ",
        b"{",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}x",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}{}",
        b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xed\xa0\x80\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"a\"}",
        b"{'jsonrpc':'2.0'}",
        b"{\"a\":\"\n\"}",
        b"nul",
        b"\x00",
    ];
    for body in cases {
        let got = post(body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!((got.status, got.code(), got.error()), (400, -32700, Some("parse_error")), "{shown}");
        assert!(got.body().get("id").is_none(), "{shown}");
    }
}

#[test]
fn json_that_is_no_request_is_an_invalid_request() {
    let cases = [
        ("1", None),
        ("null", None),
        ("\"x\"", None),
        ("{}", None),
        (r#"{"jsonrpc":"2.0"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1}"#, None),
        (r#"{"id":1,"method":"server/discover"}"#, Some(json!(1))),
        (r#"{"jsonrpc":"1.0","id":"a","method":"server/discover"}"#, Some(json!("a"))),
        (r#"{"jsonrpc":2.0,"id":1,"method":"server/discover"}"#, Some(json!(1))),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Some(json!(1))),
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","result":{}}"#, Some(json!(1))),
        // The id is unknown where it is unusable.
        (r#"{"jsonrpc":"2.0","id":null,"method":"server/discover"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"server/discover"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"server/discover"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1e2,"method":"server/discover"}"#, None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"server/discover"}"#, None),
        (r#"{"jsonrpc":"2.0","id":true,"method":"server/discover"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"server/discover"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","method":"ping"}"#, Some(json!(1))),
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{},"params":{}}"#, Some(json!(1))),
        (r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"server/discover"}"#, Some(json!(1))),
        (r#"{"jsonrpc":"2.0","id":1,"\u006dethod":"server/discover","method":"ping"}"#, Some(json!(1))),
    ];
    for (body, id) in cases {
        let got = post(body);
        assert_eq!((got.status, got.code(), got.error()), (400, -32600, Some("invalid_request")), "{body}");
        assert_eq!(got.body().get("id"), id.as_ref(), "{body}");
    }
}

#[test]
fn batches_are_refused() {
    let (headers, body) = modern("server/discover", json!({}));
    for body in ["[]".to_owned(), " [1]".to_owned(), format!("[{body}]"), format!("[{body},{body}]")] {
        let got = server().post(&headers, &body);
        assert_eq!((got.status, got.code(), got.error()), (400, -32600, Some("batch")), "{body}");
    }
    assert_eq!(server().post(&headers, "[1,").code(), -32700);
}

#[test]
fn ids_come_back_exactly_as_they_were_sent() {
    for id in
        ["0", "-7", "\"\"", r#""a\u00e9\"\\\/ é""#, "9007199254740993", "123456789012345678901234567890"]
    {
        let (headers, body) = modern("server/discover", json!({}));
        let body = body.to_string().replacen("\"id\":1", &format!("\"id\":{id}"), 1);
        let got = server().post(&headers, &body);
        assert_eq!(got.status, 200, "{id}");
        assert!(got.text.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#)), "{}", got.text);
        let got = server().post(&headers, body.replace("server/discover", "server/lost"));
        assert!(got.text.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":"#)), "{}", got.text);
    }
    let (headers, body) = modern("server/discover", json!({}));
    let long = body.to_string().replacen("\"id\":1", &format!("\"id\":\"{}\"", "x".repeat(2000)), 1);
    assert_eq!(server().post(&headers, long).code(), -32600);
}

#[test]
fn the_order_of_keys_and_unknown_keys_do_not_matter() {
    let (headers, body) = modern("server/discover", json!({"other": [1, {"x": null}]}));
    let params = body["params"].to_string();
    let body = format!(
        r#" {{ "params" : {params}, "x": {{}}, "method":"server\/discover","id":1,"jsonrpc":"2.0"}} "#
    );
    assert_eq!(server().post(&headers, body).status, 200);
}

#[test]
fn depth_is_limited_and_the_limit_is_named() {
    let server = Server::limited(Registry::new(), |limits| limits.max_json_depth = 8);
    let nested = |depth: usize| {
        // Two levels are the message and its params.
        let (headers, mut body) = modern("server/discover", json!({}));
        body["params"]["x"] =
            serde_json::from_str(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
        server.post(&headers, body.to_string())
    };
    assert_eq!(nested(6).status, 200);
    let got = nested(7);
    assert_eq!((got.status, got.code(), got.error()), (400, -32600, Some("json_too_deep")));
    assert_eq!(got.body()["error"]["data"], json!({"limit": "max_json_depth", "max": 8}));
    assert_eq!(got.label.error.unwrap().limit().unwrap().name(), "max_json_depth");
    let got =
        server.post(&Headers { version: Some(MODERN.into()), ..Headers::json() }, "[".repeat(1_000_000));
    assert_eq!(got.error(), Some("json_too_deep"));
    // Many brackets that do not nest are no depth.
    let (headers, mut body) = modern("server/discover", json!({}));
    body["params"]["x"] = json!(vec![json!([]); 500]);
    body["params"]["y"] = json!("[[[[[[[[[[[[[[[\"[[[[[[[[");
    assert_eq!(server.post(&headers, body.to_string()).status, 200);
}

#[test]
fn a_default_depth_within_the_parsers_own_is_read() {
    let server = server();
    let (headers, mut body) = modern("server/discover", json!({}));
    body["params"]["x"] = serde_json::from_str(&format!("{}{}", "[".repeat(62), "]".repeat(62))).unwrap();
    assert_eq!(server.post(&headers, body.to_string()).status, 200);
}
