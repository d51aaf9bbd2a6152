//! Hearing of changes: what is asked for, and the handle of whoever listens.

use std::rc::Rc;

use futures_lite::future;
use serde_json::{Map, Value, json};

use super::link::Link;
use super::queue::Waiting;
use crate::client::error::ClientError;
use crate::client::handlers::Change;
use crate::client::limits::exceeded;

/// Which changes to hear of. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenFilter {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the list of resources.
    pub resources: bool,
    /// Changes of the resources with these URIs.
    pub uris: Vec<String>,
}

impl ListenFilter {
    /// Everything but single resources.
    pub fn lists() -> Self {
        Self { tools: true, prompts: true, resources: true, uris: Vec::new() }
    }

    /// Also changes of the list of tools.
    #[must_use]
    pub fn tools(mut self) -> Self {
        self.tools = true;
        self
    }

    /// Also changes of the list of prompts.
    #[must_use]
    pub fn prompts(mut self) -> Self {
        self.prompts = true;
        self
    }

    /// Also changes of the list of resources.
    #[must_use]
    pub fn resources(mut self) -> Self {
        self.resources = true;
        self
    }

    /// Also changes of this resource.
    #[must_use]
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.uris.push(uri.into());
        self
    }

    pub(crate) fn admits(&self, change: &Change) -> bool {
        match change {
            Change::Tools => self.tools,
            Change::Prompts => self.prompts,
            Change::Resources => self.resources,
            // A server may name a part of what was subscribed to; it was asked for, so it is passed on.
            Change::Resource { uri } => self.uris.iter().any(|asked| uri.starts_with(asked.as_str())),
            Change::Elicitation { .. } | Change::Reconnected => true,
        }
    }

    /// As 2026-07-28 writes it.
    pub(crate) fn to_value(&self) -> Value {
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        let mut filter: Map<String, Value> =
            flags.into_iter().filter(|flag| flag.1).map(|flag| (flag.0.to_owned(), json!(true))).collect();
        if !self.uris.is_empty() {
            filter.insert("resourceSubscriptions".to_owned(), json!(self.uris));
        }
        Value::Object(filter)
    }

    /// What an acknowledgment grants, no more than was asked for.
    pub(crate) fn granted(&self, acknowledged: &Value) -> Self {
        let flag = |name: &str| acknowledged.get(name) == Some(&Value::Bool(true));
        let uris = acknowledged.get("resourceSubscriptions").and_then(Value::as_array);
        let has =
            |uri: &&String| uris.is_some_and(|granted| granted.iter().any(|given| given == uri.as_str()));
        Self {
            tools: self.tools && flag("toolsListChanged"),
            prompts: self.prompts && flag("promptsListChanged"),
            resources: self.resources && flag("resourcesListChanged"),
            uris: self.uris.iter().filter(has).cloned().collect(),
        }
    }
}

/// Changes as they come. Dropping it ends the stream; [`Subscription::close`] also tells an older server.
#[derive(Debug)]
pub struct Subscription {
    link: Rc<Link>,
    waiting: Rc<Waiting>,
    granted: ListenFilter,
    is_live: bool,
}

impl Subscription {
    pub(super) fn new(link: &Rc<Link>, waiting: Rc<Waiting>, granted: ListenFilter, is_live: bool) -> Self {
        Self { link: Rc::clone(link), waiting, granted, is_live }
    }

    pub(super) fn set_live(&mut self, is_live: bool) {
        self.is_live = is_live;
    }

    /// What the server agreed to tell, a part of what was asked for.
    pub fn granted(&self) -> &ListenFilter {
        &self.granted
    }

    /// False where an older server has no stream for changes: those that come beside the answers to requests arrive.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// The next change; `None` when the server or the client has ended the stream in order.
    ///
    /// Of two equal changes that wait, one arrives: a change says that there is something new, not how often.
    ///
    /// # Errors
    /// Once, when the stream broke and could not be opened again.
    pub async fn next(&mut self) -> Option<Result<Change, ClientError>> {
        self.waiting.next().await
    }

    /// Changes that were dropped because too many waited (`max_waiting_changes`).
    pub fn missed(&self) -> u64 {
        self.waiting.missed()
    }

    /// Ends the stream, and an older server's watch over the resources that no other subscription asks for.
    ///
    /// # Errors
    /// When the server could not be told. The stream has ended all the same.
    pub async fn close(self) -> Result<(), ClientError> {
        let (link, uris) = (Rc::clone(&self.link), self.granted.uris.clone());
        drop(self);
        link.unwatch(&uris).await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.waiting.left.stop();
        self.link.forget_listener(&self.waiting);
    }
}

impl Link {
    /// Begins to listen, in the way of the era.
    pub(crate) async fn listen(self: &Rc<Self>, filter: ListenFilter) -> Result<Subscription, ClientError> {
        let most = self.options.limits.max_subscribed_resources;
        if self.closed.is_stopped() {
            return Err(ClientError::Closed);
        }
        if filter.uris.len() > most {
            return Err(exceeded("max_subscribed_resources", most));
        }
        let closed = async {
            self.closed.stopped().await;
            Err(ClientError::Closed)
        };
        match self.revision().is_modern() {
            true => future::or(self.listen_modern(filter), closed).await,
            false => future::or(self.listen_old(filter), closed).await,
        }
    }
}
