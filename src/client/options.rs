//! What a client is told when it is made, and what one call is told beside its arguments.

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::error::{ClientError, ProtocolError};
use super::handlers::{
    Change, ElicitReply, ElicitRequest, Handlers, LogMessage, Progress, Root, SampleReply, SampleRequest,
};
use super::http::HttpOptions;
use super::limits::ClientLimits;
use super::p2p::P2pOptions;
use super::retry::RetryPolicy;
use crate::mcp::{LogLevel, Revision};

/// How a client introduces itself, how patient it is, and who answers the server's questions.
///
/// Which callbacks are set decides which capabilities it declares.
#[derive(Clone)]
pub struct ClientOptions {
    /// The program's name, as the server sees it.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The program's name for people.
    pub title: Option<String>,
    /// How long an answer may take; 60 s by default. Progress and a question of the server's begin it anew.
    pub request_timeout: Duration,
    /// How long an answer may take at most, whatever progress comes; 10 min by default.
    pub max_request_timeout: Duration,
    /// How requests that did not run are repeated.
    pub retries: RetryPolicy,
    /// The one revision to speak; `None`, the default, finds out what the server speaks.
    pub revision: Option<Revision>,
    /// From which level on the server should send its log; `None`, the default, asks for nothing.
    pub log_level: Option<LogLevel>,
    /// Whether structured content that does not fit the tool's output schema is an error; true by default. It is known
    /// of tools that were listed.
    pub check_output: bool,
    /// The bounds of what the server may make the client hold.
    pub limits: ClientLimits,
    /// How [`super::Client::connect`] reaches the server: connections, further headers, certificates. No answer may be
    /// longer than `limits.max_message_bytes`, whatever stands here.
    pub http: HttpOptions,
    /// How [`super::Client::connect`] reaches a peer over libp2p: identity, token, streams. No message may be longer than
    /// `limits.max_message_bytes`, whatever stands here.
    pub p2p: P2pOptions,
    pub(crate) handlers: Handlers,
}

impl ClientOptions {
    /// A client of that name and version, with no callbacks.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            title: None,
            request_timeout: Duration::from_secs(60),
            max_request_timeout: Duration::from_secs(600),
            retries: RetryPolicy::default(),
            revision: None,
            log_level: None,
            check_output: true,
            limits: ClientLimits::default(),
            http: HttpOptions::default(),
            p2p: P2pOptions::default(),
            handlers: Handlers::default(),
        }
    }

    /// Answers `elicitation/create`. Forms are declared; see [`ClientOptions::elicit_modes`].
    #[must_use]
    pub fn on_elicit<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(ElicitRequest) -> Fut + 'static,
        Fut: Future<Output = Result<ElicitReply, ProtocolError>> + 'static,
    {
        self.handlers.elicit = Some(Rc::new(move |request| Box::pin(handler(request))));
        self.handlers.elicit_form |= !self.handlers.elicit_url;
        self
    }

    /// Which kinds of elicitation are declared: by form, by URL. What is not declared is refused.
    #[must_use]
    pub fn elicit_modes(mut self, form: bool, url: bool) -> Self {
        (self.handlers.elicit_form, self.handlers.elicit_url) = (form, url);
        self
    }

    /// Answers `sampling/createMessage`.
    #[must_use]
    pub fn on_sample<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(SampleRequest) -> Fut + 'static,
        Fut: Future<Output = Result<SampleReply, ProtocolError>> + 'static,
    {
        self.handlers.sample = Some(Rc::new(move |request| Box::pin(handler(request))));
        self
    }

    /// What is declared beside plain sampling: tools, and context of other servers. Nothing is by default.
    #[must_use]
    pub fn sample_with(mut self, tools: bool, context: bool) -> Self {
        (self.handlers.sample_tools, self.handlers.sample_context) = (tools, context);
        self
    }

    /// Answers `roots/list`.
    #[must_use]
    pub fn on_roots<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn() -> Fut + 'static,
        Fut: Future<Output = Result<Vec<Root>, ProtocolError>> + 'static,
    {
        self.handlers.roots = Some(Rc::new(move |()| Box::pin(handler())));
        self
    }

    /// Hears the server's log. It should return soon: the stream waits for it.
    #[must_use]
    pub fn on_log(mut self, handler: impl Fn(LogMessage) + 'static) -> Self {
        self.handlers.log = Some(Rc::new(handler));
        self
    }

    /// Hears how far requests have come; every request then asks for progress. It should return soon.
    #[must_use]
    pub fn on_progress(mut self, handler: impl Fn(Progress) + 'static) -> Self {
        self.handlers.progress = Some(Rc::new(handler));
        self
    }

    /// Hears what has changed, see [`super::Client::listen`]. It should return soon.
    #[must_use]
    pub fn on_change(mut self, handler: impl Fn(Change) + 'static) -> Self {
        self.handlers.change = Some(Rc::new(handler));
        self
    }

    /// Who the client says it is (`Implementation`).
    pub(crate) fn client_info(&self) -> Value {
        let mut info = json!({ "name": self.name, "version": self.version });
        if let Some(title) = &self.title {
            info["title"] = title.as_str().into();
        }
        info
    }

    pub(crate) fn check(&self) -> Result<(), ClientError> {
        if self.name.is_empty() || self.version.is_empty() {
            return Err(ClientError::Options("name and version must not be empty".to_owned()));
        }
        if self.request_timeout.is_zero() || self.max_request_timeout < self.request_timeout {
            let why = "request_timeout must be above zero and not above max_request_timeout";
            return Err(ClientError::Options(why.to_owned()));
        }
        Ok(())
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("request_timeout", &self.request_timeout)
            .field("retries", &self.retries)
            .field("revision", &self.revision)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What one call is told beside its arguments.
#[derive(Clone, Default)]
pub struct CallOptions {
    /// How long the answer may take; the client's own time-out by default.
    pub timeout: Option<Duration>,
    /// How long it may take at most, whatever progress comes; the client's own bound by default.
    pub max_timeout: Option<Duration>,
    /// Further members of `_meta`. Those that the protocol reserves are overwritten.
    pub meta: Map<String, Value>,
    pub(crate) progress: Option<Rc<dyn Fn(Progress)>>,
}

impl CallOptions {
    /// Nothing out of the ordinary.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another time-out; progress begins it anew, up to the longest one.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Another bound that no progress extends.
    #[must_use]
    pub fn max_timeout(mut self, timeout: Duration) -> Self {
        self.max_timeout = Some(timeout);
        self
    }

    /// Asks for progress and hears it.
    #[must_use]
    pub fn on_progress(mut self, handler: impl Fn(Progress) + 'static) -> Self {
        self.progress = Some(Rc::new(handler));
        self
    }

    /// Adds a member to `_meta`.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: Value) -> Self {
        self.meta.insert(key.into(), value);
        self
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = self.progress.is_some();
        f.debug_struct("CallOptions")
            .field("timeout", &self.timeout)
            .field("progress", &progress)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_work_are_refused() {
        let mut options = ClientOptions::new("n", "1");
        assert!(options.check().is_ok());
        options.request_timeout = options.max_request_timeout * 2;
        assert!(options.check().unwrap_err().to_string().contains("request_timeout"));
        assert!(ClientOptions::new("", "1").check().is_err());
    }

    #[test]
    fn modes_of_elicitation_stay_as_they_were_named() {
        let handler = |_| async { Ok(ElicitReply::Cancel) };
        let forms = ClientOptions::new("n", "1").on_elicit(handler).handlers;
        assert_eq!((forms.elicit_form, forms.elicit_url), (true, false));
        let pages = ClientOptions::new("n", "1").elicit_modes(false, true).on_elicit(handler).handlers;
        assert_eq!((pages.elicit_form, pages.elicit_url), (false, true));
    }
}
