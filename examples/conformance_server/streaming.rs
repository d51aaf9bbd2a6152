//! Tools that tell the client something before they end: progress and log messages.

use std::time::Duration;

use ringmesh::mcp::{CallError, Context, LogLevel, Tool};
use ringmesh::runtime::sleep;
use serde_json::Value;

use crate::plain::NO_PARAMETERS;

/// Between two notifications, so that they are seen to arrive one by one.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn logging() -> Tool {
    let description = "Sends logging notifications during execution";
    Tool::raw("test_tool_with_logging", description, NO_PARAMETERS, log_three)
}

async fn log_three(_: Value, context: Context) -> Result<&'static str, CallError> {
    context.log(LogLevel::Info, None, "Tool execution started").await;
    sleep(PAUSE).await;
    context.log(LogLevel::Info, None, "Tool processing data").await;
    sleep(PAUSE).await;
    context.log(LogLevel::Info, None, "Tool execution completed").await;
    Ok("Three log messages were sent.")
}

pub(crate) fn progress() -> Tool {
    Tool::raw("test_tool_with_progress", "Reports progress notifications", NO_PARAMETERS, progress_three)
}

async fn progress_three(_: Value, context: Context) -> Result<&'static str, CallError> {
    context.progress(0.0, Some(100.0), None).await;
    sleep(PAUSE).await;
    context.progress(50.0, Some(100.0), None).await;
    sleep(PAUSE).await;
    context.progress(100.0, Some(100.0), None).await;
    Ok("The progress was reported three times.")
}

pub(crate) fn logging_on_request() -> Tool {
    let description = "Emits notifications/message only when logLevel is requested";
    Tool::raw("test_logging_tool", description, NO_PARAMETERS, log_one)
}

async fn log_one(_: Value, context: Context) -> Result<&'static str, CallError> {
    context.log(LogLevel::Info, Some("test_logging_tool"), "The tool was called").await;
    Ok("A log message was sent where one was wanted.")
}
