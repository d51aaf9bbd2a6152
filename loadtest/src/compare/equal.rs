//! Whether servers answer alike, asked before anything is timed.

use serde_json::{Value, json};

use super::ask::Question;
use super::mask::{difference, masked};

/// The type of the tasks that are only there for this.
const TASK_TYPE: &str = "compare-check";
/// How much of an answer an error shows, in characters.
const SHOWN: usize = 3000;

/// Asks one server one question.
pub(crate) type Asking<'a> = dyn FnMut(&Question) -> Result<Value, String> + 'a;

/// One answer, and what it answers.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) what: &'static str,
    pub(crate) answer: Value,
}

/// The answers of one server: `echo`, right and wrong, the list of tools, and a task's way through its own queue, and through
/// the queue of the node at `remote` where there is one.
pub(crate) fn answers(ask: &mut Asking<'_>, remote: Option<&str>) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    let mut note = |what, question: Question| -> Result<Value, String> {
        let answer = ask(&question).map_err(|error| format!("{what}: {error}"))?;
        answers.push(Answer { what, answer: answer.clone() });
        Ok(answer)
    };
    let text = "two words, \"quoted\", and a snowman \u{2603}";
    let echo = note("echo", Question::call("echo", &json!({"message": text})))?;
    if echo.pointer("/result/content/0/text").and_then(Value::as_str) != Some(text) {
        return Err(format!("echo does not give the text back: {}", cut(&echo.to_string())));
    }
    note("echo without its argument", Question::call("echo", &json!({})))?;
    note("a tool that is not there", Question::call("nothing", &json!({})))?;
    note("tools/list", Question { method: "tools/list", params: json!({}) })?;
    let local = ["submit", "claim", "complete"];
    cycle(&mut note, local, None)?;
    if remote.is_some() {
        cycle(&mut note, ["submit to the other node", "claim there", "complete there"], remote)?;
    }
    Ok(answers)
}

fn cycle(
    note: &mut impl FnMut(&'static str, Question) -> Result<Value, String>,
    names: [&'static str; 3],
    remote: Option<&str>,
) -> Result<(), String> {
    let [submit, claim, complete] = names;
    let call = |tool: &str, mut arguments: Value| {
        if let Some(remote) = remote {
            arguments["remote_multiaddr"] = json!(remote);
        }
        Question::call(tool, &arguments)
    };
    let task =
        json!({"task_type": TASK_TYPE, "model_name": "m", "payload": {"data": "x", "n": [1, 2.5, null]}});
    let submitted = note(submit, call("p2p_taskqueue_submit", task))?;
    let worker = json!({"worker_id": "check", "supported_task_types": [TASK_TYPE], "peer_id": "check"});
    let claimed = note(claim, call("p2p_taskqueue_claim_next", worker))?;
    let of = |answer: &Value, member: &str| {
        answer.pointer(&format!("/result/structuredContent/{member}")).cloned()
    };
    let id = of(&claimed, "task/task_id");
    if id.is_none() || id != of(&submitted, "task_id") {
        return Err(format!("{claim}: not the task that was submitted: {}", cut(&claimed.to_string())));
    }
    let done = json!({
        "task_id": id, "fencing_token": of(&claimed, "task/fencing_token"), "result": {"n": 1},
    });
    let completed = note(complete, call("p2p_taskqueue_complete_task", done))?;
    match of(&completed, "ok") {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(format!("{complete}: refused: {}", cut(&completed.to_string()))),
    }
}

/// An error that shows both answers, where a server answers otherwise than the first one.
pub(crate) fn check(servers: &[(String, Vec<Answer>)]) -> Result<(), String> {
    let Some(((first, wanted), others)) = servers.split_first() else { return Ok(()) };
    for (name, seen) in others {
        if wanted.len() != seen.len() {
            return Err(format!("{first} gave {} answers and {name} {}", wanted.len(), seen.len()));
        }
        for (one, other) in wanted.iter().zip(seen) {
            if let Some(place) = difference(&masked(&one.answer), &masked(&other.answer)) {
                let place = if place.is_empty() { "the whole answer" } else { &place };
                return Err(format!(
                    "{first} and {name} answer {} differently, at {place}; nothing was timed\n{first}: {}\n{name}: {}",
                    one.what,
                    cut(&one.answer.to_string()),
                    cut(&other.answer.to_string())
                ));
            }
        }
    }
    Ok(())
}

/// The begin of a long text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} … ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    /// A server of one line a tool, whose ids begin with `mark`.
    pub(crate) fn scripted(mark: &str, question: &Question) -> Value {
        let arguments = &question.params["arguments"];
        let object = match question.params["name"].as_str() {
            None => return json!({"result": {"tools": ["echo"]}}),
            Some("echo") => {
                return json!({"result": {"content": [{"type": "text", "text": arguments["message"]}]}});
            }
            Some("p2p_taskqueue_submit") => json!({"ok": true, "task_id": format!("{mark}-1")}),
            Some("p2p_taskqueue_claim_next") => {
                json!({"ok": true, "task": {"task_id": format!("{mark}-1"), "fencing_token": 3, "created_at": 1.5}})
            }
            Some(_) => json!({"ok": arguments["fencing_token"] == 3, "task_id": arguments["task_id"]}),
        };
        json!({"result": {"structuredContent": object}})
    }

    fn all(mark: &str, twist: impl Fn(&Question, Value) -> Value) -> Result<Vec<Answer>, String> {
        answers(
            &mut |question| Ok(twist(question, scripted(mark, question))),
            Some("/ip4/127.0.0.1/tcp/1/p2p/x"),
        )
    }

    #[test]
    fn servers_that_differ_in_ids_alone_are_equal() {
        let one = all("a", |_, answer| answer).unwrap();
        let other = all("b", |_, answer| answer).unwrap();
        assert_eq!(one.len(), 10);
        check(&[("native".to_owned(), one), ("bridge".to_owned(), other)]).unwrap();
    }

    #[test]
    fn a_difference_shows_both_answers_and_where() {
        let one = all("a", |_, answer| answer).unwrap();
        let other = all("a", |question, mut answer| {
            if question.method == "tools/list" {
                answer["result"]["tools"] = json!(["echo", "more"]);
            }
            answer
        });
        let error = check(&[("native".to_owned(), one), ("bridge".to_owned(), other.unwrap())]).unwrap_err();
        assert!(
            error.contains("native and bridge answer tools/list differently, at /result/tools/1"),
            "{error}"
        );
        assert!(error.contains(r#"native: {"result":{"tools":["echo"]}}"#), "{error}");
        assert!(error.contains(r#"bridge: {"result":{"tools":["echo","more"]}}"#), "{error}");
    }

    #[test]
    fn wrong_work_is_named_before_it_is_compared() {
        let deaf = all(
            "a",
            |question, answer| {
                if question.params["name"] == "echo" { json!({"result": {}}) } else { answer }
            },
        );
        assert!(deaf.unwrap_err().starts_with("echo does not give the text back"));
        let other_task = all("a", |_, mut answer| {
            if let Some(id) = answer.pointer_mut("/result/structuredContent/task/task_id") {
                *id = json!("z");
            }
            answer
        });
        assert!(other_task.unwrap_err().starts_with("claim: not the task that was submitted"));
        let refusing = all("a", |_, mut answer| {
            if let Some(token) = answer.pointer_mut("/result/structuredContent/task/fencing_token") {
                *token = json!(4);
            }
            answer
        });
        assert!(refusing.unwrap_err().starts_with("complete: refused"));
    }

    #[test]
    fn long_answers_are_cut() {
        assert_eq!(cut("abc"), "abc");
        let long = "\u{2603}".repeat(SHOWN + 1);
        assert!(cut(&long).ends_with("(9003 bytes)"));
    }
}
