//! Asking the person who uses the client: a form, or a link to follow.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::mcp::ask::form;
use crate::mcp::message::answer::excerpt;
use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::schema::document::{Schema, SchemaSource, compile};
use crate::mcp::session::entry::SessionId;

/// A question to the person who uses the client (`elicitation/create`).
///
/// Never ask for a secret with a form: the client and its model may see what is typed. Send the person to a page of
/// yours with [`Elicitation::url`] instead.
#[derive(Debug, Clone)]
pub struct Elicitation {
    pub(crate) message: Cow<'static, str>,
    pub(crate) mode: Mode,
}

#[derive(Debug, Clone)]
pub(crate) enum Mode {
    Form(SchemaSource),
    /// A schema that could not be made from its type; the sentence says why.
    BadForm(String),
    Url {
        url: String,
        id: Option<String>,
    },
}

impl Elicitation {
    /// A form. `schema` describes a flat object: its properties are strings, numbers, booleans or choices from a list.
    /// It is sent word for word. Needs the capability `elicitation`, from 2025-06-18 on.
    pub fn form(message: impl Into<Cow<'static, str>>, schema: impl Into<SchemaSource>) -> Elicitation {
        Elicitation { message: message.into(), mode: Mode::Form(schema.into()) }
    }

    /// A form with a field for each field of `T`, which [`Elicited::read`] then gives back. Fields are texts, numbers,
    /// booleans, enums without data, or options of these; anything nested is refused when it is asked.
    pub fn typed<T: JsonSchema>(message: impl Into<Cow<'static, str>>) -> Elicitation {
        let mode = match form::of_type::<T>() {
            Ok(schema) => Mode::Form(schema.into()),
            Err(problem) => Mode::BadForm(problem),
        };
        Elicitation { message: message.into(), mode }
    }

    /// A link that the person should follow, for what must not pass through the client: credentials, payments,
    /// consent. Needs the capability `elicitation.url`, from 2025-11-25 on.
    ///
    /// An accepted answer means that the person agreed to follow the link, not that anything happened there. The URL
    /// must hold nothing secret and must not be a way in by itself: whoever opens it has to prove who they are.
    pub fn url(message: impl Into<Cow<'static, str>>, url: impl Into<String>) -> Elicitation {
        Elicitation { message: message.into(), mode: Mode::Url { url: url.into(), id: None } }
    }

    /// The `elicitationId` of a link (2025-11-25 only), for
    /// [`Context::elicitation_complete`](crate::mcp::Context::elicitation_complete); without one it is random.
    #[must_use]
    pub fn id(mut self, elicitation_id: impl Into<String>) -> Elicitation {
        if let Mode::Url { id, .. } = &mut self.mode {
            *id = Some(elicitation_id.into());
        }
        self
    }

    /// What an author may have got wrong, as a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.mode {
            Mode::Form(source) => {
                let schema =
                    Schema::read(source).map_err(|problem| format!("the form's schema {problem}"))?;
                form::check(&schema.value)
            }
            Mode::BadForm(problem) => Err(problem.clone()),
            Mode::Url { url, .. } => check_url(url),
        }
    }

    /// Appends the parameters of `elicitation/create`.
    pub(crate) fn write_params(&self, out: &mut Vec<u8>, revision: Revision) -> Result<(), String> {
        out.extend_from_slice(br#"{"message":"#);
        json::string(out, &self.message);
        match &self.mode {
            Mode::Form(source) => {
                // Modes have names since 2025-11-25.
                if revision >= Revision::V2025_11_25 {
                    out.extend_from_slice(br#","mode":"form""#);
                }
                let schema = Schema::read(source)?;
                out.extend_from_slice(br#","requestedSchema":"#);
                json::raw(out, &schema.text);
            }
            Mode::BadForm(problem) => return Err(problem.clone()),
            Mode::Url { url, id } => {
                out.extend_from_slice(br#","mode":"url","url":"#);
                json::string(out, url);
                // The id went away again with 2026-07-28.
                if !revision.is_modern() {
                    let id = match id {
                        Some(id) => Cow::Borrowed(id.as_str()),
                        None => Cow::Owned(random_id()?),
                    };
                    out.extend_from_slice(br#","elicitationId":"#);
                    json::string(out, &id);
                }
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// The schema that an accepted answer must fit.
    pub(crate) fn schema(&self) -> Option<&SchemaSource> {
        match &self.mode {
            Mode::Form(schema) => Some(schema),
            _ => None,
        }
    }
}

fn random_id() -> Result<String, String> {
    let id = SessionId::random().map_err(|error| format!("the system's random source failed: {error}"))?;
    Ok(id.as_str().to_owned())
}

fn check_url(url: &str) -> Result<(), String> {
    let plain = url.len() <= 8192 && url.bytes().all(|byte| byte.is_ascii_graphic());
    let parts = url.split_once("://");
    let sound = parts.is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
            && !rest.starts_with('/')
    });
    match plain && sound {
        true => Ok(()),
        false => Err("the link is no URL like https://host/path of at most 8192 bytes".to_owned()),
    }
}

/// What the person did with the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElicitAction {
    /// Submitted the form, or agreed to follow the link.
    Accept,
    /// Said no.
    Decline,
    /// Went away without a choice.
    Cancel,
}

/// The answer to an [`Elicitation`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Elicited {
    /// What the person did.
    pub action: ElicitAction,
    /// What was filled in; it fits the schema that was asked with. Only where a form was accepted.
    #[serde(default)]
    pub content: Option<Map<String, Value>>,
}

impl Elicited {
    /// True when the person submitted the form, or agreed to follow the link.
    pub fn accepted(&self) -> bool {
        self.action == ElicitAction::Accept
    }

    /// What was filled in, as a type.
    ///
    /// # Errors
    /// The person did not accept, or the content does not fit the type: a failed result that says so.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        match self.action {
            ElicitAction::Accept => {}
            ElicitAction::Decline => return Err(CallError::failed("The user declined to answer.")),
            ElicitAction::Cancel => return Err(CallError::failed("The user dismissed the question.")),
        }
        let content = Value::Object(self.content.clone().unwrap_or_default());
        serde_json::from_value(content).map_err(|error| {
            CallError::failed(format!("The answer cannot be used: {}", excerpt(&error.to_string())))
        })
    }

    /// Checks the content against the schema it was asked with.
    pub(crate) fn fits(&self, schema: Option<&SchemaSource>) -> Result<(), String> {
        let (Some(schema), true) = (schema, self.accepted()) else { return Ok(()) };
        let schema = Schema::read(schema)?;
        let content = Value::Object(self.content.clone().unwrap_or_default());
        let validator = compile(&schema.value)?;
        validator
            .validate(&content)
            .map_err(|error| format!("its content does not fit the form: {}", error.masked_with("the value")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(elicitation: &Elicitation, revision: Revision) -> Value {
        elicitation.check().unwrap();
        let mut out = Vec::new();
        elicitation.write_params(&mut out, revision).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn each_revision_gets_the_members_it_knows() {
        let form =
            Elicitation::form("Name?", json!({"type": "object", "properties": {"n": {"type": "string"}}}));
        assert_eq!(params(&form, Revision::V2026_07_28)["mode"], "form");
        assert!(params(&form, Revision::V2025_06_18).get("mode").is_none());
        let url = Elicitation::url("Go", "https://example.com/x");
        let older = params(&url, Revision::V2025_11_25);
        assert_eq!(older["elicitationId"].as_str().unwrap().len(), 32);
        assert_eq!(params(&url.clone().id("e1"), Revision::V2025_11_25)["elicitationId"], "e1");
        let modern = params(&url, Revision::V2026_07_28);
        assert_eq!(modern, json!({"message": "Go", "mode": "url", "url": "https://example.com/x"}));
    }

    #[test]
    fn links_must_be_urls() {
        for url in ["https://a.example/x?y", "http://127.0.0.1:80/", "custom+x://h"] {
            assert!(Elicitation::url("m", url).check().is_ok(), "{url}");
        }
        for url in ["", "a.example", "https://", "https:///x", "://h", "1a://h", "https://a b", "https://ü"]
        {
            assert!(Elicitation::url("m", url).check().is_err(), "{url}");
        }
    }

    #[test]
    fn content_is_read_as_a_type_only_when_accepted() {
        #[derive(Deserialize)]
        struct Answer {
            n: u8,
        }
        let elicited: Elicited =
            serde_json::from_value(json!({"action": "accept", "content": {"n": 3}})).unwrap();
        assert_eq!(elicited.read::<Answer>().unwrap().n, 3);
        for action in ["decline", "cancel"] {
            let elicited: Elicited = serde_json::from_value(json!({"action": action})).unwrap();
            assert!(!elicited.accepted() && elicited.read::<Answer>().is_err());
        }
        assert!(serde_json::from_value::<Elicited>(json!({"action": "maybe"})).is_err());
    }

    #[test]
    fn an_accepted_form_must_fit_its_schema() {
        let schema: SchemaSource =
            json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}).into();
        let elicited = |value: Value| serde_json::from_value::<Elicited>(value).unwrap();
        assert!(elicited(json!({"action": "accept", "content": {"n": 1}})).fits(Some(&schema)).is_ok());
        assert!(elicited(json!({"action": "accept", "content": {"n": "x"}})).fits(Some(&schema)).is_err());
        assert!(elicited(json!({"action": "accept"})).fits(Some(&schema)).is_err());
        assert!(elicited(json!({"action": "decline"})).fits(Some(&schema)).is_ok());
    }
}
