//! What can be asked, and of whom.

use crate::mcp::ask::elicitation::{Elicitation, Mode};
use crate::mcp::ask::sampling::Sampling;
use crate::mcp::message::capability::{Capability, ClientCapabilities};
use crate::mcp::message::era::Revision;

/// One question to the client, for [`Context::ask_all`](crate::mcp::Context::ask_all).
#[derive(Debug, Clone)]
pub struct Question(pub(crate) Asked);

#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Elicitation(Elicitation),
    Sampling(Box<Sampling>),
    Roots,
}

/// The kind of a question, which decides what its answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum QuestionKind {
    Form = 1,
    Url = 2,
    Sampling = 3,
    Roots = 4,
}

impl Question {
    /// Which directories the server may work on (`roots/list`). Needs the capability `roots`.
    pub fn roots() -> Question {
        Question(Asked::Roots)
    }

    pub(crate) fn kind(&self) -> QuestionKind {
        match &self.0 {
            Asked::Elicitation(Elicitation { mode: Mode::Url { .. }, .. }) => QuestionKind::Url,
            Asked::Elicitation(_) => QuestionKind::Form,
            Asked::Sampling(_) => QuestionKind::Sampling,
            Asked::Roots => QuestionKind::Roots,
        }
    }

    /// What an author may have got wrong, as a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.0 {
            Asked::Elicitation(elicitation) => elicitation.check(),
            Asked::Sampling(sampling) => sampling.check(),
            Asked::Roots => Ok(()),
        }
    }

    /// The capability that this client lacks for the question, if it lacks one.
    pub(crate) fn missing(
        &self,
        capabilities: &ClientCapabilities,
        revision: Revision,
    ) -> Option<Capability> {
        let (capability, since) = match &self.0 {
            Asked::Elicitation(Elicitation { mode: Mode::Url { .. }, .. }) => {
                (Capability::ElicitationUrl, Some(Revision::V2025_11_25))
            }
            Asked::Elicitation(_) => (Capability::Elicitation, Some(Revision::V2025_06_18)),
            Asked::Sampling(sampling) if sampling.needs_tools() => {
                (Capability::SamplingTools, Some(Revision::V2025_11_25))
            }
            Asked::Sampling(_) => (Capability::Sampling, None),
            Asked::Roots => (Capability::Roots, None),
        };
        let known = since.is_none_or(|since| revision >= since) && capabilities.has(capability);
        (!known).then_some(capability)
    }

    /// Appends the method and the parameters: the members of a request but its id.
    pub(crate) fn write_request(
        &self,
        out: &mut Vec<u8>,
        revision: Revision,
        capabilities: &ClientCapabilities,
    ) -> Result<(), String> {
        out.extend_from_slice(br#""method":""#);
        out.extend_from_slice(self.kind().method().as_bytes());
        out.push(b'"');
        match &self.0 {
            Asked::Elicitation(elicitation) => {
                out.extend_from_slice(br#","params":"#);
                elicitation.write_params(out, revision)
            }
            Asked::Sampling(sampling) => {
                out.extend_from_slice(br#","params":"#);
                sampling.write_params(out, revision, capabilities.has(Capability::SamplingContext))
            }
            Asked::Roots => Ok(()),
        }
    }
}

impl QuestionKind {
    /// The method that asks it.
    pub(crate) fn method(self) -> &'static str {
        match self {
            QuestionKind::Form | QuestionKind::Url => "elicitation/create",
            QuestionKind::Sampling => "sampling/createMessage",
            QuestionKind::Roots => "roots/list",
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<QuestionKind> {
        use QuestionKind::*;
        [Form, Url, Sampling, Roots].into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl From<Elicitation> for Question {
    fn from(elicitation: Elicitation) -> Question {
        Question(Asked::Elicitation(elicitation))
    }
}

impl From<Sampling> for Question {
    fn from(sampling: Sampling) -> Question {
        Question(Asked::Sampling(Box::new(sampling)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mcp::ask::sampling_tools::ToolChoice;
    use crate::mcp::offer::content::{Content, Role};

    #[test]
    fn clients_are_asked_only_what_they_declared_and_their_revision_knows() {
        let all = r#"{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#;
        let all = ClientCapabilities::parse(all).unwrap();
        let none = ClientCapabilities::default();
        let sampling = Sampling::new(1).message(Role::User, Content::text("x"));
        let form = json!({"type": "object", "properties": {}});
        let url = Question::from(Elicitation::url("m", "https://a.example"));
        let tools = Question::from(sampling.clone().tool_choice(ToolChoice::Auto));
        let questions = [
            (Question::from(Elicitation::form("m", form)), Capability::Elicitation),
            (url.clone(), Capability::ElicitationUrl),
            (Question::from(sampling), Capability::Sampling),
            (tools.clone(), Capability::SamplingTools),
            (Question::roots(), Capability::Roots),
        ];
        for (question, capability) in questions {
            assert_eq!(question.missing(&none, Revision::V2026_07_28), Some(capability));
            assert_eq!(question.missing(&all, Revision::V2026_07_28), None);
            assert_eq!(question.missing(&all, Revision::V2025_11_25), None);
        }
        for question in [url, tools] {
            assert!(question.missing(&all, Revision::V2025_06_18).is_some());
        }
    }

    #[test]
    fn kinds_lead_back_from_their_bytes() {
        for byte in 0..=u8::MAX {
            assert!(QuestionKind::from_byte(byte).is_none_or(|kind| kind as u8 == byte));
        }
        assert_eq!(QuestionKind::from_byte(4), Some(QuestionKind::Roots));
    }
}
