"""Uses every primitive of a running `examples/conformance_server` with the official Python SDK, in each era it speaks.

Usage: features.py URL
"""

import asyncio
import sys
import warnings

import mcp.types as types
from mcp import Client, MCPDeprecationWarning, MCPError

from cases import INFO, check, handshake, run_cases, text_of

# What is deprecated in the newest revision is served all the same.
warnings.simplefilter("ignore", MCPDeprecationWarning)

WATCHED = "test://watched-resource"
ROOT = types.Root(uri="file:///interop/root", name="root")
RESOURCE_NOT_FOUND = -32002


class Person:
    """Answers what the server asks, and keeps what it tells."""

    def __init__(self):
        self.logs = []
        self.told = []
        self.asked = []

    async def elicit(self, context, params):
        self.asked.append("elicitation")
        values = {"username": "alice", "email": "alice@example.com", "name": "Alice", "color": "blue", "ok": True,
                  "confirmed": True, "context": "interop"}
        wanted = params.requested_schema["properties"]
        return types.ElicitResult(action="accept", content={key: values[key] for key in wanted})

    async def sample(self, context, params):
        self.asked.append("sampling")
        content = types.TextContent(type="text", text=f"sampled: {params.messages[0].content.text}")
        return types.CreateMessageResult(role="assistant", content=content, model="interop", stop_reason="endTurn")

    async def roots(self, context):
        self.asked.append("roots")
        return types.ListRootsResult(roots=[ROOT])

    async def log(self, params):
        self.logs.append(params)

    async def notice(self, message):
        self.told.append(message)

    def callbacks(self):
        return {
            "elicitation_callback": self.elicit,
            "sampling_callback": self.sample,
            "list_roots_callback": self.roots,
            "logging_callback": self.log,
            "message_handler": self.notice,
        }

    async def hears(self, *kinds):
        """Waits until each kind of notification has come."""
        for _ in range(100):
            if all(any(isinstance(message, kind) for message in self.told) for kind in kinds):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"not all of {kinds} came, only {self.told}")


async def refusal(call):
    """The error that a call is answered with."""
    try:
        await call
    except MCPError as error:
        return error
    raise AssertionError("an error was expected")


async def resources(client, modern):
    listed = {str(resource.uri): resource for resource in (await client.list_resources()).resources}
    check({"test://static-text", "test://static-binary", WATCHED} <= listed.keys(), f"resources: {sorted(listed)}")
    check(listed["test://static-text"].mime_type == "text/plain", "the text's type")
    templates = (await client.list_resource_templates()).resource_templates
    check([t.uri_template for t in templates] == ["test://template/{id}/data"], f"templates: {templates}")
    text = (await client.read_resource("test://static-text")).contents[0]
    check(text.text == "This is the content of the static text resource.", f"text: {text}")
    binary = (await client.read_resource("test://static-binary")).contents[0]
    check(binary.mime_type == "image/png" and binary.blob.startswith("iVBORw0KGgo"), f"binary: {binary}")
    filled = (await client.read_resource("test://template/a%20b/data")).contents[0]
    check('"id":"a b"' in filled.text, f"template: {filled}")
    error = await refusal(client.read_resource("test://nowhere"))
    check(error.error.code == (types.INVALID_PARAMS if modern else RESOURCE_NOT_FOUND), f"not found: {error.error}")


async def prompts(client):
    listed = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
    arguments = {argument.name: argument.required for argument in listed["test_prompt_with_arguments"].arguments}
    check(arguments == {"arg1": True, "arg2": False}, f"arguments: {arguments}")
    simple = await client.get_prompt("test_simple_prompt")
    check(simple.messages[0].content.text == "This is a simple prompt for testing.", f"prompt: {simple}")
    filled = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    check("arg1='a', arg2='b'" in filled.messages[0].content.text, f"prompt: {filled}")
    image = await client.get_prompt("test_prompt_with_image")
    check(image.messages[0].content.type == "image", f"prompt: {image}")
    error = await refusal(client.get_prompt("test_prompt_with_arguments", {}))
    check(error.error.code == types.INVALID_PARAMS, f"a required argument is missing: {error.error}")
    reference = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
    completed = await client.complete(reference, {"name": "arg1", "value": "par"})
    check(completed.completion.values == ["paris", "park", "party"], f"completion: {completed}")


async def questions(client, person, elicits):
    answer = text_of(await client.call_tool("test_sampling", {"prompt": "Say hello"}))
    check("sampled: Say hello" in answer, f"sampling: {answer}")
    answer = text_of(await client.call_tool("test_input_required_result_list_roots", {}))
    check("file:///interop/root" in answer, f"roots: {answer}")
    elicitation = client.call_tool("test_elicitation", {"message": "Who are you?"})
    if not elicits:
        error = await refusal(elicitation)
        check("elicitation" in error.error.message, f"a missing capability: {error.error}")
        return
    answer = text_of(await elicitation)
    check("alice@example.com" in answer, f"elicitation: {answer}")
    answer = text_of(await client.call_tool("test_input_required_result_multi_round", {}))
    check(answer == "Alice likes blue.", f"rounds: {answer}")
    person.asked.clear()
    await client.call_tool("test_input_required_result_multiple_inputs", {})
    check(sorted(person.asked) == ["elicitation", "roots", "sampling"], f"asked at once: {person.asked}")


async def streams(client, person, modern):
    steps = []

    async def progressed(progress, total, message):
        steps.append((progress, total))

    await client.call_tool("test_tool_with_progress", {}, progress_callback=progressed)
    check(steps == [(0, 100), (50, 100), (100, 100)], f"progress: {steps}")
    if not modern:
        await client.set_logging_level("warning")
        await client.call_tool("test_tool_with_logging", {})
        check(not person.logs, f"less serious than asked for: {person.logs}")
        await client.set_logging_level("info")
    person.logs.clear()
    await client.call_tool("test_tool_with_logging", {})
    texts = [log.data for log in person.logs]
    check(texts == ["Tool execution started", "Tool processing data", "Tool execution completed"], f"logs: {texts}")
    if not modern:
        answer = text_of(await client.call_tool("test_reconnection", {}))
        check("Reconnection" in answer, f"resumed: {answer}")


async def changes(client, person, modern):
    changed = (types.ToolListChangedNotification, types.PromptListChangedNotification,
               types.ResourceListChangedNotification, types.ResourceUpdatedNotification)
    triggers = ["test_trigger_tool_change", "test_trigger_prompt_change", "test_trigger_resource_change"]
    if not modern:
        await client.subscribe_resource(WATCHED)
        for trigger in triggers:
            await client.call_tool(trigger, {})
        await person.hears(*changed)
        await client.unsubscribe_resource(WATCHED)
        return
    asked = {"tools_list_changed": True, "prompts_list_changed": True, "resources_list_changed": True}
    async with client.listen(**asked, resource_subscriptions=[WATCHED]) as subscription:
        for trigger in triggers:
            await client.call_tool(trigger, {})
        kinds = {type(await anext(subscription)).__name__ for _ in changed}
    check(kinds == {"ToolsListChanged", "PromptsListChanged", "ResourcesListChanged", "ResourceUpdated"}, f"{kinds}")


async def use(client, person, modern, elicits):
    await resources(client, modern)
    await prompts(client)
    await questions(client, person, elicits)
    await streams(client, person, modern)
    await changes(client, person, modern)


def case(url, connect, modern=False, elicits=True):
    async def run():
        person = Person()
        async with connect(url, person) as client:
            await use(client, person, modern, elicits)

    return run


def modern(url, person):
    return Client(url, mode="2026-07-28", client_info=INFO, cache=None, log_level="info", **person.callbacks())


def legacy(url, person):
    return Client(url, mode="legacy", client_info=INFO, cache=None, **person.callbacks())


def pinned(version, elicits=True):
    capabilities = types.ClientCapabilities(
        elicitation=types.ElicitationCapability() if elicits else None,
        sampling=types.SamplingCapability(),
        roots=types.RootsCapability(list_changed=True),
    )
    return lambda url, person: handshake(url, version, capabilities, **person.callbacks())


def main(url):
    return run_cases(
        "python sdk",
        {
            "every primitive in 2026-07-28": case(url, modern, modern=True),
            "every primitive in 2025-11-25": case(url, legacy),
            "every primitive in 2025-06-18": case(url, pinned("2025-06-18")),
            "every primitive in 2025-03-26": case(url, pinned("2025-03-26", elicits=False), elicits=False),
            "every primitive in 2024-11-05": case(url, pinned("2024-11-05", elicits=False), elicits=False),
        },
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
