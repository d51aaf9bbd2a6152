//! What peers of 2024-11-05 say otherwise than MCP does.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    result: Called<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Called<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(default)]
    is_error: bool,
}

#[derive(Deserialize)]
struct Bare {
    ok: bool,
}

/// The answer to `tools/call` in the form of MCP, where the peer put a bare object in the place of the content, as these
/// peers do for `task_queue.rpc`: the object becomes a text and the structured content, word for word, and `"ok": false` in
/// it an error of the tool. `None` where the answer has that form already, or none.
pub(super) fn as_tool_result(answer: &[u8]) -> Option<Vec<u8>> {
    let Answer { id, result } = serde_json::from_slice(answer).ok()?;
    let content = result.content.get();
    if !content.starts_with('{') {
        return None;
    }
    let has_failed = serde_json::from_str::<Bare>(content).is_ok_and(|bare| !bare.ok);
    let text = serde_json::to_string(content).ok()?;
    let is_error = result.is_error || has_failed;
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":{text}}}],"structuredContent":{content},"isError":{is_error}}}}}"#
    );
    Some(answer.into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(answer: &str) -> Option<Value> {
        as_tool_result(answer.as_bytes()).map(|answer| serde_json::from_slice(&answer).unwrap())
    }

    #[test]
    fn a_bare_object_becomes_a_text_and_the_value() {
        let answer =
            read(r#"{"jsonrpc":"2.0","id":"a\u0062","result":{"content":{"ok":true,"n":1.50,"s":"\"é"}}}"#);
        let result = json!({
            "content": [{ "type": "text", "text": r#"{"ok":true,"n":1.50,"s":"\"é"}"# }],
            "structuredContent": { "ok": true, "n": 1.5, "s": "\"é" },
            "isError": false,
        });
        assert_eq!(answer, Some(json!({ "jsonrpc": "2.0", "id": "ab", "result": result })));
    }

    #[test]
    fn what_is_not_ok_is_an_error_of_the_tool() {
        for (content, is_error) in
            [(r#"{"ok":false,"error":"x"}"#, true), (r#"{"ok":0}"#, false), ("{}", false)]
        {
            let answer = read(&format!(r#"{{"id":1,"result":{{"content":{content}}}}}"#)).unwrap();
            assert_eq!(answer["result"]["isError"], is_error, "{content}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for answer in [
            r#"{"id":1,"result":{"content":[{"type":"text","text":"a"}]}}"#,
            r#"{"id":1,"result":{}}"#,
            r#"{"id":1,"error":{"code":-32002,"message":"unknown_tool"}}"#,
            "{",
        ] {
            assert_eq!(read(answer), None, "{answer}");
        }
    }
}
