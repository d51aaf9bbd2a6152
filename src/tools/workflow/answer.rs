//! What a tool answers: an object with `success`, `tool` and `timestamp`.

use std::marker::PhantomData;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::mcp::{CallError, IntoReply, Reply};
use crate::scheduler::FailedAnswer;
use crate::store::StoreError;
use crate::tools::task_queue::Refused;

/// Why a tool refuses.
pub(super) enum Failure {
    /// The store or the scheduler does.
    Store(StoreError),
    /// The tool itself does.
    Tool(Refused),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::Tool(refused)
    }
}

impl Failure {
    fn told(&self) -> FailedAnswer {
        match self {
            Failure::Store(error) => {
                FailedAnswer { success: false, error: error.code(), message: error.to_string() }
            }
            Failure::Tool(refused) => {
                FailedAnswer { success: false, error: refused.error, message: refused.message.clone() }
            }
        }
    }
}

/// An answer with what every answer has.
#[derive(Serialize)]
struct Told<'a, T> {
    #[serde(flatten)]
    answer: T,
    tool: &'a str,
    /// Seconds since 1970.
    timestamp: f64,
}

/// An answer that is described to clients by the type `S`.
pub(super) struct Shaped<S> {
    json: Result<String, serde_json::Error>,
    success: bool,
    shape: PhantomData<S>,
}

impl<S> Shaped<S> {
    /// The answer of a tool.
    pub(super) fn of(tool: &str, answer: Result<impl Serialize, Failure>) -> Shaped<S> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let timestamp = since.map_or(0.0, |since| since.as_secs_f64());
        let success = answer.is_ok();
        let json = match answer {
            Ok(answer) => serde_json::to_string(&Told { answer, tool, timestamp }),
            Err(failure) => serde_json::to_string(&Told { answer: failure.told(), tool, timestamp }),
        };
        Shaped { json, success, shape: PhantomData }
    }
}

impl<S: JsonSchema> IntoReply for Shaped<S> {
    fn output_schema() -> Option<Value> {
        let generator = SchemaSettings::draft2020_12().into_generator();
        Some(generator.into_root_schema_for::<S>().to_value())
    }

    fn into_reply(self) -> Result<Reply, CallError> {
        let json = self.json.map_err(|error| CallError::failed(error.to_string()))?;
        let reply = Reply::structured_text(json);
        Ok(if self.success { reply } else { reply.failed() })
    }
}
