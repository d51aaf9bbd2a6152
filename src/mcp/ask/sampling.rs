//! Asking the client's model (`sampling/createMessage`).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::mcp::ask::sampled::Sampled;
use crate::mcp::ask::sampling_tools::{SamplingTool, ToolChoice, ToolUseResult};
use crate::mcp::message::era::Revision;
use crate::mcp::offer::content::{Content, Role};

/// A question to the client's model. Needs the capability `sampling`.
///
/// Whatever it asks for is a wish: the client chooses the model and may change or refuse the request.
#[derive(Debug, Clone)]
pub struct Sampling {
    max_tokens: u32,
    messages: Vec<Turn>,
    members: Map<String, Value>,
    preferences: Map<String, Value>,
    context: Option<IncludeContext>,
    tools: Vec<SamplingTool>,
    tool_choice: Option<ToolChoice>,
}

#[derive(Debug, Clone)]
enum Turn {
    Said {
        role: Role,
        content: Box<Content>,
    },
    /// A reply of the model, word for word.
    Replied {
        content: Value,
        tool_uses: Vec<String>,
    },
    Results(Vec<ToolUseResult>),
}

/// Which servers' context the client may add to the prompt; deprecated by MCP, and left out where the client did not
/// declare `sampling.context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum IncludeContext {
    /// None.
    None,
    /// This server's.
    ThisServer,
    /// That of every server the client knows.
    AllServers,
}

impl Sampling {
    /// A question whose answer has at most `max_tokens` tokens.
    pub fn new(max_tokens: u32) -> Sampling {
        Sampling {
            max_tokens,
            messages: Vec::new(),
            members: Map::new(),
            preferences: Map::new(),
            context: None,
            tools: Vec::new(),
            tool_choice: None,
        }
    }

    /// Adds a message: a text, an image or a sound.
    #[must_use]
    pub fn message(mut self, role: Role, content: Content) -> Sampling {
        self.messages.push(Turn::Said { role, content: Box::new(content) });
        self
    }

    /// Adds what the model replied before, word for word.
    #[must_use]
    pub fn reply(mut self, sampled: &Sampled) -> Sampling {
        let tool_uses = sampled.tool_uses().map(|(id, _, _)| id.to_owned()).collect();
        self.messages.push(Turn::Replied { content: sampled.raw_content().clone(), tool_uses });
        self
    }

    /// Adds the results of the tools that the model's last reply wants to use: all of them, at once.
    #[must_use]
    pub fn tool_results(mut self, results: impl IntoIterator<Item = ToolUseResult>) -> Sampling {
        self.messages.push(Turn::Results(results.into_iter().collect()));
        self
    }

    /// The system prompt.
    #[must_use]
    pub fn system_prompt(self, text: impl Into<String>) -> Sampling {
        self.member("systemPrompt", Value::from(text.into()))
    }

    /// The temperature.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Sampling {
        self.member("temperature", Value::from(temperature))
    }

    /// Adds a text at which the model stops.
    #[must_use]
    pub fn stop(mut self, sequence: impl Into<String>) -> Sampling {
        append(&mut self.members, "stopSequences", Value::from(sequence.into()));
        self
    }

    /// Adds metadata for the model's provider.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Sampling {
        let metadata = self.members.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert(key.into(), value.into());
        }
        self
    }

    /// Adds a hint for the choice of the model: a name or a part of one. Earlier hints count more.
    #[must_use]
    pub fn model_hint(mut self, name: impl Into<String>) -> Sampling {
        append(&mut self.preferences, "hints", json!({"name": name.into()}));
        self
    }

    /// How much a low price matters, from 0 to 1.
    #[must_use]
    pub fn cost_priority(self, priority: f64) -> Sampling {
        self.priority("costPriority", priority)
    }

    /// How much speed matters, from 0 to 1.
    #[must_use]
    pub fn speed_priority(self, priority: f64) -> Sampling {
        self.priority("speedPriority", priority)
    }

    /// How much a capable model matters, from 0 to 1.
    #[must_use]
    pub fn intelligence_priority(self, priority: f64) -> Sampling {
        self.priority("intelligencePriority", priority)
    }

    /// Which servers' context to add.
    #[must_use]
    pub fn include_context(mut self, context: IncludeContext) -> Sampling {
        self.context = Some(context);
        self
    }

    /// Adds a tool that the model may use. Needs the capability `sampling.tools`, from 2025-11-25 on.
    #[must_use]
    pub fn tool(mut self, tool: SamplingTool) -> Sampling {
        self.tools.push(tool);
        self
    }

    /// Adds tools that the model may use; see [`Sampling::tool`].
    #[must_use]
    pub fn tools(mut self, tools: impl IntoIterator<Item = SamplingTool>) -> Sampling {
        self.tools.extend(tools);
        self
    }

    /// Whether the model may, must or must not use the tools; without it, it may.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Sampling {
        self.tool_choice = Some(choice);
        self
    }

    fn member(mut self, key: &str, value: Value) -> Sampling {
        self.members.insert(key.to_owned(), value);
        self
    }

    fn priority(mut self, key: &str, priority: f64) -> Sampling {
        self.preferences.insert(key.to_owned(), Value::from(priority));
        self
    }

    /// Whether it can be asked only of clients that know tools in sampling.
    pub(crate) fn needs_tools(&self) -> bool {
        let tool_turn = |turn: &Turn| match turn {
            Turn::Results(_) => true,
            Turn::Replied { tool_uses, .. } => !tool_uses.is_empty(),
            Turn::Said { .. } => false,
        };
        !self.tools.is_empty() || self.tool_choice.is_some() || self.messages.iter().any(tool_turn)
    }

    /// What an author may have got wrong, as a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.messages.is_empty() {
            return Err("a question to the model needs at least one message".to_owned());
        }
        let sound = |value: &Value| value.as_f64().is_some_and(|number| (0.0..=1.0).contains(&number));
        for (key, value) in self.preferences.iter().filter(|(key, _)| *key != "hints") {
            if !sound(value) {
                return Err(format!("{key} must be from 0 to 1"));
            }
        }
        if self.members.get("temperature").is_some_and(Value::is_null) {
            return Err("the temperature must be a finite number".to_owned());
        }
        for tool in &self.tools {
            tool.check()?;
        }
        self.check_balance()
    }

    /// Each reply that uses tools is followed by the results of just these uses (MCP, sampling, tool use and result
    /// balance).
    fn check_balance(&self) -> Result<(), String> {
        let mut open: Vec<&str> = Vec::new();
        for turn in &self.messages {
            match turn {
                Turn::Results(results) => {
                    let mut given: Vec<&str> = results.iter().map(|result| &*result.tool_use_id).collect();
                    given.sort_unstable();
                    open.sort_unstable();
                    if given.is_empty() || given != open {
                        return Err(
                            "tool results must answer each tool use of the reply before them".to_owned()
                        );
                    }
                    open.clear();
                }
                _ if !open.is_empty() => {
                    return Err("a reply that uses tools must be followed by the tools' results".to_owned());
                }
                Turn::Replied { tool_uses, .. } => open = tool_uses.iter().map(String::as_str).collect(),
                Turn::Said { .. } => {}
            }
        }
        match open.is_empty() {
            true => Ok(()),
            false => Err("a reply that uses tools must be followed by the tools' results".to_owned()),
        }
    }

    /// Appends the parameters of `sampling/createMessage`. `with_context` says whether the client takes
    /// `includeContext`.
    pub(crate) fn write_params(
        &self,
        out: &mut Vec<u8>,
        revision: Revision,
        with_context: bool,
    ) -> Result<(), String> {
        let mut params = self.members.clone();
        params.insert("maxTokens".to_owned(), self.max_tokens.into());
        let messages: Result<Vec<Value>, serde_json::Error> =
            self.messages.iter().map(Turn::to_json).collect();
        params.insert("messages".to_owned(), messages.map_err(|error| error.to_string())?.into());
        if !self.preferences.is_empty() {
            params.insert("modelPreferences".to_owned(), self.preferences.clone().into());
        }
        // Before 2025-11-25 there was nothing to declare for it.
        if let Some(context) = self.context.filter(|_| with_context || revision < Revision::V2025_11_25) {
            params.insert("includeContext".to_owned(), json!(context));
        }
        if let Some(choice) = self.tool_choice {
            params.insert("toolChoice".to_owned(), json!({"mode": choice}));
        }
        if !self.tools.is_empty() {
            let tools: Result<Vec<Value>, String> = self.tools.iter().map(SamplingTool::to_json).collect();
            params.insert("tools".to_owned(), tools?.into());
        }
        serde_json::to_writer(out, &params).map_err(|error| error.to_string())
    }
}

impl Turn {
    fn to_json(&self) -> Result<Value, serde_json::Error> {
        Ok(match self {
            Turn::Said { role, content } => json!({"role": role, "content": serde_json::to_value(content)?}),
            Turn::Replied { content, .. } => json!({"role": Role::Assistant, "content": content}),
            Turn::Results(results) => json!({"role": Role::User, "content": serde_json::to_value(results)?}),
        })
    }
}

fn append(members: &mut Map<String, Value>, key: &str, value: Value) {
    let list = members.entry(key).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(sampling: &Sampling, revision: Revision, with_context: bool) -> Value {
        sampling.check().unwrap();
        let mut out = Vec::new();
        sampling.write_params(&mut out, revision, with_context).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    fn hello() -> Sampling {
        Sampling::new(10).message(Role::User, Content::text("hi"))
    }

    #[test]
    fn everything_that_was_asked_for_is_sent() {
        let sampling = hello()
            .system_prompt("be short")
            .temperature(0.5)
            .stop("a")
            .stop("b")
            .metadata("k", 1)
            .model_hint("m1")
            .model_hint("m2")
            .cost_priority(0.1)
            .speed_priority(1.0)
            .intelligence_priority(0.0)
            .tool(SamplingTool::new("t", "d", json!({"type": "object"})))
            .tool_choice(ToolChoice::Required);
        assert!(sampling.needs_tools());
        assert_eq!(
            params(&sampling, Revision::V2026_07_28, false),
            json!({
                "maxTokens": 10, "systemPrompt": "be short", "temperature": 0.5, "stopSequences": ["a", "b"],
                "metadata": {"k": 1},
                "messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}],
                "modelPreferences": {
                    "hints": [{"name": "m1"}, {"name": "m2"}],
                    "costPriority": 0.1, "speedPriority": 1.0, "intelligencePriority": 0.0
                },
                "tools": [{"name": "t", "description": "d", "inputSchema": {"type": "object"}}],
                "toolChoice": {"mode": "required"}
            })
        );
    }

    #[test]
    fn context_is_asked_of_clients_that_know_it() {
        let sampling = hello().include_context(IncludeContext::ThisServer);
        assert!(params(&sampling, Revision::V2025_11_25, false).get("includeContext").is_none());
        assert_eq!(params(&sampling, Revision::V2025_11_25, true)["includeContext"], "thisServer");
        assert_eq!(params(&sampling, Revision::V2025_06_18, false)["includeContext"], "thisServer");
    }

    #[test]
    fn tool_uses_and_results_must_balance() {
        let used = Sampled::parse(
            r#"{"role":"assistant","model":"m","stopReason":"toolUse",
                "content":[{"type":"tool_use","id":"u1","name":"t","input":{"a":1}}]}"#,
        )
        .unwrap();
        let result = |id: &str| ToolUseResult::new(id, [Content::text("18")]);
        let sound = hello().reply(&used).tool_results([result("u1").structured(18)]);
        assert!(sound.needs_tools());
        let sent = params(&sound, Revision::V2025_11_25, false);
        assert_eq!(sent["messages"][1]["content"][0]["name"], "t");
        assert_eq!(
            sent["messages"][2],
            json!({"role": "user", "content": [{
                "type": "tool_result", "toolUseId": "u1", "content": [{"type": "text", "text": "18"}],
                "structuredContent": 18
            }]})
        );
        assert!(hello().reply(&used).check().is_err());
        assert!(hello().reply(&used).tool_results([result("u2")]).check().is_err());
        assert!(hello().tool_results([result("u1")]).check().is_err());
        assert!(hello().reply(&used).message(Role::User, Content::text("x")).check().is_err());
    }

    #[test]
    fn mistakes_of_the_author_are_named() {
        assert!(Sampling::new(1).check().unwrap_err().contains("message"));
        assert!(hello().temperature(f64::NAN).check().unwrap_err().contains("temperature"));
        assert!(hello().cost_priority(1.5).check().unwrap_err().contains("costPriority"));
        assert!(hello().tool(SamplingTool::new("t", "", "[]")).check().unwrap_err().contains("tool t"));
    }
}
