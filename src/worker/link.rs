//! The connection to the server, made anew when it breaks, and the tools that are called over it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::Value;

use super::machine::{Input, Trouble};
use crate::client::{CallOptions, Client, ClientError, ClientOptions, ToolResult};
use crate::runtime::Scope;

/// What a server says that has room for nothing just now.
const HTTP_UNAVAILABLE: [u16; 5] = [408, 429, 502, 503, 504];

/// Where the server is, and the client that speaks to it.
pub(super) struct Link {
    target: String,
    options: ClientOptions,
    client: RefCell<Option<Client>>,
    number: Cell<u64>,
}

impl Link {
    pub(super) fn new(target: String, options: ClientOptions) -> Link {
        Link { target, options, client: RefCell::new(None), number: Cell::new(0) }
    }

    /// Connects, and lets the earlier connection go.
    pub(super) async fn connect(&self, scope: &Scope) -> Input {
        self.client.take();
        match Client::connect(scope, &self.target, self.options.clone()).await {
            Ok(client) => {
                self.client.replace(Some(client));
                self.number.set(self.number.get() + 1);
                Input::Connected(self.number.get())
            }
            Err(error) => Input::NotConnected { why: error.to_string(), hopeless: !is_passing(&error) },
        }
    }

    /// Calls a tool; the object that it answers with.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Value,
        within: Duration,
    ) -> Result<Value, Trouble> {
        let number = self.number.get();
        let client = self.client.borrow().clone();
        let Some(client) = client else {
            return Err(Trouble::Broken(number, "there is no connection".to_owned()));
        };
        let options = CallOptions::new().timeout(within).max_timeout(within);
        match client.call_tool_with(tool, arguments, options).await {
            Ok(result) => object(&result).map_err(Trouble::Refused),
            Err(error) if is_passing(&error) => Err(Trouble::Broken(number, error.to_string())),
            Err(error) => Err(Trouble::Refused(error.to_string())),
        }
    }

    /// Says goodbye, as far as there is time.
    pub(super) async fn close(&self) {
        let client = self.client.take();
        if let Some(client) = client {
            drop(client.close().await);
        }
    }
}

/// Whether another connection may help.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Transport { .. }
        | ClientError::Timeout { .. }
        | ClientError::SessionLost { .. }
        | ClientError::Closed => true,
        ClientError::Http { status, .. } => HTTP_UNAVAILABLE.contains(status),
        _ => false,
    }
}

/// The object that a tool answers with: its structured content, or its text where that is JSON.
fn object(result: &ToolResult) -> Result<Value, String> {
    let structured = result.structured_content.clone().filter(Value::is_object);
    let answer = structured.or_else(|| serde_json::from_str(&result.text()).ok().filter(Value::is_object));
    let Some(answer) = answer else {
        return Err(if result.is_error {
            result.text()
        } else {
            "the tool's answer is no object".to_owned()
        });
    };
    if result.is_error || answer["ok"] == false {
        let code = answer["error"].as_str().map(str::to_owned);
        return Err(code.unwrap_or_else(|| result.text()));
    }
    Ok(answer)
}
