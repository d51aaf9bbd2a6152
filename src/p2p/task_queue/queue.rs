//! One node's side of the RPC, shared by its cores.

use std::borrow::Cow;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::codes::ErrorCode;
use super::fields::{Field, Fields};
use super::members::Members;
use super::operations::{Needs, OPERATIONS, Operation, Part};
use super::refusal::Refusal;
use super::{Answered, Caller, Scheduler, Services, ToolCall, status, tasks, tools};
use crate::limits::{Limit, Limits};
use crate::mcp::{json, lock};
use crate::p2p::access::Policy;
use crate::p2p::line::LineError;
use crate::scheduler::MerkleClock;
use crate::store::LocalStore;

/// An answer stays below this: with its newline, or in the frame of another protocol, it takes less than 1 MiB.
pub(super) const MAX_ANSWER_BYTES: usize = (1 << 20) - (4 << 10);
/// Who a client of this node's own tools is to the tools that it calls.
const LOCAL_PRINCIPAL: &str = "anonymous";
/// The name under which every node of this protocol keeps its clock.
const CLOCK_NODE: &str = "taskqueue-service";

/// What a task queue is made of.
#[derive(Debug, Clone)]
pub struct TaskQueueOptions {
    /// This node's id in base58.
    pub peer_id: Box<str>,
    /// Who may change state.
    pub policy: Policy,
    /// Whether peers may call tools.
    pub call_tool: bool,
    /// Whether peers may use the cache.
    pub cache: bool,
    /// The session that this node says it belongs to.
    pub session: Box<str>,
    /// Whether a claim gets the tasks that its peer owns first.
    pub deterministic: bool,
    /// How long a peer that was not heard of counts as alive.
    pub peer_timeout: Duration,
    /// The limits in force.
    pub limits: Limits,
}

/// Answers the requests of peers. There is one for the process.
pub struct TaskQueue {
    pub(super) options: TaskQueueOptions,
    status_head: String,
    pub(super) state: Mutex<State>,
}

/// What changes: the others, and the clock that counts what was heard of them.
pub(super) struct State {
    pub(super) clock: MerkleClock,
    pub(super) members: Members,
}

impl TaskQueue {
    /// A task queue that has heard of nobody.
    pub fn new(options: TaskQueueOptions) -> TaskQueue {
        let max = |limit| usize::try_from(options.limits.value(limit)).unwrap_or(usize::MAX);
        let state = State {
            clock: MerkleClock::new(CLOCK_NODE, max(Limit::P2pClockEntries)),
            members: Members::new(max(Limit::P2pPeers)),
        };
        let status_head = status::head(&options.session);
        TaskQueue { options, status_head, state: Mutex::new(state) }
    }

    /// This node's id in base58.
    pub fn peer_id(&self) -> &str {
        &self.options.peer_id
    }

    /// The longest line of a request, its newline included.
    pub fn max_line_bytes(&self) -> usize {
        usize::try_from(self.options.limits.max_p2p_line_bytes).unwrap_or(usize::MAX)
    }

    /// Answers one request: a line without its newline, or a JSON object from elsewhere.
    pub async fn answer(&self, request: &[u8], caller: &Caller<'_>, services: &Services<'_>) -> Answered {
        let mut operation = None;
        let answer = match self.admit(request, caller, &mut operation) {
            Ok((asked, fields, full_access)) => match asked {
                Operation::CallTool => {
                    return match self.call_tool(&fields, caller, services, full_access).await {
                        Ok((json, error)) => self.finish(operation, json, error),
                        Err(refusal) => self.refuse(operation, &refusal),
                    };
                }
                _ => self.serve(asked, &fields, caller, services, full_access).await,
            },
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok((json, limit)) => Answered { limit, ..self.finish(operation, json, None) },
            Err(refusal) => self.refuse(operation, &refusal),
        }
    }

    /// Answers an operation whose fields were checked, one that calls no tool.
    async fn serve(
        &self,
        asked: Operation,
        fields: &Fields<'_>,
        caller: &Caller<'_>,
        services: &Services<'_>,
        full_access: bool,
    ) -> tasks::Answer {
        match (asked, asked.info().part, services.store) {
            (Operation::Status, _, store) => Ok((self.status(fields, caller, store), None)),
            (Operation::Heartbeat, ..) => self.heartbeat(fields, caller, services, full_access).await,
            (_, Part::Workflow, Some(store)) => self.workflow_operation(asked, fields, caller, store),
            (_, Part::Cache, Some(store)) => self.cache_operation(asked, fields, store).await,
            (_, _, Some(store)) => self.task_operation(asked, fields, caller, store).await,
            (_, _, None) => Err(queue_unavailable()),
        }
    }

    async fn call_tool(
        &self,
        fields: &Fields<'_>,
        caller: &Caller<'_>,
        services: &Services<'_>,
        full_access: bool,
    ) -> Result<(String, Option<ErrorCode>), Refusal> {
        let asked = tools::read(fields, self.options.limits.duration(Limit::ToolTime))?;
        let call = ToolCall {
            name: &asked.name,
            arguments: &asked.arguments,
            timeout: asked.timeout,
            full_access,
            principal: caller.remote.map_or(LOCAL_PRINCIPAL, |remote| &remote.principal),
        };
        let outcome = services.tools.call(call).await;
        let mut error = None;
        let json = self.object(|object| error = tools::write(object, &asked.name, outcome));
        Ok((json, error))
    }

    /// The answer to what is no line.
    pub fn refuse_line(&self, error: LineError) -> Answered {
        let refusal = match error {
            LineError::TooLong => {
                let max = self.max_line_bytes();
                let message =
                    format!("a request takes at most {max} bytes (max_p2p_line_bytes), its newline included");
                Refusal::new(ErrorCode::FrameTooLarge, message).at(Limit::P2pLineBytes)
            }
            LineError::MoreThanALine => {
                Refusal::new(ErrorCode::InvalidJson, "a request is one line, and nothing comes with it")
            }
        };
        self.refuse(None, &refusal)
    }

    /// The answer to a request that a limit of the server stands against: a rate, or the bytes it may hold.
    pub fn refuse_for(&self, limit: Limit) -> Answered {
        let value = self.options.limits.value(limit);
        let code = match limit {
            Limit::BufferedBytes => ErrorCode::Overloaded,
            _ => ErrorCode::RateLimited,
        };
        let message = format!("{} is {value}; send the request again later", limit.name());
        self.refuse(None, &Refusal::new(code, message).at(limit))
    }

    /// The answer to a request that this node failed at.
    pub fn internal_error(&self) -> Answered {
        self.refuse(None, &Refusal::new(ErrorCode::InternalError, "the node failed at this request"))
    }

    /// Which operation the request asks for, its fields, and whether its caller has full access.
    fn admit<'a>(
        &self,
        request: &'a [u8],
        caller: &Caller<'_>,
        operation: &mut Option<Operation>,
    ) -> Result<(Operation, Fields<'a>, bool), Refusal> {
        let fields = Fields::read(request, self.depth())?;
        let full_access = self.authenticate(&fields, caller)?;
        let asked = fields.string(Field::Op).as_deref().and_then(Operation::parse);
        let asked = asked.ok_or_else(unknown_op)?;
        *operation = Some(asked);
        self.check(asked, &fields, caller, full_access)?;
        Ok((asked, fields, full_access))
    }

    /// Whether the caller has full access. Without the token that is configured there is no access at all.
    fn authenticate(&self, fields: &Fields<'_>, caller: &Caller<'_>) -> Result<bool, Refusal> {
        let Some(remote) = caller.remote else { return Ok(true) };
        let policy = &self.options.policy;
        let token = fields.string(Field::Token);
        if policy.has_token() && !policy.matches(token.as_deref()) {
            let message = "this node has a shared token, and a request carries it as token";
            return Err(Refusal::new(ErrorCode::Unauthorized, message));
        }
        Ok(policy.access(remote, token.as_deref()))
    }

    /// What every operation is checked for: who may ask, what is switched off, what must be there.
    fn check(
        &self,
        operation: Operation,
        fields: &Fields<'_>,
        caller: &Caller<'_>,
        full_access: bool,
    ) -> Result<(), Refusal> {
        let info = operation.info();
        let is_peer = caller.remote.is_some();
        if info.needs == Needs::FullAccess && !full_access {
            return Err(changes_need(operation));
        }
        match info.part {
            Part::Cache if is_peer && !self.options.cache => {
                let message = "peers may not use the cache of this node; p2p_cache lets them";
                return Err(Refusal::new(ErrorCode::CacheDisabled, message));
            }
            Part::Tools if is_peer && !self.options.call_tool => {
                let message = "peers may not call tools of this node; p2p_call_tool lets them";
                return Err(Refusal::new(ErrorCode::ToolsDisabled, message));
            }
            _ => {}
        }
        match info.required.iter().find(|(names, _)| fields.text(names).is_none()) {
            Some((names, code)) => {
                let message = format!("{} needs {}", operation.name(), names[0].name());
                Err(Refusal::new(*code, message))
            }
            None => Ok(()),
        }
    }

    fn status(&self, fields: &Fields<'_>, caller: &Caller<'_>, store: Option<&LocalStore>) -> String {
        let mut json = String::with_capacity(self.status_head.len() + 128);
        json.push('{');
        json.push_str(&self.status_head);
        let detail = self.object(|object| {
            if fields.flag(Field::Detail) {
                let counts = store.map(LocalStore::counts).unwrap_or_default();
                status::write_detail(object, &self.scheduler(caller.now), &counts);
            }
        });
        json.push(',');
        json.push_str(&detail[1..]);
        json
    }

    /// An object that says whose it is.
    pub(super) fn object(&self, write: impl FnOnce(&mut json::Object<'_>)) -> String {
        json::object(|object| {
            write(object);
            object.string("peer_id", &self.options.peer_id);
        })
    }

    fn finish(&self, operation: Option<Operation>, json: String, error: Option<ErrorCode>) -> Answered {
        if json.len() > MAX_ANSWER_BYTES {
            let message = format!("the answer would have {} bytes; {MAX_ANSWER_BYTES} fit", json.len());
            return self.refuse(operation, &Refusal::new(ErrorCode::AnswerTooLarge, message));
        }
        Answered { json: json.into_bytes(), operation: index(operation), error, limit: None }
    }

    fn refuse(&self, operation: Option<Operation>, refusal: &Refusal) -> Answered {
        let json = self.object(|object| {
            object.raw("ok", "false");
            object.string("error", refusal.code.as_str());
            object.maybe("message", refusal.message.as_deref());
        });
        let error = Some(refusal.code);
        Answered { json: json.into_bytes(), operation: index(operation), error, limit: refusal.limit }
    }

    /// What is known of the others now.
    pub(super) fn scheduler(&self, now: super::Now) -> Scheduler {
        let state = lock(&self.state);
        let alive = state.members.alive(now.instant, self.options.peer_timeout).cloned().collect();
        Scheduler { clock: state.clock.clone(), alive }
    }

    pub(super) fn depth(&self) -> usize {
        usize::try_from(self.options.limits.max_json_depth).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for TaskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskQueue").field("options", &self.options).finish_non_exhaustive()
    }
}

fn index(operation: Option<Operation>) -> usize {
    operation.map_or(usize::MAX, |operation| operation as usize)
}

fn unknown_op() -> Refusal {
    Refusal::new(ErrorCode::UnknownOp, format!("op is one of {}", OPERATIONS.join(", ")))
}

fn queue_unavailable() -> Refusal {
    Refusal::new(ErrorCode::QueueUnavailable, "this node has no task queue and no cache")
}

pub(super) fn changes_need(operation: Operation) -> Refusal {
    let message: Cow<'static, str> = format!(
        "{} changes state, which needs the shared token, an allowed peer id, or a loopback listener",
        operation.name()
    )
    .into();
    Refusal::new(ErrorCode::Unauthorized, message)
}
