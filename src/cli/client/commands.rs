//! What each command asks of the server, and what it shows.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;

use super::arguments::{self, Givens};
use super::content::Shower;
use super::failure::Failure;
use super::flags::Output;
use super::lists;
use super::save::Directory;
use super::terminal::Terminal;
use super::text::View;
use crate::client::{CallOptions, Client, ClientError, ResourceTemplateDescription};

/// One question to a server, complete and checked as far as it can be without one.
#[derive(Debug, Clone)]
pub(super) enum Job {
    Discover,
    Tools,
    Call { tool: String, arguments: Arguments, save: Option<Directory> },
    Resources,
    Read { uri: String, save: Option<Directory> },
    Prompts,
    Prompt { name: String, arguments: BTreeMap<String, String>, save: Option<Directory> },
}

/// The arguments of a tool.
#[derive(Debug, Clone)]
pub(super) enum Arguments {
    Whole(Value),
    Named(Givens),
}

/// What a command has to show.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// For standard output.
    pub(super) text: String,
    /// The tool said that it failed.
    pub(super) failed: bool,
    /// What could not be shown or saved.
    pub(super) faults: Vec<String>,
}

/// How to show it.
pub(super) struct Way {
    pub(super) output: Output,
    pub(super) view: View,
}

impl Way {
    fn show(&self, json: impl FnOnce() -> String, text: impl FnOnce() -> String) -> Shown {
        let text = match self.output {
            Output::Text => text(),
            Output::Json => json() + "\n",
        };
        Shown { text, ..Shown::default() }
    }

    /// As [`Way::show`], of a result with content. It is saved whichever way the result is written.
    fn show_content<T: Serialize>(
        &self,
        result: &T,
        save: Option<&Directory>,
        text: impl FnOnce(&mut Shower<'_>) -> String,
    ) -> Shown {
        let mut shower = Shower { view: self.view, save, faults: Vec::new() };
        let text = text(&mut shower);
        match self.output {
            Output::Text => Shown { text, faults: shower.faults, ..Shown::default() },
            Output::Json if save.is_none() => Shown { text: json(result) + "\n", ..Shown::default() },
            Output::Json => Shown { text: json(result) + "\n", faults: shower.faults, ..Shown::default() },
        }
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("invariant: what came as JSON can be written as JSON")
}

/// An object of members that are JSON already, so that the server's words stay as they are.
fn object(members: &[(&str, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

impl Job {
    pub(super) async fn run(
        self,
        client: &Client,
        way: &Way,
        terminal: &Rc<Terminal>,
    ) -> Result<Shown, Failure> {
        match self {
            Job::Discover => {
                let (server, revision) = (client.server(), client.revision());
                let whole =
                    || object(&[("revision", json(revision.as_str())), ("server", json(&server.raw))]);
                Ok(way.show(whole, || lists::server(server, revision, way.view)))
            }
            Job::Tools => {
                let tools = client.list_tools().await?;
                Ok(way.show(|| object(&[("tools", json(&tools))]), || lists::tools(&tools, way.view)))
            }
            Job::Call { tool, arguments, save } => {
                let arguments = whole(client, &tool, arguments).await?;
                call(client, &tool, arguments, way, save.as_ref(), terminal).await
            }
            Job::Resources => resources(client, way).await,
            Job::Read { uri, save } => {
                let result = client.read_resource(&uri).await?;
                Ok(way.show_content(&result, save.as_ref(), |shower| shower.read_result(&result)))
            }
            Job::Prompts => {
                let prompts = client.list_prompts().await?;
                Ok(way.show(|| object(&[("prompts", json(&prompts))]), || lists::prompts(&prompts, way.view)))
            }
            Job::Prompt { name, arguments, save } => {
                let result = client.get_prompt(&name, arguments).await?;
                Ok(way.show_content(&result, save.as_ref(), |shower| shower.prompt_result(&result)))
            }
        }
    }
}

/// Gives named arguments their types. A tool that is not listed is called all the same: the server may know it.
async fn whole(client: &Client, tool: &str, arguments: Arguments) -> Result<Value, Failure> {
    let givens = match arguments {
        Arguments::Whole(value) => return Ok(value),
        Arguments::Named(givens) => givens,
    };
    let mut schema = Value::Null;
    if arguments::need_schema(&givens) {
        let tools = client.list_tools().await?;
        schema =
            tools.iter().find(|known| known.name == tool).map_or(schema, |tool| tool.input_schema.value());
    }
    arguments::typed(givens, &schema).map_err(|why| Failure::usage(format!("bad argument: {why}")))
}

async fn call(
    client: &Client,
    tool: &str,
    arguments: Value,
    way: &Way,
    save: Option<&Directory>,
    terminal: &Rc<Terminal>,
) -> Result<Shown, Failure> {
    let mut options = CallOptions::new();
    if terminal.shows() {
        let terminal = Rc::clone(terminal);
        options = options.on_progress(move |progress| terminal.progress(&progress));
    }
    let result = client.call_tool_with(tool, arguments, options).await;
    terminal.clear();
    let result = result?;
    let shown = way.show_content(&result, save, |shower| shower.tool_result(&result));
    Ok(Shown { failed: result.is_error, ..shown })
}

/// A server without templates may say that it does not know the method.
async fn resources(client: &Client, way: &Way) -> Result<Shown, Failure> {
    const METHOD_NOT_FOUND: i64 = -32601;
    let resources = client.list_resources().await?;
    let templates: Vec<ResourceTemplateDescription> = match client.list_resource_templates().await {
        Err(ClientError::Protocol(error)) if error.code == METHOD_NOT_FOUND => Vec::new(),
        templates => templates?,
    };
    let whole = || object(&[("resources", json(&resources)), ("resourceTemplates", json(&templates))]);
    Ok(way.show(whole, || lists::resources(&resources, &templates, way.view)))
}
