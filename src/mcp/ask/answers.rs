//! What came back: answers read and checked, by the key they were asked with.

use std::collections::BTreeMap;

use crate::mcp::ask::elicitation::Elicited;
use crate::mcp::ask::questions::{Asked, Question, QuestionKind};
use crate::mcp::ask::roots::{Root, RootList};
use crate::mcp::ask::sampled::Sampled;
use crate::mcp::offer::call_error::CallError;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Answered {
    Elicited(Elicited),
    Sampled(Box<Sampled>),
    Roots(Vec<Root>),
}

impl Answered {
    /// Reads the client's result for a question and checks that it fits; the error is a sentence about it.
    pub(crate) fn read(question: &Question, raw: &str) -> Result<Answered, String> {
        let answered = Answered::parse(question.kind(), raw)?;
        if let (Answered::Elicited(elicited), Asked::Elicitation(elicitation)) = (&answered, &question.0) {
            elicited.fits(elicitation.schema())?;
        }
        Ok(answered)
    }

    /// Reads the client's result by the kind of the question alone.
    pub(crate) fn parse(kind: QuestionKind, raw: &str) -> Result<Answered, String> {
        // Structs could be read from arrays too.
        if !raw.trim_start().starts_with('{') {
            return Err("it is no object".to_owned());
        }
        let malformed = |error: serde_json::Error| format!("it is malformed: {error}");
        match kind {
            QuestionKind::Form | QuestionKind::Url => {
                serde_json::from_str(raw).map(Answered::Elicited).map_err(malformed)
            }
            QuestionKind::Sampling => Sampled::parse(raw).map(Box::new).map(Answered::Sampled),
            QuestionKind::Roots => {
                let list: RootList = serde_json::from_str(raw).map_err(malformed)?;
                Ok(Answered::Roots(list.roots))
            }
        }
    }
}

/// The answers to the questions of one [`Context::ask_all`](crate::mcp::Context::ask_all), by their keys.
#[derive(Debug, Clone)]
pub struct Answers(pub(crate) BTreeMap<String, Answered>);

impl Answers {
    /// The answer to an elicitation.
    ///
    /// # Errors
    /// No elicitation was asked with this key: an internal error.
    pub fn elicited(&self, key: &str) -> Result<&Elicited, CallError> {
        match self.0.get(key) {
            Some(Answered::Elicited(elicited)) => Ok(elicited),
            _ => Err(not_asked(key, "elicitation")),
        }
    }

    /// The answer of the client's model.
    ///
    /// # Errors
    /// The model was not asked with this key: an internal error.
    pub fn sampled(&self, key: &str) -> Result<&Sampled, CallError> {
        match self.0.get(key) {
            Some(Answered::Sampled(sampled)) => Ok(sampled),
            _ => Err(not_asked(key, "sampling")),
        }
    }

    /// The roots.
    ///
    /// # Errors
    /// Roots were not asked for with this key: an internal error.
    pub fn roots(&self, key: &str) -> Result<&[Root], CallError> {
        match self.0.get(key) {
            Some(Answered::Roots(roots)) => Ok(roots),
            _ => Err(not_asked(key, "roots")),
        }
    }
}

fn not_asked(key: &str, what: &str) -> CallError {
    CallError::internal(format!("no question about {what} was asked with the key {key:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mcp::ask::elicitation::Elicitation;

    #[test]
    fn answers_are_read_by_the_kind_of_their_question() {
        let roots = r#"{"roots":[{"uri":"file:///a","name":"A"},{"uri":"file:///b"}]}"#;
        let Ok(Answered::Roots(roots)) = Answered::parse(QuestionKind::Roots, roots) else { panic!() };
        assert_eq!((roots[0].name.as_deref(), roots[1].uri.as_str()), (Some("A"), "file:///b"));
        for kind in [QuestionKind::Form, QuestionKind::Url, QuestionKind::Sampling, QuestionKind::Roots] {
            for raw in ["5", "null", "{}", r#"["accept"]"#, r#"[[]]"#, r#"{"action":5,"roots":5}"#] {
                assert!(Answered::parse(kind, raw).is_err(), "{kind:?} {raw}");
            }
        }
    }

    #[test]
    fn a_form_that_does_not_fit_is_no_answer() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let question = Question::from(Elicitation::form("n?", schema));
        assert!(Answered::read(&question, r#"{"action":"accept","content":{"n":1}}"#).is_ok());
        assert!(Answered::read(&question, r#"{"action":"accept","content":{"n":"1"}}"#).is_err());
        assert!(Answered::read(&question, r#"{"action":"cancel"}"#).is_ok());
    }

    #[test]
    fn keys_lead_to_answers_of_their_kind_only() {
        let answers = Answers(BTreeMap::from([("r".to_owned(), Answered::Roots(Vec::new()))]));
        assert!(answers.roots("r").is_ok());
        assert!(
            answers.elicited("r").is_err() && answers.roots("x").is_err() && answers.sampled("r").is_err()
        );
    }
}
