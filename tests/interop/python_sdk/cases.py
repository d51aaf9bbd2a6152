"""What the checks with the Python SDK share: connections, assertions, and one line a case."""

import asyncio
from contextlib import asynccontextmanager

import mcp.types as types
from mcp import Client, ClientSession
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
async def handshake(url, version, capabilities=None, **callbacks):
    """A connection by an initialize request that names a version which the SDK itself no longer offers first."""
    capabilities = capabilities or types.ClientCapabilities()
    async with streamable_http_client(url) as streams:
        async with ClientSession(streams[0], streams[1], client_info=INFO, **callbacks) as session:
            params = types.InitializeRequestParams(
                protocol_version=version, capabilities=capabilities, client_info=INFO
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


async def run_cases(client_name, cases):
    """Runs each case, a function that returns a coroutine, and returns the exit code."""
    failed = 0
    for name, case in cases.items():
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await case()
            print(f"ok      {client_name}, {name}", flush=True)
        except Exception as error:
            failed += 1
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            print(f"FAILED  {client_name}, {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0
