//! What a prompt answers: messages to begin a conversation with.

use serde_json::{Map, Value};

use crate::mcp::message::era::Revision;
use crate::mcp::message::json::Object;
use crate::mcp::offer::content::{Content, Role};

/// One message of a prompt.
#[derive(Debug, Clone)]
pub struct PromptMessage {
    role: Role,
    content: Content,
}

impl PromptMessage {
    /// A message that the user is to say.
    pub fn user(content: Content) -> PromptMessage {
        PromptMessage { role: Role::User, content }
    }

    /// A message that the model is to have said.
    pub fn assistant(content: Content) -> PromptMessage {
        PromptMessage { role: Role::Assistant, content }
    }

    fn write(&self, out: &mut Vec<u8>, revision: Revision) {
        let mut object = Object::open(out);
        object.value("role", &self.role);
        self.content.write(object.place("content"), revision);
        object.close();
    }
}

/// The result of a prompt: its messages, in order.
#[derive(Debug, Clone, Default)]
pub struct PromptReply {
    pub(crate) messages: Vec<PromptMessage>,
    pub(crate) description: Option<String>,
    pub(crate) meta: Option<Map<String, Value>>,
}

impl PromptReply {
    /// These messages.
    pub fn new(messages: impl IntoIterator<Item = PromptMessage>) -> PromptReply {
        PromptReply { messages: messages.into_iter().collect(), ..PromptReply::default() }
    }

    /// Describes the result; without this it is described as the prompt is.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> PromptReply {
        self.description = Some(description.into());
        self
    }

    /// Adds an entry to the result's `_meta`.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> PromptReply {
        self.meta.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Appends the list of messages as JSON.
    pub(crate) fn write_messages(&self, out: &mut Vec<u8>, revision: Revision) {
        out.push(b'[');
        for (index, message) in self.messages.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            message.write(out, revision);
        }
        out.push(b']');
    }
}

/// What a prompt's handler may return.
pub trait IntoPromptReply {
    /// The result to send.
    fn into_prompt_reply(self) -> PromptReply;
}

impl IntoPromptReply for PromptReply {
    fn into_prompt_reply(self) -> PromptReply {
        self
    }
}

impl IntoPromptReply for PromptMessage {
    fn into_prompt_reply(self) -> PromptReply {
        PromptReply::new([self])
    }
}

impl IntoPromptReply for Vec<PromptMessage> {
    fn into_prompt_reply(self) -> PromptReply {
        PromptReply::new(self)
    }
}

impl IntoPromptReply for String {
    fn into_prompt_reply(self) -> PromptReply {
        PromptMessage::user(Content::text(self)).into_prompt_reply()
    }
}

impl IntoPromptReply for &'static str {
    fn into_prompt_reply(self) -> PromptReply {
        PromptMessage::user(Content::text(self)).into_prompt_reply()
    }
}
