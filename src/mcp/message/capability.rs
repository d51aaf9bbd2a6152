//! What a client can do, as it declared it.

use serde_json::{Map, Value};

/// A capability of a client that a tool may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// `roots`.
    Roots,
    /// `sampling`.
    Sampling,
    /// `sampling.context`.
    SamplingContext,
    /// `sampling.tools`.
    SamplingTools,
    /// `elicitation` in form mode.
    Elicitation,
    /// `elicitation.url`.
    ElicitationUrl,
}

impl Capability {
    /// The `ClientCapabilities` object that declares just this capability, as JSON text.
    pub fn required(self) -> &'static str {
        match self {
            Capability::Roots => r#"{"roots":{}}"#,
            Capability::Sampling => r#"{"sampling":{}}"#,
            Capability::SamplingContext => r#"{"sampling":{"context":{}}}"#,
            Capability::SamplingTools => r#"{"sampling":{"tools":{}}}"#,
            Capability::Elicitation => r#"{"elicitation":{}}"#,
            Capability::ElicitationUrl => r#"{"elicitation":{"url":{}}}"#,
        }
    }
}

/// The `ClientCapabilities` object that declares all of these, as JSON text.
pub(crate) fn required_together(capabilities: &[Capability]) -> String {
    let mut object = Map::new();
    for capability in capabilities {
        let path: &[&str] = match capability {
            Capability::Roots => &["roots"],
            Capability::Sampling => &["sampling"],
            Capability::SamplingContext => &["sampling", "context"],
            Capability::SamplingTools => &["sampling", "tools"],
            // Next to another mode, form mode has to be named.
            Capability::Elicitation if capabilities.contains(&Capability::ElicitationUrl) => {
                &["elicitation", "form"]
            }
            Capability::Elicitation => &["elicitation"],
            Capability::ElicitationUrl => &["elicitation", "url"],
        };
        let mut inner = &mut object;
        for key in path {
            let member = inner.entry(*key).or_insert_with(|| Value::Object(Map::new()));
            inner = member.as_object_mut().expect("invariant: only objects were put there");
        }
    }
    Value::Object(object).to_string()
}

/// The capabilities that a client declared, per request in 2026-07-28 and per session before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    roots: bool,
    sampling: bool,
    sampling_context: bool,
    sampling_tools: bool,
    elicitation_form: bool,
    elicitation_url: bool,
    extensions: Option<Box<Map<String, Value>>>,
}

impl ClientCapabilities {
    /// True when the client declared the capability.
    pub fn has(&self, capability: Capability) -> bool {
        match capability {
            Capability::Roots => self.roots,
            Capability::Sampling => self.sampling,
            Capability::SamplingContext => self.sampling_context,
            Capability::SamplingTools => self.sampling_tools,
            Capability::Elicitation => self.elicitation_form,
            Capability::ElicitationUrl => self.elicitation_url,
        }
    }

    /// The settings of an extension that the client declared, by the extension's identifier.
    pub fn extension(&self, id: &str) -> Option<&Value> {
        self.extensions.as_ref()?.get(id)
    }

    /// Reads a `ClientCapabilities` object; the error names what is malformed.
    pub(crate) fn parse(raw: &str) -> Result<ClientCapabilities, String> {
        if raw == "{}" {
            return Ok(ClientCapabilities::default());
        }
        let Ok(Value::Object(mut object)) = serde_json::from_str::<Value>(raw) else {
            return Err("must be an object".to_owned());
        };
        for key in ["roots", "sampling", "elicitation", "extensions"] {
            if object.get(key).is_some_and(|value| !value.is_object()) {
                return Err(format!("has a member {key}, which must be an object"));
            }
        }
        let declared = |path: &[&str]| {
            let first = object.get(path[0]);
            path[1..].iter().fold(first, |value, key| value?.get(key)).is_some()
        };
        let (form, url) = (declared(&["elicitation", "form"]), declared(&["elicitation", "url"]));
        Ok(ClientCapabilities {
            roots: declared(&["roots"]),
            sampling: declared(&["sampling"]),
            sampling_context: declared(&["sampling", "context"]),
            sampling_tools: declared(&["sampling", "tools"]),
            // An empty object means form mode, as it did before modes had names.
            elicitation_form: form || (declared(&["elicitation"]) && !url),
            elicitation_url: url,
            extensions: match object.remove("extensions") {
                Some(Value::Object(extensions)) if !extensions.is_empty() => Some(Box::new(extensions)),
                _ => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_capabilities_are_found() {
        let declared = r#"{"sampling":{"tools":{}},"elicitation":{},"extensions":{"a.b/c":{"x":1}}}"#;
        let capabilities = ClientCapabilities::parse(declared).unwrap();
        assert!(capabilities.has(Capability::Sampling) && capabilities.has(Capability::SamplingTools));
        assert!(capabilities.has(Capability::Elicitation) && !capabilities.has(Capability::ElicitationUrl));
        assert!(!capabilities.has(Capability::Roots) && !capabilities.has(Capability::SamplingContext));
        assert_eq!(capabilities.extension("a.b/c").unwrap()["x"], 1);
        let url_only = ClientCapabilities::parse(r#"{"elicitation":{"url":{}}}"#).unwrap();
        assert!(!url_only.has(Capability::Elicitation) && url_only.has(Capability::ElicitationUrl));
    }

    #[test]
    fn every_required_object_declares_what_it_names() {
        use Capability::*;
        for capability in [Roots, Sampling, SamplingContext, SamplingTools, Elicitation, ElicitationUrl] {
            assert!(
                ClientCapabilities::parse(capability.required()).unwrap().has(capability),
                "{capability:?}"
            );
        }
    }

    #[test]
    fn several_are_declared_together() {
        use Capability::*;
        assert_eq!(required_together(&[Elicitation]), Elicitation.required());
        assert_eq!(required_together(&[Sampling, SamplingTools]), SamplingTools.required());
        let both = [Elicitation, ElicitationUrl, Roots, Roots];
        assert_eq!(required_together(&both), r#"{"elicitation":{"form":{},"url":{}},"roots":{}}"#);
        let declared = ClientCapabilities::parse(&required_together(&both)).unwrap();
        assert!(both.into_iter().all(|capability| declared.has(capability)));
    }

    #[test]
    fn malformed_capabilities_are_named() {
        assert_eq!(ClientCapabilities::parse("[]").unwrap_err(), "must be an object");
        assert!(ClientCapabilities::parse(r#"{"sampling":true}"#).unwrap_err().contains("sampling"));
    }
}
