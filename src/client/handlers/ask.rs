//! Questions of the server, and their answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::client::error::ProtocolError;

/// The server asks the user for something (`elicitation/create`).
#[derive(Debug, Clone, PartialEq)]
pub struct ElicitRequest {
    /// What to tell the user.
    pub message: String,
    /// How the user answers.
    pub mode: ElicitMode,
    /// The whole parameters, as the server sent them.
    pub raw: Value,
}

/// How a user answers an elicitation.
#[derive(Debug, Clone, PartialEq)]
pub enum ElicitMode {
    /// By filling in a form.
    Form {
        /// The form: a flat JSON Schema.
        schema: Value,
    },
    /// By visiting a page. Show the whole address to the user, and open it only with the user's consent.
    Url {
        /// The page.
        url: String,
        /// How the server names this elicitation, in 2025-11-25.
        id: Option<String>,
    },
}

/// The user's answer to an elicitation.
#[derive(Debug, Clone, PartialEq)]
pub enum ElicitReply {
    /// Consent. What a form's content leaves out is filled in from the schema's defaults; a page has no content.
    Accept(Map<String, Value>),
    /// A no.
    Decline,
    /// No answer.
    Cancel,
}

impl ElicitReply {
    /// Consent, with the fields of the form.
    pub fn accept<'a>(content: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::Accept(content.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl ElicitRequest {
    pub(super) fn read(raw: Value) -> Result<Self, ProtocolError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            mode: Option<String>,
            #[serde(default)]
            message: String,
            requested_schema: Option<Value>,
            url: Option<String>,
            elicitation_id: Option<String>,
        }
        let wire: Wire = read(&raw)?;
        let mode = match (wire.mode.as_deref(), wire.requested_schema, wire.url) {
            (None | Some("form"), Some(schema), _) => ElicitMode::Form { schema },
            (Some("url"), _, Some(url)) => ElicitMode::Url { url, id: wire.elicitation_id },
            _ => return Err(invalid("an elicitation is a form with a requestedSchema or a url with a url")),
        };
        Ok(Self { message: wire.message, mode, raw })
    }

    /// The form's schema; `None` for a page.
    pub fn schema(&self) -> Option<&Value> {
        match &self.mode {
            ElicitMode::Form { schema } => Some(schema),
            ElicitMode::Url { .. } => None,
        }
    }
}

/// The server asks for a message of a language model (`sampling/createMessage`).
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRequest {
    /// The conversation: objects with `role` and `content`.
    pub messages: Vec<Value>,
    /// The most tokens that the answer may have.
    pub max_tokens: u64,
    /// What the server would put before the conversation.
    pub system_prompt: Option<String>,
    /// The tools that the model may ask to be called, where the client declared them.
    pub tools: Option<Vec<Value>>,
    /// The whole parameters, as the server sent them.
    pub raw: Value,
}

impl SampleRequest {
    pub(super) fn read(raw: Value) -> Result<Self, ProtocolError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            messages: Vec<Value>,
            #[serde(default)]
            max_tokens: u64,
            system_prompt: Option<String>,
            tools: Option<Vec<Value>>,
        }
        let Wire { messages, max_tokens, system_prompt, tools } = read(&raw)?;
        Ok(Self { messages, max_tokens, system_prompt, tools, raw })
    }
}

/// A message of a language model.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleReply {
    /// The model's name.
    pub model: String,
    /// The message: one content block, or a list of them.
    pub content: Value,
    /// Why the model stopped, for example `endTurn`.
    pub stop_reason: Option<String>,
}

impl SampleReply {
    /// A text of the model.
    pub fn text(model: impl Into<String>, text: impl Into<String>) -> Self {
        let content = json!({ "type": "text", "text": text.into() });
        Self { model: model.into(), content, stop_reason: Some("endTurn".to_owned()) }
    }

    pub(super) fn into_value(self) -> Value {
        let mut value = json!({ "role": "assistant", "model": self.model, "content": self.content });
        if let Some(reason) = self.stop_reason {
            value["stopReason"] = reason.into();
        }
        value
    }
}

/// A place that the server may work in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Root {
    /// A `file://` address.
    pub uri: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn read<T: serde::de::DeserializeOwned>(params: &Value) -> Result<T, ProtocolError> {
    T::deserialize(params).map_err(|error| invalid(&error.to_string()))
}

fn invalid(why: &str) -> ProtocolError {
    ProtocolError::new(-32602, format!("invalid params: {why}"))
}
