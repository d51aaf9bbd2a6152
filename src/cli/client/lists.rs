//! Lists and the server's description, for people.

use serde_json::Value;

use super::schema;
use super::text::{Table, View, line};
use crate::client::{
    PromptDescription, ResourceDescription, ResourceTemplateDescription, Revision, ServerDescription,
    ToolDescription,
};

/// The tools with their arguments, in the words that `call` takes.
pub(super) fn tools(tools: &[ToolDescription], view: View) -> String {
    let mut table = Table::default();
    for tool in tools {
        table.row(0, &tool.name, &first_of([&tool.description, &tool.title, &tool.annotations.title]));
        let schema = tool.input_schema.value();
        for property in schema::properties(&schema) {
            let name = format!("{}={}", property.name, property.word());
            let need = if property.required { "required" } else { "" };
            let default = property.default().map(|value| format!("default {value}")).unwrap_or_default();
            table.row(2, &name, &sentence(&[need, &default], property.description().unwrap_or_default()));
        }
    }
    table.render(view)
}

/// The resources, and below them the templates.
pub(super) fn resources(
    resources: &[ResourceDescription],
    templates: &[ResourceTemplateDescription],
    view: View,
) -> String {
    let mut table = Table::default();
    for it in resources {
        let size = it.size.map(|bytes| format!("{bytes} bytes")).unwrap_or_default();
        let facts = [it.title.as_deref().unwrap_or(&it.name), it.mime_type.as_deref().unwrap_or(""), &size];
        table.row(0, &it.uri, &sentence(&facts, it.description.as_deref().unwrap_or_default()));
    }
    let mut out = table.render(view);
    if templates.is_empty() {
        return out;
    }
    let mut table = Table::default();
    for it in templates {
        let facts = [it.title.as_deref().unwrap_or(&it.name), it.mime_type.as_deref().unwrap_or("")];
        table.row(2, &it.uri_template, &sentence(&facts, it.description.as_deref().unwrap_or_default()));
    }
    out.push_str("Templates:\n");
    out.push_str(&table.render(view));
    out
}

/// The prompts with their arguments.
pub(super) fn prompts(prompts: &[PromptDescription], view: View) -> String {
    let mut table = Table::default();
    for prompt in prompts {
        table.row(0, &prompt.name, &first_of([&prompt.description, &prompt.title, &None]));
        for argument in &prompt.arguments {
            let need = if argument.required { "required" } else { "" };
            let text = first_of([&argument.description, &argument.title, &None]);
            table.row(2, &format!("{}=string", argument.name), &sentence(&[need], &text));
        }
    }
    table.render(view)
}

/// Who the server is and what it offers.
pub(super) fn server(server: &ServerDescription, revision: Revision, view: View) -> String {
    let mut table = Table::default();
    let name = if server.name.is_empty() { "(says no name)" } else { &server.name };
    let title = server.title.as_deref().map(|title| format!(" ({title})")).unwrap_or_default();
    table.row(0, "server", &format!("{name} {}{title}", server.version));
    table.row(0, "revision", revision.as_str());
    table.row(0, "speaks", &server.supported_versions.join(", "));
    let offered = server.capabilities.as_object();
    let offers = offered.into_iter().flatten().map(|(name, details)| capability(name, details));
    table.row(0, "offers", &offers.collect::<Vec<_>>().join(", "));
    if let Some(instructions) = &server.instructions {
        table.row(0, "instructions", instructions);
    }
    table.render(view)
}

fn capability(name: &str, details: &Value) -> String {
    let set = details.as_object().into_iter().flatten().filter(|(_, value)| **value == Value::Bool(true));
    let flags: Vec<_> = set.map(|(flag, _)| flag.as_str()).collect();
    if flags.is_empty() { name.to_owned() } else { format!("{name} ({})", flags.join(", ")) }
}

fn first_of(texts: [&Option<String>; 3]) -> String {
    texts.into_iter().flatten().next().map(|text| line(text)).unwrap_or_default()
}

/// Facts by commas, then the text.
fn sentence(facts: &[&str], text: &str) -> String {
    let facts = facts.iter().filter(|fact| !fact.is_empty()).copied().collect::<Vec<_>>().join(", ");
    match (facts.is_empty(), text.is_empty()) {
        (true, _) => text.to_owned(),
        (false, true) => facts,
        (false, false) => format!("{facts}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PIPE: View = View { width: None, escape: false };

    fn list<T: serde::de::DeserializeOwned>(value: Value) -> Vec<T> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn tools_are_listed_with_the_arguments_that_call_takes() {
        let all: Vec<ToolDescription> = list(json!([
            { "name": "add", "description": "Adds\n  two numbers.", "inputSchema": { "type": "object", "required": ["b"],
                "properties": { "a": { "type": "integer", "default": 1, "description": "the first" },
                                "b": { "type": "integer" } } } },
            { "name": "now", "title": "The time", "inputSchema": { "type": "object" } },
        ]));
        let expected = "add          Adds two numbers.\n  b=integer  required\n  a=integer  default 1: the first\n\
             now          The time\n";
        assert_eq!(tools(&all, PIPE), expected);
    }

    #[test]
    fn resources_prompts_and_the_server_are_listed() {
        let all = list(json!([{ "uri": "test://a", "name": "A", "mimeType": "text/plain", "size": 3 }]));
        let templates =
            list(json!([{ "uriTemplate": "test://{id}", "name": "T", "description": "one of many" }]));
        let shown = resources(&all, &templates, PIPE);
        assert_eq!(shown, "test://a  A, text/plain, 3 bytes\nTemplates:\n  test://{id}  T: one of many\n");
        let all = list(
            json!([{ "name": "p", "arguments": [{ "name": "x", "required": true, "description": "d" }] }]),
        );
        assert_eq!(prompts(&all, PIPE), "p\n  x=string  required: d\n");
        assert_eq!(capability("tools", &json!({ "listChanged": true, "x": false })), "tools (listChanged)");
    }
}
