//! What a running handler knows about its call, and what it can tell the client before it ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::mcp::ask::asking::Asking;
use crate::mcp::call::signals::Signals;
use crate::mcp::message::answer::Label;
use crate::mcp::message::capability::{Capability, ClientCapabilities};
use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::message::level::LogLevel;
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::small_text::SmallText;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::registry_handle::RegistryHandle;
use crate::mcp::serve::snapshot::Snapshot;
use crate::mcp::session::entry::Session;

/// The handle that a handler gets for its call: of a tool, a resource, a prompt or a completion. Clones name the same
/// call and may be sent to other threads.
#[derive(Clone)]
pub struct Context {
    pub(crate) state: Arc<CallState>,
}

/// What a call is of: an index into the catalog that its snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A tool.
    Tool(u32),
    /// A resource with a URI of its own.
    Resource(u32),
    /// A resource of a template's family.
    Template(u32),
    /// A prompt.
    Prompt(u32),
    /// An argument of a prompt, to be completed.
    PromptArgument(u32),
    /// A variable of a template, to be completed.
    TemplateVariable(u32),
}

/// Everything about one call that outlives the bytes it arrived in.
pub(crate) struct CallState {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) target: Target,
    /// The URI that was asked for, where the target does not tell it.
    pub(crate) uri: Option<Box<str>>,
    pub(crate) core: usize,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
    /// Milliseconds for which the deadline has stood still.
    pub(crate) extended_ms: AtomicU64,
    pub(crate) revision: Revision,
    /// The request id as JSON text, just as it came.
    pub(crate) id: SmallText,
    pub(crate) principal: SmallText,
    /// Whether the caller may change state; else it may only read.
    pub(crate) full_access: bool,
    /// The progress token as JSON text.
    pub(crate) progress_token: Option<SmallText>,
    /// The least serious level that this request wants in its own notifications (2026-07-28).
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) capabilities: ClientCapabilities,
    pub(crate) traceparent: Option<Box<str>>,
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) asking: Asking,
    pub(crate) signals: Signals,
}

impl Context {
    /// Tells the client how far the call is; resolves when the stream has room for it.
    ///
    /// Does nothing when the client did not ask for progress. `progress` must grow with each call: a value that does
    /// not, or that is no finite number, is dropped.
    pub async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let Some(token) = &self.state.progress_token else { return };
        if !progress.is_finite() {
            return;
        }
        let mut event =
            br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"#.to_vec();
        event.extend_from_slice(token.as_str().as_bytes());
        event.extend_from_slice(br#","progress":"#);
        number(&mut event, progress);
        if let Some(total) = total.filter(|total| total.is_finite()) {
            event.extend_from_slice(br#","total":"#);
            number(&mut event, total);
        }
        if let Some(message) = message {
            event.extend_from_slice(br#","message":"#);
            json::string(&mut event, message);
        }
        event.extend_from_slice(b"}}");
        self.send(event, Some(progress)).await;
    }

    /// Sends a log notification to the client; resolves when the stream has room for it.
    ///
    /// Does nothing when the client wants no logs or only more serious ones. Data that cannot be written as JSON is
    /// dropped. Nothing secret belongs here.
    pub async fn log<T: Serialize + ?Sized>(&self, level: LogLevel, logger: Option<&str>, data: &T) {
        if !self.wants_log(level) {
            return;
        }
        let Ok(data) = json::line(data) else { return };
        let mut event = br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":""#.to_vec();
        event.extend_from_slice(level.as_str().as_bytes());
        event.push(b'"');
        if let Some(logger) = logger {
            event.extend_from_slice(br#","logger":"#);
            json::string(&mut event, logger);
        }
        event.extend_from_slice(br#","data":"#);
        event.extend_from_slice(data.as_bytes());
        event.extend_from_slice(b"}}");
        self.send(event, None).await;
    }

    /// True when a log notification of this level would be sent: in 2026-07-28 the request must ask for logs, before
    /// it the session's level decides.
    pub fn wants_log(&self, level: LogLevel) -> bool {
        match &self.state.session {
            Some(session) => level >= session.log_level(),
            None => self.state.log_level.is_some_and(|least| level >= least),
        }
    }

    /// Resolves when the call is cancelled: by the client, because it went away, at the deadline, or because the
    /// server stops.
    pub async fn cancelled(&self) {
        self.state.signals.cancelled().await;
    }

    /// True from the moment the call is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.state.signals.cancel_reason().is_some()
    }

    /// Closes the connection of the call's event stream once all events so far were sent; the call goes on, and the
    /// client comes back for the rest of the stream (2025-11-25, "Sending Messages to the Server").
    ///
    /// For calls that take long: they need not hold a connection. In other revisions, whose clients do not come back,
    /// this does nothing.
    pub fn close_stream(&self) {
        if self.state.revision.primes_streams() && self.state.session.is_some() {
            self.state.signals.hang_up();
        }
    }

    /// When the call will be cancelled for taking too long. It moves on by the time that questions to the client took.
    pub fn deadline(&self) -> Instant {
        let extended = Duration::from_millis(self.state.extended_ms.load(Ordering::Relaxed));
        self.state.deadline.checked_add(extended).unwrap_or(self.state.deadline)
    }

    /// The request's id, as JSON text: a number, or a string in quotes.
    pub fn request_id(&self) -> &str {
        self.state.id.as_str()
    }

    /// Index of the core that took the request.
    pub fn core(&self) -> usize {
        self.state.core
    }

    /// Who asks; `anonymous` without authentication.
    pub fn principal(&self) -> &str {
        self.state.principal.as_str()
    }

    /// False for callers that may only read: peers of this node that neither showed the shared token nor are allowed.
    pub fn has_full_access(&self) -> bool {
        self.state.full_access
    }

    /// The protocol revision of the request.
    pub fn revision(&self) -> Revision {
        self.state.revision
    }

    /// What is called: the name of the tool or prompt, the URI of the resource that is read, or the prompt's name or
    /// the template's text where an argument is completed.
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// The URI of the resource that is read; `None` where none is.
    pub fn uri(&self) -> Option<&str> {
        let read = matches!(self.state.target, Target::Resource(_) | Target::Template(_));
        read.then(|| self.state.name())
    }

    /// A handle that changes what the server offers.
    pub fn registry(&self) -> RegistryHandle {
        RegistryHandle::running(self.state.snapshot.shared())
    }

    /// The W3C trace context of the request, where it carried one.
    pub fn traceparent(&self) -> Option<&str> {
        self.state.traceparent.as_deref()
    }

    /// What the client can do.
    pub fn client_capabilities(&self) -> &ClientCapabilities {
        match &self.state.session {
            Some(session) => session.capabilities(),
            None => &self.state.capabilities,
        }
    }

    /// Ok when the client declared the capability.
    ///
    /// # Errors
    /// The protocol error that names what is missing; return it with `?`.
    pub fn require(&self, capability: Capability) -> Result<(), CallError> {
        match self.client_capabilities().has(capability) {
            true => Ok(()),
            false => Err(CallError::missing_capability(capability)),
        }
    }

    pub(crate) async fn send(&self, event: Vec<u8>, progress: Option<f64>) {
        self.state.signals.send(event, progress, self.state.snapshot.shared().stream_queue_bytes).await;
    }
}

impl CallState {
    /// The name of what is called.
    pub(crate) fn name(&self) -> &str {
        let catalog = self.snapshot.catalog();
        match self.target {
            Target::Tool(index) => &catalog.tool(index).name,
            Target::Resource(index) => &catalog.resource(index).uri,
            Target::Template(_) => self.uri.as_deref().unwrap_or_default(),
            Target::Prompt(index) | Target::PromptArgument(index) => &catalog.prompt(index).name,
            Target::TemplateVariable(index) => &catalog.template(index).described.template,
        }
    }

    /// What is called, for a sentence: its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self.target {
            Target::Tool(_) => "tool",
            Target::Resource(_) | Target::Template(_) => "resource",
            Target::Prompt(_) => "prompt",
            Target::PromptArgument(_) => "completion for the prompt",
            Target::TemplateVariable(_) => "completion for the resource template",
        }
    }

    /// Notes that the call's time stood still for so long.
    pub(crate) fn extend(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.extended_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// What to count.
    pub(crate) fn label(&self) -> Label {
        let era = self.revision.era();
        match self.target {
            Target::Tool(index) => {
                let tool = self.snapshot.catalog().tool(index).label;
                Label { tool, ..Label::new(MethodKind::ToolsCall, era) }
            }
            Target::Resource(_) | Target::Template(_) => Label::new(MethodKind::ResourcesRead, era),
            Target::Prompt(_) => Label::new(MethodKind::PromptsGet, era),
            Target::PromptArgument(_) | Target::TemplateVariable(_) => {
                Label::new(MethodKind::CompletionComplete, era)
            }
        }
    }
}

/// Appends a finite number, whole ones without a fraction.
fn number(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        serde_json::to_writer(out, &value).expect("invariant: a finite number is always JSON");
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.name())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}
