//! Tools that change what others see: the lists, a resource, the stream of their own call.

use std::time::Duration;

use ringmesh::mcp::{Context, Tool};
use ringmesh::runtime::sleep;
use serde_json::Value;

use crate::plain::NO_PARAMETERS;
use crate::resources::WATCHED;

/// How long the call goes on after its stream was closed.
const AWAY: Duration = Duration::from_millis(100);

pub(crate) fn reconnection() -> Tool {
    Tool::raw(
        "test_reconnection",
        "Tests SSE reconnection behavior",
        NO_PARAMETERS,
        |_: Value, context: Context| async move {
            context.close_stream();
            sleep(AWAY).await;
            Ok("Reconnection test completed successfully.")
        },
    )
}

pub(crate) fn tool_change() -> Tool {
    Tool::raw(
        "test_trigger_tool_change",
        "Triggers a tools/list_changed notification on matching subscriptions",
        NO_PARAMETERS,
        |_: Value, context: Context| async move {
            context.registry().tools_changed();
            Ok("The list of tools was announced as changed.")
        },
    )
}

pub(crate) fn prompt_change() -> Tool {
    Tool::raw(
        "test_trigger_prompt_change",
        "Triggers a prompts/list_changed notification on matching subscriptions",
        NO_PARAMETERS,
        |_: Value, context: Context| async move {
            context.registry().prompts_changed();
            Ok("The list of prompts was announced as changed.")
        },
    )
}

pub(crate) fn resource_change() -> Tool {
    Tool::raw(
        "test_trigger_resource_change",
        "Triggers resources/list_changed, and resources/updated for test://watched-resource",
        NO_PARAMETERS,
        |_: Value, context: Context| async move {
            context.registry().resources_changed();
            context.registry().resource_updated(WATCHED);
            Ok("The list of resources and the watched resource were announced as changed.")
        },
    )
}
