//! Arguments against schemas.

use ringmesh::mcp::{Context, Registry, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Got, Server};

#[derive(Deserialize, JsonSchema)]
struct Order {
    /// At least one.
    #[schemars(range(min = 1, max = 10))]
    count: i32,
    #[schemars(regex(pattern = r"^[A-Z]{2}-\d+$"))]
    code: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Deserialize, JsonSchema)]
struct Drawing {
    points: Vec<Point>,
    colour: Option<Colour>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
    Green,
}

#[derive(Deserialize, JsonSchema)]
struct Plain {
    word: String,
    times: Option<u8>,
}

fn server() -> Server {
    let order = |args: Order, _: Context| async move { Ok(format!("{} {:?}", args.count, args.code)) };
    let draw = |args: Drawing, _: Context| async move {
        let sum: f64 = args.points.iter().map(|point| point.x + point.y).sum();
        Ok(format!("{sum} {:?}", args.colour))
    };
    let plain = |args: Plain, _: Context| async move { Ok(args.word.repeat(args.times.unwrap_or(1).into())) };
    let raw = r##"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"name": {"$anchor": "n", "type": "string", "minLength": 2}},
        "properties": {"who": {"$ref": "#n"}, "kind": {"enum": ["a", "b"]}},
        "if": {"properties": {"kind": {"const": "b"}}, "required": ["kind"]},
        "then": {"required": ["who"]},
        "additionalProperties": false
    }"##;
    Server::new(
        Registry::new()
            .tool("order", "", order)
            .tool("draw", "", draw)
            .tool("plain", "", plain)
            .with(Tool::raw("raw", "", raw, |value: Value, _| async move { Ok(value.to_string()) })),
    )
}

/// A refusal that the model sees: a result, not a protocol error.
fn refused(got: &Got, expected: &str) {
    assert!(got.is_error(), "{}", got.text);
    assert_eq!(got.error(), Some("invalid_arguments"));
    assert!(got.content().contains(expected), "{:?} lacks {expected:?}", got.content());
}

#[test]
fn minimum_and_pattern_of_a_typed_tool_are_enforced() {
    let server = server();
    assert_eq!(server.call("order", json!({"count": 1, "code": "AB-12"})).content(), "1 Some(\"AB-12\")");
    refused(&server.call("order", json!({"count": 0})), "`count` must be at least 1, not 0");
    refused(&server.call("order", json!({"count": 11})), "`count` must be at most 10, not 11");
    let got = server.call("order", json!({"count": 1, "code": "ab-12"}));
    refused(&got, r"`code` must match the pattern ^[A-Z]{2}-\d+$");
    let got = server.call("order", json!({"count": 0, "code": ""}));
    refused(&got, "`count`");
    refused(&got, "`code`");
    assert_eq!(server.call("order", json!({"count": 2, "code": null})).content(), "2 None");
}

#[test]
fn nested_objects_and_enums_are_enforced() {
    let server = server();
    let got = server.call("draw", json!({"points": [{"x": 1, "y": 2.5}], "colour": "red"}));
    assert_eq!(got.content(), "3.5 Some(Red)");
    // Serde would take a sequence for a struct and a map for a variant; the schema does not.
    refused(&server.call("draw", json!({"points": [[1, 2]]})), "`points[0]`");
    refused(&server.call("draw", json!({"points": [], "colour": {"red": null}})), "colour");
    refused(&server.call("draw", json!({"points": [{"x": 1}]})), "`points[0].y` is required");
    refused(&server.call("draw", json!({"points": [], "colour": "blue"})), "colour");
}

#[test]
fn the_typed_read_explains_itself_in_the_words_of_the_schema() {
    let server = server();
    assert_eq!(server.call("plain", json!({"word": "ab", "times": 2})).content(), "abab");
    assert_eq!(server.call("plain", json!({"word": "ab", "unknown": 1})).content(), "ab");
    refused(&server.call("plain", json!({})), "`word` is required");
    refused(&server.call("plain", json!({"word": 7})), "`word` must be a string, not 7");
    refused(&server.call("plain", json!({"word": "a", "times": -1})), "`times` must be at least 0");
    refused(&server.call("plain", json!({"word": "a", "times": 256})), "`times` must be at most 255");
    assert!(server.call("plain", json!({})).content().contains("tool plain"));
    // 2.0 is an integer to JSON Schema.
    assert_eq!(server.call("plain", json!({"word": "ab", "times": 2.0})).content(), "abab");
}

#[test]
fn a_raw_schema_is_listed_word_for_word_and_enforced() {
    let server = server();
    let got = server.modern("tools/list", json!({}));
    let listed = &got.result()["tools"][3]["inputSchema"];
    assert_eq!(listed["$defs"]["name"]["$anchor"], "n");
    assert!(
        got.text.contains(r##""inputSchema":{         "$schema": "https://"##),
        "order and spelling are kept"
    );
    assert_eq!(server.call("raw", json!({"who": "me"})).content(), r#"{"who":"me"}"#);
    refused(&server.call("raw", json!({"who": "x"})), "`who` must have at least 2 characters");
    refused(&server.call("raw", json!({"kind": "c"})), "`kind` must be one of [\"a\",\"b\"]");
    refused(&server.call("raw", json!({"kind": "b"})), "`who` is required");
    refused(&server.call("raw", json!({"other": 1})), "`other` is not a known property");
}

#[test]
fn the_answer_to_bad_arguments_stays_short() {
    let server = server();
    let many: Vec<_> = (0..1000).map(|_| json!({"x": "y".repeat(100)})).collect();
    let got = server.call("draw", json!({ "points": many }));
    assert!(got.is_error() && got.text.len() < 3000, "{} bytes", got.text.len());
}
