"""Lists and calls the tools of a running server with the official Python SDK, in each era that the SDK speaks.

Usage: client.py URL
"""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import mcp.types as types
from mcp import Client, ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client

TIMEOUT_S = 30
INFO = types.Implementation(name="ringmesh-interop", version="1")


@asynccontextmanager
async def high_level(url, mode, expected):
    """A connection by the SDK's own negotiation."""
    async with Client(url, mode=mode, client_info=INFO, cache=None) as client:
        check(client.protocol_version == expected, f"negotiated {client.protocol_version}, not {expected}")
        yield client


@asynccontextmanager
async def handshake(url, version):
    """A connection by an initialize request that names a version which the SDK itself no longer offers first."""
    async with streamable_http_client(url) as streams:
        async with ClientSession(streams[0], streams[1], client_info=INFO) as session:
            params = types.InitializeRequestParams(
                protocol_version=version, capabilities=types.ClientCapabilities(), client_info=INFO
            )
            request = types.InitializeRequest(params=params)
            result = await session.send_request(request, types.InitializeResult)
            check(result.protocol_version == version, f"negotiated {result.protocol_version}, not {version}")
            session.adopt(result)
            await session.send_notification(types.InitializedNotification())
            yield session


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def text_of(result):
    check(not result.is_error, f"an error: {result.content}")
    check(len(result.content) == 1 and result.content[0].type == "text", f"not one text: {result.content}")
    return result.content[0].text


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


async def main(url):
    cases = {
        "negotiated": lambda: high_level(url, "auto", "2026-07-28"),
        "pinned to 2026-07-28": lambda: high_level(url, "2026-07-28", "2026-07-28"),
        "handshake of 2025-11-25": lambda: high_level(url, "legacy", "2025-11-25"),
        "handshake of 2025-06-18": lambda: handshake(url, "2025-06-18"),
    }
    failed = 0
    for name, connect in cases.items():
        try:
            async with asyncio.timeout(TIMEOUT_S):
                async with connect() as client:
                    await use(client)
            print(f"ok      python sdk, {name}")
        except Exception as error:
            failed += 1
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            print(f"FAILED  python sdk, {name}: {type(error).__name__}: {error}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
