//! Tools, resources, prompts and completion.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ClientError;
use super::handle::Client;
use super::limits::exceeded;
use super::options::CallOptions;
use super::protocol::era::HEADER_MISMATCH;
use super::protocol::headers::mirrored_params;
use super::results::raw::{Kept, kept};
use super::results::{
    Completion, CompletionTarget, PromptDescription, PromptResult, RawJson, ReadResult, ResourceDescription,
    ResourceTemplateDescription, ToolDescription, ToolResult,
};
use super::wire::{Ask, KnownTool};
use crate::mcp::Revision;

impl Client {
    /// All tools, of all pages. A tool that must not be called is left out and warned of: its input schema cannot be
    /// read, or has invalid `x-mcp-header` declarations (2026-07-28 over HTTP).
    ///
    /// # Errors
    /// [`ClientError::NotOffered`] when the server has no tools, [`ClientError::Limit`] for a list that does not end.
    pub async fn list_tools(&self) -> Result<Vec<ToolDescription>, ClientError> {
        self.needs("tools")?;
        let mut tools: Vec<ToolDescription> = self.pages("tools/list", "tools").await?;
        let mirrored = self.revision().is_modern() && self.link.transport.has_headers();
        let known = |tool: &ToolDescription| (tool.name.clone(), Rc::new(KnownTool::new(tool, mirrored)));
        let all: BTreeMap<String, Rc<KnownTool>> = tools.iter().map(known).collect();
        tools.retain(|tool| match &all[&tool.name].params {
            Ok(_) => true,
            Err(why) => {
                tracing::warn!(tool = tool.name, "left out: the tool {why}");
                false
            }
        });
        self.link.tools.replace(all);
        Ok(tools)
    }

    /// Calls a tool. `arguments` is an object, or null for none.
    ///
    /// A tool that says that it failed is a result with `is_error`, not an error. The structured content of a tool that
    /// was listed must fit its output schema, see [`super::ClientOptions::check_output`].
    ///
    /// # Errors
    /// See [`ClientError`]. A call that may have run is not repeated unless the server says of the tool that this does
    /// no harm.
    pub async fn call_tool(&self, name: &str, arguments: Value) -> Result<ToolResult, ClientError> {
        self.call_tool_with(name, arguments, CallOptions::new()).await
    }

    /// As [`Client::call_tool`], with options of its own.
    ///
    /// # Errors
    /// As [`Client::call_tool`].
    pub async fn call_tool_with(
        &self,
        name: &str,
        arguments: Value,
        options: CallOptions,
    ) -> Result<ToolResult, ClientError> {
        self.needs("tools")?;
        if !arguments.is_object() && !arguments.is_null() {
            return Err(ClientError::Options("the arguments of a tool must be a JSON object".to_owned()));
        }
        let ask = self.tool_call(name, &arguments, &options)?;
        let sent = ask.headers.clone();
        let result = match self.link.request(ask).await {
            Err(ClientError::Protocol(error)) if error.code == HEADER_MISMATCH => {
                // The tool's schema may have changed since it was listed, or it never was.
                self.list_tools().await?;
                let again = self.tool_call(name, &arguments, &options)?;
                if again.headers == sent {
                    return Err(ClientError::Protocol(error));
                }
                self.link.request(again).await?
            }
            done => done?,
        };
        let result: ToolResult = read("tools/call", RawJson::new(result))?;
        if let Some(known) = self.known(name).filter(|_| self.link.options.check_output) {
            known.check(&result)?;
        }
        Ok(result)
    }

    fn known(&self, name: &str) -> Option<Rc<KnownTool>> {
        self.link.tools.borrow().get(name).cloned()
    }

    /// A call, with the headers that the tool's schema asks for as far as it is known.
    fn tool_call(&self, name: &str, arguments: &Value, options: &CallOptions) -> Result<Ask, ClientError> {
        let known = self.known(name);
        let headers = match known.as_ref().map(|known| &known.params) {
            Some(Err(why)) => {
                return Err(ClientError::InvalidTool { name: name.to_owned(), why: why.clone() });
            }
            Some(Ok(params)) => mirrored_params(params, arguments),
            None => Vec::new(),
        };
        let mut params = json!({ "name": name });
        if !arguments.is_null() {
            params["arguments"] = arguments.clone();
        }
        let safe = known.is_some_and(|known| known.repeatable);
        Ok(Ask { headers, safe, options: options.clone(), ..Ask::new("tools/call", params) })
    }

    /// All resources, of all pages.
    ///
    /// # Errors
    /// As [`Client::list_tools`].
    pub async fn list_resources(&self) -> Result<Vec<ResourceDescription>, ClientError> {
        self.needs("resources")?;
        self.pages("resources/list", "resources").await
    }

    /// All templates of resources, of all pages.
    ///
    /// # Errors
    /// As [`Client::list_tools`].
    pub async fn list_resource_templates(&self) -> Result<Vec<ResourceTemplateDescription>, ClientError> {
        self.needs("resources")?;
        self.pages("resources/templates/list", "resourceTemplates").await
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// See [`ClientError`]. For one that does not exist the code is -32602, or -32002 before 2026-07-28.
    pub async fn read_resource(&self, uri: &str) -> Result<ReadResult, ClientError> {
        self.needs("resources")?;
        let result = self.ask("resources/read", json!({ "uri": uri }), CallOptions::new()).await?;
        read("resources/read", result)
    }

    /// Asks an older server to tell when a resource changes; see [`Client::listen`] for where it says so.
    ///
    /// # Errors
    /// [`ClientError::NotOffered`] in 2026-07-28 and where the server does not declare it.
    pub async fn subscribe(&self, uri: &str) -> Result<(), ClientError> {
        self.only_old("resources/subscribe")?;
        self.needs("resources.subscribe")?;
        self.link.watch(&[uri.to_owned()]).await
    }

    /// Ends what [`Client::subscribe`] began, unless a subscription still listens for it.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn unsubscribe(&self, uri: &str) -> Result<(), ClientError> {
        self.only_old("resources/unsubscribe")?;
        self.needs("resources.subscribe")?;
        self.link.unwatch(&[uri.to_owned()]).await
    }

    /// All prompts, of all pages.
    ///
    /// # Errors
    /// As [`Client::list_tools`].
    pub async fn list_prompts(&self) -> Result<Vec<PromptDescription>, ClientError> {
        self.needs("prompts")?;
        self.pages("prompts/list", "prompts").await
    }

    /// Fills in a prompt.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get_prompt(
        &self,
        name: &str,
        arguments: BTreeMap<String, String>,
    ) -> Result<PromptResult, ClientError> {
        self.needs("prompts")?;
        let mut params = json!({ "name": name });
        if !arguments.is_empty() {
            params["arguments"] = json!(arguments);
        }
        let result = self.ask("prompts/get", params, CallOptions::new()).await?;
        read("prompts/get", result)
    }

    /// Asks what the value of an argument, of which `value` is the beginning, may become. `context` holds the values
    /// of other arguments.
    ///
    /// # Errors
    /// [`ClientError::NotOffered`] when the server does not complete.
    pub async fn complete(
        &self,
        target: CompletionTarget,
        argument: &str,
        value: &str,
        context: BTreeMap<String, String>,
    ) -> Result<Completion, ClientError> {
        #[derive(Deserialize)]
        struct Completed {
            completion: Completion,
        }
        // The first revision had no word for it.
        if self.revision() > Revision::V2024_11_05 {
            self.needs("completions")?;
        }
        let target = match target {
            CompletionTarget::Prompt(name) => json!({ "type": "ref/prompt", "name": name }),
            CompletionTarget::ResourceTemplate(uri) => json!({ "type": "ref/resource", "uri": uri }),
        };
        let mut params = json!({ "ref": target, "argument": { "name": argument, "value": value } });
        if !context.is_empty() {
            params["context"] = json!({ "arguments": context });
        }
        let result = self.ask("completion/complete", params, CallOptions::new()).await?;
        let completed: Completed =
            result.read().map_err(|error| ClientError::malformed("completion/complete", error))?;
        Ok(completed.completion)
    }

    /// All entries of a list. One that cannot be read is left out and warned of.
    async fn pages<T: Kept>(&self, method: &str, member: &str) -> Result<Vec<T>, ClientError> {
        let limits = &self.link.options.limits;
        let mut entries = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..limits.max_pages {
            let params = cursor.as_ref().map_or(json!({}), |cursor| json!({ "cursor": cursor }));
            let page = self.ask(method, params, CallOptions::new()).await?;
            let (listed, next) = read_page(method, member, &page)?;
            if entries.len() + listed.len() > limits.max_list_entries {
                return Err(exceeded("max_list_entries", limits.max_list_entries));
            }
            for entry in listed {
                match kept(entry) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => tracing::warn!(method, %error, "left out an entry that cannot be read"),
                }
            }
            if next.is_none() {
                return Ok(entries);
            }
            if next == cursor {
                return Err(ClientError::malformed(method, "its nextCursor is the one that was sent"));
            }
            cursor = next;
        }
        Err(exceeded("max_pages", limits.max_pages))
    }
}

/// The entries of one page, and where the next one begins.
fn read_page(
    method: &str,
    member: &str,
    page: &RawJson,
) -> Result<(Vec<RawJson>, Option<String>), ClientError> {
    let malformed = |error: serde_json::Error| ClientError::malformed(method, error);
    let mut members: BTreeMap<String, RawJson> = page.read().map_err(malformed)?;
    let next = members.remove("nextCursor").map_or(Ok(None), |next| next.read()).map_err(malformed)?;
    let Some(listed) = members.remove(member) else {
        return Err(ClientError::malformed(method, format!("it has no `{member}`")));
    };
    Ok((listed.read().map_err(malformed)?, next))
}

fn read<T: Kept>(method: &str, result: RawJson) -> Result<T, ClientError> {
    kept(result).map_err(|error| ClientError::malformed(method, error))
}
