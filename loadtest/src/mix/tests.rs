//! Mixes read, made ready and refused, and answers held against their checks.

use std::borrow::Cow;

use super::*;
use crate::answer::Answer;
use crate::fault::ErrorKind;
use crate::key::{FIRST_ID, Key, find};
use crate::options::Era;
use crate::values::Target;

pub(crate) fn setting(message_bytes: u32) -> Setting<'static> {
    let http = Some(Target::new("127.0.0.1:8000", "/mcp").unwrap());
    Setting {
        dialect: Dialect { http, era: Era::V2026_07_28 },
        message_bytes,
        tool: "echo",
        remote: Some("/ip4/127.0.0.1/tcp/1/p2p/X"),
        expect: Expect::Any,
        fixed: false,
    }
}

/// The built-in echo with messages of so many bytes.
pub(crate) fn echo(message_bytes: u32) -> Script {
    Script::new(&Mix::built_in("echo").unwrap(), &setting(message_bytes)).unwrap()
}

fn refusal(text: &str) -> String {
    Mix::new("m", text).and_then(|mix| Script::new(&mix, &setting(16))).unwrap_err()
}

#[test]
fn every_built_in_mix_can_be_made_ready() {
    for (name, _) in BUILT_IN {
        let script = Script::new(&Mix::built_in(name).unwrap(), &setting(16)).unwrap();
        assert!(script.steps() >= 1, "{name}");
    }
    let error = Mix::built_in("queue").unwrap_err();
    assert!(error.contains("queue-local"), "{error}");
    let without = Setting { remote: None, ..setting(16) };
    let error = Script::new(&Mix::built_in("queue-remote").unwrap(), &without).unwrap_err();
    assert!(error.contains("--remote"), "{error}");
}

#[test]
fn a_mix_in_json_is_the_same_mix() {
    let json =
        r#"{"connections": 3, "operation": [{"name": "ping", "weight": 2, "step": [{"method": "ping"}]}]}"#;
    let mix = Mix::new("m", json).unwrap();
    assert_eq!(mix.connections(), Some(3));
    let script = Script::new(&mix, &setting(16)).unwrap();
    assert_eq!((script.operations[0].weight, script.operations[0].steps[0].plain), (2, true));
}

#[test]
fn mistakes_in_a_mix_are_named() {
    assert!(refusal("operation = []").contains("0 operations"));
    assert!(refusal("[[operation]]\nname='a'\nstep=[]").contains("0 steps"));
    assert!(refusal("[[operation]]\nname='a'\nweight=0\nstep=[{}]").contains("weight 0"));
    assert!(refusal("[[operation]]\nname='a'\nsteps=[{}]").contains("steps"));
    let step = |step: &str| refusal(&format!("[[operation]]\nname='a'\nstep=[{{{step}}}]"));
    assert!(step("tool='t', params={}").contains("not both"));
    assert!(step("tool='t', arguments={a='{nobody}'}").contains("{nobody}"));
    assert!(step("check={exists=['result']}").contains("JSON pointer"));
    assert!(step("capture={id='/result'}").contains("taken"));
    assert!(step("arguments={a='b'}").contains("only beside a `tool`"));
    for name in [
        "tool=\"a\\r\\nX-Other: b\"",
        "tool='\u{e9}cho'",
        "method='resources/read', params={uri=\"a\\u0000\"}",
    ] {
        assert!(step(name).contains("visible ASCII"), "{name}");
    }
    assert!(step("method='resources/read', params={uri='x:/{id}'}").contains("nothing is filled in"));
    // The older revisions name nothing in the head.
    let dialect = Dialect { era: Era::V2025_11_25, ..setting(16).dialect };
    let mix =
        Mix::new("m", "[[operation]]\nname='a'\nstep=[{method='resources/read', params={uri='x:/{id}'}}]")
            .unwrap();
    assert!(Script::new(&mix, &Setting { dialect, ..setting(16) }).is_ok());
}

#[test]
fn every_request_is_whole_and_its_own() {
    for message_bytes in [1, 15, 16, 17, 1000] {
        let script = echo(message_bytes);
        let step = &script.operations[0].steps[0];
        for id in [FIRST_ID, 1_234_567_890] {
            let key = Key::new(id);
            let length = script.message_bytes;
            let fill =
                Fill { key: &key, message_bytes: length, filler: &script.filler, lane: 0, captured: &[] };
            let (mut body, mut out) = (Vec::new(), Vec::new());
            step.body.append(&mut body, &fill);
            script.dialect.append(&mut out, &step.head, b"", &body);
            assert!(find(&out, b"Mcp-Name: echo\r\n").is_some());
            let json: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["id"], id);
            assert_eq!(json["params"]["arguments"]["message"], key.message(length));
        }
    }
}

/// The verdict on an answer to the one step of a mix with these checks.
fn verdict(check: &str, media_type: &str, body: &str, expect: Expect) -> Result<(), ErrorKind> {
    let mix =
        Mix::new("m", &format!("[[operation]]\nname='a'\n[[operation.step]]\ntool='t'\n{check}")).unwrap();
    let script = Script::new(&mix, &setting(16)).unwrap();
    let key = Key::new(FIRST_ID);
    let captured = vec![Value::Null; script.operations[0].captures];
    let fill = Fill { key: &key, message_bytes: 16, filler: &[], lane: 0, captured: &captured };
    let answer = Answer {
        length: 0,
        status: 200,
        content_type: Cow::Borrowed(media_type),
        session: None,
        body: Cow::Borrowed(body.as_bytes()),
    };
    let checks = &script.operations[0].steps[0].checks;
    checks.check(&answer, &fill, expect).map(drop).map_err(|fault| fault.kind)
}

fn result(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{FIRST_ID},"result":{result}}}"#)
}

#[test]
fn right_answers_in_both_forms() {
    let text = Key::new(FIRST_ID).message(16);
    let json = result(&format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#));
    let check = "check.text='{message}'";
    assert_eq!(verdict(check, "application/json; charset=utf-8", &json, Expect::Json), Ok(()));
    let told = r#"data: {"method":"notifications/x"}"#;
    let events = format!(": hello\n\n{told}\n\nid: 1\ndata: {json}\n\n");
    assert_eq!(verdict(check, "text/event-stream", &events, Expect::Sse), Ok(()));
    assert_eq!(verdict(check, "text/event-stream", &events, Expect::Json), Err(ErrorKind::ContentType));
    assert_eq!(verdict(check, "text/event-stream", ": x\n\n", Expect::Any), Err(ErrorKind::JsonRpc));
    let twice = format!("{events}data: {json}\n\n");
    assert_eq!(verdict(check, "text/event-stream", &twice, Expect::Any), Err(ErrorKind::JsonRpc));
}

#[test]
fn wrong_answers_are_told_apart() {
    let kind = |check: &str, body: &str| verdict(check, "application/json", body, Expect::Any).err();
    let text = "check.text='{message}'";
    assert_eq!(kind(text, &result(r#"{"content":[{"text":"x"}]}"#)), Some(ErrorKind::Text));
    assert_eq!(kind("", &result("{}").replace("1000000000", "7")), Some(ErrorKind::JsonRpc));
    assert_eq!(kind("", &result(r#"{"isError":true}"#)), Some(ErrorKind::CallError));
    assert_eq!(kind("check.tool_error=true", &result(r#"{"isError":true}"#)), None);
    let error = result("{}").replace("\"result\":{}", "\"error\":{\"code\":-32601}");
    assert_eq!(kind("", &error), Some(ErrorKind::CallError));
    assert_eq!(kind("check.error_code=-32601", &error), None);
    assert_eq!(kind("check.error_code=-32600", &error), Some(ErrorKind::CallError));
    assert_eq!(kind("", "{}"), Some(ErrorKind::JsonRpc));
    let body = result(r#"{"a":{"b":[1,2]}}"#);
    assert_eq!(kind("check.equals={'/result/a/b/1'=2}\ncheck.exists=['/result/a']", &body), None);
    assert_eq!(kind("check.equals={'/result/a/b/1'=3}", &body), Some(ErrorKind::Check));
    assert_eq!(kind("check.absent=['/result/a']", &body), Some(ErrorKind::Check));
    assert_eq!(kind("check.exists=['/result/c']", &body), Some(ErrorKind::Check));
    assert_eq!(kind("capture.c='/result/c'", &body), Some(ErrorKind::Check));
}

#[test]
fn the_mix_in_the_documentation_can_be_made_ready() {
    let page = include_str!("../../../docs/load-testing.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let mix = Mix::new("documented", example).unwrap();
    assert_eq!(mix.connections(), Some(32));
    assert_eq!(Script::new(&mix, &setting(16)).unwrap().steps(), 2);
}
