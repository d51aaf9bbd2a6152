//! Calls that need several rounds (`input_required`, 2026-07-28): what was asked, and what the next request carries.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::client::error::ClientError;
use crate::client::limits::{ClientLimits, exceeded};

/// One question of the server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Question {
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Value,
}

/// What the server still needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Needed {
    /// The questions by the server's keys; `None` where it asked none.
    pub(crate) questions: Option<Vec<(String, Question)>>,
    /// The server's state, to be sent back as it is.
    state: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    result_type: Option<String>,
    input_requests: Option<Map<String, Value>>,
    request_state: Option<Value>,
}

/// The methods that may be answered with questions.
pub(crate) fn may_ask(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// Looks at a result of 2026-07-28: `None` when it is complete.
pub(crate) fn needed(
    method: &str,
    result: &RawValue,
    limits: &ClientLimits,
) -> Result<Option<Needed>, ClientError> {
    let malformed = |why: String| ClientError::malformed(method, why);
    let wire: Wire = serde_json::from_str(result.get()).map_err(|error| malformed(error.to_string()))?;
    match wire.result_type.as_deref() {
        None | Some("complete") => return Ok(None),
        Some("input_required") if may_ask(method) => {}
        Some("input_required") => return Err(malformed("input_required is not allowed here".to_owned())),
        Some(other) => return Err(malformed(format!("its resultType {other:?} is unknown"))),
    }
    if wire.input_requests.is_none() && wire.request_state.is_none() {
        return Err(malformed("input_required has neither inputRequests nor requestState".to_owned()));
    }
    let questions = wire.input_requests.map(|asked| read_questions(method, asked, limits)).transpose()?;
    Ok(Some(Needed { questions, state: wire.request_state }))
}

fn read_questions(
    method: &str,
    asked: Map<String, Value>,
    limits: &ClientLimits,
) -> Result<Vec<(String, Question)>, ClientError> {
    if asked.len() > limits.max_questions {
        return Err(exceeded("max_questions", limits.max_questions));
    }
    let read = |(key, question)| match serde_json::from_value::<Question>(question) {
        Ok(question) => Ok((key, question)),
        Err(error) => Err(ClientError::malformed(method, format!("inputRequests.{key}: {error}"))),
    };
    asked.into_iter().map(read).collect()
}

impl Needed {
    /// The parameters of the next request: the first ones, the answers, and the state as it came, or none.
    pub(crate) fn next_params(
        &self,
        first: &Map<String, Value>,
        answers: Map<String, Value>,
    ) -> Map<String, Value> {
        let mut params = first.clone();
        if self.questions.is_some() {
            params.insert("inputResponses".to_owned(), Value::Object(answers));
        }
        if let Some(state) = &self.state {
            params.insert("requestState".to_owned(), state.clone());
        }
        params
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(method: &str, result: Value) -> Result<Option<Needed>, ClientError> {
        needed(method, &RawValue::from_string(result.to_string()).unwrap(), &ClientLimits::default())
    }

    #[test]
    fn complete_results_need_nothing() {
        assert_eq!(look("tools/call", json!({})).unwrap(), None);
        assert_eq!(look("tools/list", json!({ "resultType": "complete" })).unwrap(), None);
    }

    #[test]
    fn what_is_no_result_of_the_method_is_refused() {
        for (method, result) in [
            ("tools/list", json!({ "resultType": "input_required", "requestState": "s" })),
            ("tools/call", json!({ "resultType": "task" })),
            ("tools/call", json!({ "resultType": "input_required" })),
            ("tools/call", json!({ "resultType": "input_required", "inputRequests": { "a": 1 } })),
            ("tools/call", json!({ "resultType": "input_required", "inputRequests": [] })),
            ("tools/call", json!({ "resultType": 1 })),
        ] {
            let error = look(method, result.clone()).unwrap_err();
            assert!(matches!(error, ClientError::Malformed { .. }), "{result}: {error}");
        }
        let many: Map<String, Value> =
            (0..17).map(|n| (n.to_string(), json!({ "method": "roots/list" }))).collect();
        let error = look("tools/call", json!({ "resultType": "input_required", "inputRequests": many }));
        assert!(matches!(error, Err(ClientError::Limit { limit: "max_questions", max: 16 })));
    }

    #[test]
    fn the_state_is_echoed_exactly_and_never_invented() {
        let first = Map::from_iter([("name".to_owned(), json!("tool"))]);
        let answers = Map::from_iter([("who".to_owned(), json!({ "action": "accept" }))]);
        let questions = json!({ "who": { "method": "elicitation/create", "params": {} } });
        let with = |more: Value| {
            let mut result = json!({ "resultType": "input_required" });
            result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let needed = look("tools/call", result).unwrap().unwrap();
            Value::Object(needed.next_params(&first, answers.clone()))
        };
        let state = "a\u{0}\"ü\\ =?base64?";
        assert_eq!(
            with(json!({ "inputRequests": questions, "requestState": state })),
            json!({ "name": "tool", "inputResponses": answers, "requestState": state })
        );
        assert_eq!(
            with(json!({ "inputRequests": questions })),
            json!({ "name": "tool", "inputResponses": answers })
        );
        assert_eq!(with(json!({ "requestState": "" })), json!({ "name": "tool", "requestState": "" }));
    }
}
