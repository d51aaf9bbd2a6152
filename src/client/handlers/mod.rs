//! What the server may ask of the client or tell it, and the callbacks that take it.
//!
//! Which callbacks are set decides what the client declares: nothing is declared that nobody would answer.

mod ask;
mod tell;

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::error::ProtocolError;
use super::protocol::defaults;
use super::transport::LocalBoxFuture;
use crate::mcp::Revision;
pub use ask::{ElicitMode, ElicitReply, ElicitRequest, Root, SampleReply, SampleRequest};
pub use tell::{Change, LogMessage, Progress};
pub(crate) use tell::{Told, read};

type Asked<Q, A> = Rc<dyn Fn(Q) -> LocalBoxFuture<'static, Result<A, ProtocolError>>>;
type Heard<T> = Rc<dyn Fn(T)>;

/// The callbacks of a client, and what is said of them.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    pub(crate) elicit: Option<Asked<ElicitRequest, ElicitReply>>,
    pub(crate) elicit_form: bool,
    pub(crate) elicit_url: bool,
    pub(crate) sample: Option<Asked<SampleRequest, SampleReply>>,
    pub(crate) sample_tools: bool,
    pub(crate) sample_context: bool,
    pub(crate) roots: Option<Asked<(), Vec<Root>>>,
    pub(crate) log: Option<Heard<LogMessage>>,
    pub(crate) progress: Option<Heard<Progress>>,
    pub(crate) change: Option<Heard<Change>>,
}

impl Handlers {
    /// What the client declares in this revision.
    pub(crate) fn capabilities(&self, revision: Revision) -> Map<String, Value> {
        let mut declared = Map::new();
        let named = revision >= Revision::V2025_11_25;
        let some = |parts: [(&str, bool); 2]| -> Map<String, Value> {
            let set = parts.into_iter().filter(|part| named && part.1);
            set.map(|part| (part.0.to_owned(), json!({}))).collect()
        };
        // Before 2025-11-25 there were only forms, and no word for them; no word still means forms.
        let elicits = self.elicit_form || (named && self.elicit_url);
        if self.elicit.is_some() && elicits && revision >= Revision::V2025_06_18 {
            let modes = some([("form", self.elicit_form), ("url", self.elicit_url)]);
            declared.insert("elicitation".into(), Value::Object(modes));
        }
        if self.sample.is_some() {
            let parts = some([("tools", self.sample_tools), ("context", self.sample_context)]);
            declared.insert("sampling".into(), Value::Object(parts));
        }
        if self.roots.is_some() {
            // The notice of changed roots went with the sessions.
            let roots = if revision.is_modern() { json!({}) } else { json!({ "listChanged": true }) };
            declared.insert("roots".into(), roots);
        }
        declared
    }

    /// Whether anybody would hear what an older server asks or tells on its own.
    pub(crate) fn want_stream(&self) -> bool {
        let asked = self.elicit.is_some() || self.sample.is_some() || self.roots.is_some();
        asked || self.log.is_some() || self.change.is_some()
    }

    /// Answers a question of the server's: `sampling/createMessage`, `elicitation/create` or `roots/list`.
    pub(crate) async fn answer(&self, method: &str, params: Value) -> Result<Value, ProtocolError> {
        match (method, &self.elicit, &self.sample, &self.roots) {
            ("elicitation/create", Some(handler), _, _) => {
                let request = ElicitRequest::read(params)?;
                self.check_mode(&request)?;
                let schema = request.schema().cloned();
                Ok(elicited(handler(request).await?, schema.as_ref()))
            }
            ("sampling/createMessage", _, Some(handler), _) => {
                let request = SampleRequest::read(params)?;
                if request.tools.is_some() && !self.sample_tools {
                    return Err(undeclared("tools in sampling"));
                }
                Ok(handler(request).await?.into_value())
            }
            ("roots/list", _, _, Some(handler)) => Ok(json!({ "roots": handler(()).await? })),
            _ => Err(ProtocolError::new(-32601, format!("this client does not answer {method}"))),
        }
    }

    fn check_mode(&self, request: &ElicitRequest) -> Result<(), ProtocolError> {
        match request.mode {
            ElicitMode::Form { .. } if !self.elicit_form => Err(undeclared("elicitation by form")),
            ElicitMode::Url { .. } if !self.elicit_url => Err(undeclared("elicitation by URL")),
            _ => Ok(()),
        }
    }
}

fn undeclared(what: &str) -> ProtocolError {
    ProtocolError::new(-32602, format!("this client did not declare {what}"))
}

/// The result of an elicitation; what an accepted form leaves out gets the schema's defaults.
fn elicited(reply: ElicitReply, schema: Option<&Value>) -> Value {
    match (reply, schema) {
        (ElicitReply::Accept(mut content), Some(schema)) => {
            defaults::fill_in(schema, &mut content);
            json!({ "action": "accept", "content": content })
        }
        (ElicitReply::Accept(_), None) => json!({ "action": "accept" }),
        (ElicitReply::Decline, _) => json!({ "action": "decline" }),
        (ElicitReply::Cancel, _) => json!({ "action": "cancel" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    fn handlers() -> Handlers {
        let elicit = |request: ElicitRequest| -> LocalBoxFuture<'static, _> {
            let reply = if request.message == "no" { ElicitReply::Decline } else { ElicitReply::accept([]) };
            Box::pin(async { Ok(reply) })
        };
        Handlers { elicit: Some(Rc::new(elicit)), elicit_form: true, ..Handlers::default() }
    }

    fn ask(handlers: &Handlers, method: &str, params: Value) -> Result<Value, ProtocolError> {
        block_on(handlers.answer(method, params))
    }

    #[test]
    fn what_is_set_is_declared_in_the_words_of_the_revision() {
        let mut handlers = handlers();
        let of = |handlers: &Handlers, revision| Value::Object(handlers.capabilities(revision));
        assert_eq!(of(&Handlers::default(), Revision::V2026_07_28), json!({}));
        assert_eq!(of(&handlers, Revision::V2026_07_28), json!({ "elicitation": { "form": {} } }));
        assert_eq!(of(&handlers, Revision::V2025_06_18), json!({ "elicitation": {} }));
        assert_eq!(of(&handlers, Revision::V2025_03_26), json!({}));
        handlers.elicit_url = true;
        handlers.elicit_form = false;
        assert_eq!(of(&handlers, Revision::V2025_11_25), json!({ "elicitation": { "url": {} } }));
        assert_eq!(of(&handlers, Revision::V2025_06_18), json!({}), "there were no URLs");
        handlers.elicit_url = false;
        assert_eq!(of(&handlers, Revision::V2026_07_28), json!({}), "an empty object would mean forms");
        handlers.sample = Some(Rc::new(|_| Box::pin(async { Ok(SampleReply::text("m", "t")) })));
        handlers.sample_tools = true;
        handlers.roots = Some(Rc::new(|()| Box::pin(async { Ok(Vec::new()) })));
        assert_eq!(of(&handlers, Revision::V2026_07_28)["sampling"], json!({ "tools": {} }));
        assert_eq!(of(&handlers, Revision::V2025_06_18)["sampling"], json!({}));
        assert_eq!(of(&handlers, Revision::V2026_07_28)["roots"], json!({}));
        assert_eq!(of(&handlers, Revision::V2025_11_25)["roots"], json!({ "listChanged": true }));
    }

    #[test]
    fn forms_are_answered_with_their_defaults() {
        let schema =
            json!({ "type": "object", "properties": { "age": { "type": "integer", "default": 30 } } });
        let asked = |message: &str| {
            let params = json!({ "message": message, "requestedSchema": schema });
            ask(&handlers(), "elicitation/create", params).unwrap()
        };
        assert_eq!(asked("who?"), json!({ "action": "accept", "content": { "age": 30 } }));
        assert_eq!(asked("no"), json!({ "action": "decline" }));
    }

    #[test]
    fn what_was_not_declared_is_refused() {
        let code = |method, params| ask(&handlers(), method, params).unwrap_err().code;
        let url =
            json!({ "mode": "url", "message": "m", "url": "https://example.com", "elicitationId": "1" });
        assert_eq!(code("elicitation/create", url), -32602);
        assert_eq!(code("elicitation/create", json!({ "mode": "dance" })), -32602);
        assert_eq!(code("sampling/createMessage", json!({})), -32601);
        assert_eq!(code("roots/list", json!({})), -32601);
        assert_eq!(code("tools/list", json!({})), -32601);
    }
}
