"""Lists and calls the tools of a running server with the official Python SDK, in each era that the SDK speaks.

Usage: client.py URL
"""

import asyncio
import json
import sys

from mcp import MCPError

from cases import check, handshake, high_level, run_cases, text_of


async def refused(call):
    """Whether a call is refused, as a protocol error or as a result that says so."""
    try:
        return (await call).is_error
    except MCPError:
        return True


async def use(client):
    """What any client does first: look round, and call."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    check({"echo", "server_status"} <= tools.keys(), f"tools: {sorted(tools)}")
    schema = tools["echo"].input_schema
    check(schema["type"] == "object" and "message" in schema["properties"], f"schema: {schema}")
    for message in ["hello", "", 'quotes " and \\ and \n', "žluťoučký 🦀", "x" * 100_000]:
        got = text_of(await client.call_tool("echo", {"message": message}))
        check(got == message, f"echo of {message[:30]!r} is {got[:30]!r}")
    status = await client.call_tool("server_status", {})
    check(not status.is_error, f"server_status: {status.content}")
    told = status.structured_content or json.loads(status.content[0].text)
    check("version" in told, f"server_status tells no version: {told}")
    check(await refused(client.call_tool("echo", {"message": 7})), "a number was taken for a message")
    check(await refused(client.call_tool("no_such_tool", {})), "an unknown tool was called")
    texts = await asyncio.gather(*(client.call_tool("echo", {"message": str(i)}) for i in range(50)))
    check([text_of(result) for result in texts] == [str(i) for i in range(50)], "concurrent calls were mixed up")


def case(connect):
    async def run():
        async with connect as client:
            await use(client)

    return run


def main(url):
    return run_cases(
        "python sdk",
        {
            "negotiated": case(high_level(url, "auto", "2026-07-28")),
            "pinned to 2026-07-28": case(high_level(url, "2026-07-28", "2026-07-28")),
            "handshake of 2025-11-25": case(high_level(url, "legacy", "2025-11-25")),
            "handshake of 2025-06-18": case(handshake(url, "2025-06-18")),
        },
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
