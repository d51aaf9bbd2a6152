//! What a `subscriptions/listen` asks for, and the part of it that the server agrees to.

use std::sync::Arc;

use serde::Deserialize;

use crate::limits::{Limit, Limits};
use crate::mcp::listen::inbox::Wanted;
use crate::mcp::message::answer::{Refusal, excerpt};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::json;
use crate::mcp::offer::catalog::Catalog;

/// What the server says it tells of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Advertised {
    pub(crate) lists: Wanted,
    /// Whether it tells of changes of single resources.
    pub(crate) resources: bool,
}

/// A filter that was read, or what is left of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) lists: Wanted,
    /// Each once; `None` where none were asked for.
    pub(crate) uris: Option<Vec<Arc<str>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    tools_list_changed: Option<bool>,
    prompts_list_changed: Option<bool>,
    resources_list_changed: Option<bool>,
    resource_subscriptions: Option<Vec<String>>,
}

impl Advertised {
    /// What the capabilities promise: each list that is declared is declared with `listChanged`, resources with
    /// `subscribe` too.
    pub(crate) fn of(catalog: &Catalog) -> Advertised {
        let offered = catalog.shelves().offered;
        let lists = Wanted { tools: offered.tools, prompts: offered.prompts, resources: offered.resources };
        Advertised { lists, resources: offered.resources }
    }
}

impl Filter {
    /// Reads `params.notifications`, as JSON text.
    pub(crate) fn parse(raw: Option<&str>, limits: &Limits) -> Result<Filter, Refusal> {
        let invalid =
            |sentence: String| Refusal::new(ErrorKind::InvalidParams, format!("Invalid params: {sentence}"));
        let Some(raw) = raw.filter(|raw| raw.starts_with('{')) else {
            return Err(invalid("params.notifications is required and must be an object".into()));
        };
        let raw: Raw = serde_json::from_str(raw).map_err(|error| {
            invalid(format!(
                "params.notifications has booleans and, as resourceSubscriptions, an array of URIs: {error}"
            ))
        })?;
        let uris = raw.resource_subscriptions.map(|uris| unique(uris, limits)).transpose()?;
        let lists = Wanted {
            tools: raw.tools_list_changed.unwrap_or(false),
            prompts: raw.prompts_list_changed.unwrap_or(false),
            resources: raw.resources_list_changed.unwrap_or(false),
        };
        Ok(Filter { lists, uris })
    }

    /// What the server tells of among what is asked.
    pub(crate) fn honoured(self, advertised: Advertised, is_known: impl Fn(&str) -> bool) -> Filter {
        let (asked, told) = (self.lists, advertised.lists);
        Filter {
            lists: Wanted {
                tools: asked.tools && told.tools,
                prompts: asked.prompts && told.prompts,
                resources: asked.resources && told.resources,
            },
            uris: self
                .uris
                .filter(|_| advertised.resources)
                .map(|uris| uris.into_iter().filter(|uri| is_known(uri)).collect()),
        }
    }

    /// Appends the filter as a JSON object.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let lists = [
            ("toolsListChanged", self.lists.tools),
            ("promptsListChanged", self.lists.prompts),
            ("resourcesListChanged", self.lists.resources),
        ];
        let mut members: Vec<String> =
            lists.iter().filter(|(_, asked)| *asked).map(|(name, _)| format!("\"{name}\":true")).collect();
        if let Some(uris) = &self.uris {
            let uris = json::line(&uris.iter().map(|uri| &**uri).collect::<Vec<_>>());
            members.push(format!("\"resourceSubscriptions\":{}", uris.expect("invariant: strings are JSON")));
        }
        out.extend_from_slice(format!("{{{}}}", members.join(",")).as_bytes());
    }
}

fn unique(uris: Vec<String>, limits: &Limits) -> Result<Vec<Arc<str>>, Refusal> {
    let mut known = std::collections::HashSet::new();
    let mut kept: Vec<Arc<str>> = Vec::new();
    for uri in uris {
        check_uri(&uri, limits)?;
        if known.insert(uri.clone()) {
            kept.push(uri.into());
        }
    }
    match kept.len() as u64 > limits.max_resource_subscriptions {
        true => Err(too_many(limits)),
        false => Ok(kept),
    }
}

/// Refuses what no resource's URI can be.
pub(crate) fn check_uri(uri: &str, limits: &Limits) -> Result<(), Refusal> {
    Refusal::check_uri_length(uri, limits)?;
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme {
        let sentence = format!("Invalid params: {} is no URI; a URI begins with its scheme", excerpt(uri));
        return Err(Refusal::new(ErrorKind::InvalidParams, sentence));
    }
    Ok(())
}

pub(crate) fn too_many(limits: &Limits) -> Refusal {
    let max = limits.max_resource_subscriptions;
    let name = Limit::ResourceSubscriptions.name();
    let sentence = format!("Invalid params: at most {max} resources can be subscribed to ({name})");
    Refusal::new(ErrorKind::TooManySubscriptions, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<Filter, Refusal> {
        let limits = Limits { max_resource_subscriptions: 2, max_uri_bytes: 64, ..Limits::default() };
        Filter::parse(Some(raw), &limits)
    }

    fn written(filter: &Filter) -> String {
        let mut out = Vec::new();
        filter.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_is_asked_and_advertised_is_honoured() {
        let asked = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":false,
            "resourceSubscriptions":["a:1","a:2","a:1"],"more":1}"#;
        let all = Advertised { lists: Wanted::ALL, resources: true };
        let honoured = parse(asked).unwrap().honoured(all, |uri| uri != "a:2");
        let expected =
            r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a:1"]}"#;
        assert_eq!(written(&honoured), expected);
        let tools = Wanted { tools: true, ..Wanted::default() };
        let some = Advertised { lists: tools, resources: false };
        assert_eq!(written(&parse(asked).unwrap().honoured(some, |_| true)), r#"{"toolsListChanged":true}"#);
        assert_eq!(written(&parse("{}").unwrap().honoured(all, |_| true)), "{}");
        let nulls = parse(r#"{"toolsListChanged":null,"resourceSubscriptions":null}"#).unwrap();
        assert_eq!(nulls, Filter::default());
    }

    #[test]
    fn malformed_filters_are_refused_with_what_is_allowed() {
        let long = format!(r#"{{"resourceSubscriptions":["a:{}"]}}"#, "x".repeat(64));
        for (raw, kind) in [
            ("[]", ErrorKind::InvalidParams),
            (r#"{"toolsListChanged":1}"#, ErrorKind::InvalidParams),
            (r#"{"resourceSubscriptions":"a:1"}"#, ErrorKind::InvalidParams),
            (r#"{"resourceSubscriptions":[1]}"#, ErrorKind::InvalidParams),
            (r#"{"resourceSubscriptions":["nothing"]}"#, ErrorKind::InvalidParams),
            (r#"{"resourceSubscriptions":[":x"]}"#, ErrorKind::InvalidParams),
            (r#"{"resourceSubscriptions":["a:1","a:2","a:3"]}"#, ErrorKind::TooManySubscriptions),
            (&long, ErrorKind::UriTooLong),
        ] {
            assert_eq!(parse(raw).unwrap_err().kind, kind, "{raw}");
        }
        assert_eq!(Filter::parse(None, &Limits::default()).unwrap_err().kind, ErrorKind::InvalidParams);
    }
}
