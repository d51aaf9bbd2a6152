"""Serves both protocols as outside nodes do: one host for each kind of key, and one that knows only the old dialect.

It prints `listening NAME MULTIADDR` for each, `ready`, and `heartbeat NAME PEER_ID` for each heartbeat that comes in.
"""

import trio
from libp2p.io.exceptions import IncompleteReadError
from libp2p.network.stream.exceptions import StreamError

import json

from wire import ANYWHERE, KEYS, MCP, TASK_QUEUE, host, read_frame, read_line, write_frame, write_line

ECHO = {
    "name": "echo",
    "description": "Returns the message",
    "inputSchema": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
}
OLD = "2024-11-05"
MODERN = "2026-07-28"
VERSION = "io.modelcontextprotocol/protocolVersion"
INFO = {"name": "py-libp2p", "version": "1"}


class Refused(Exception):
    """An error of JSON-RPC; `last` closes the stream."""

    def __init__(self, code, message, last=False):
        super().__init__(message)
        self.error, self.last = {"code": code, "message": message}, last


class Dialect:
    """What one stream speaks, found out from what it opens with."""

    def __init__(self, only_old):
        self.only_old = only_old
        self.ready = False

    def result(self, method, params):
        modern = not self.only_old and VERSION in params.get("_meta", {})
        if method == "initialize":
            return self.initialize(params.get("protocolVersion", OLD))
        if not modern and not self.ready:
            raise Refused(-32000, "init_required", last=True)
        result = self.serve(method, params, modern)
        return {**result, "resultType": "complete"} if modern else result

    def initialize(self, asked):
        self.ready = True
        version = OLD if self.only_old or asked == MODERN else asked
        extra = {"ok": True, "transport": MCP} if version == OLD else {}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": INFO, **extra}

    def serve(self, method, params, modern):
        lasting = {"ttlMs": 0, "cacheScope": "private"} if modern else {}
        if method == "server/discover" and modern:
            return {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, **lasting}
        if method == "ping":
            return {}
        if method in ("tools/list", "tools.list"):
            return {"tools": [ECHO], **lasting}
        if method in ("tools/call", "tools.call") and params.get("name") == "echo":
            return {"content": [{"type": "text", "text": params["arguments"]["message"]}]}
        raise Refused(-32601, f"{method} is not known here")


def serve_mcp(only_old):
    async def handler(stream):
        dialect = Dialect(only_old)
        try:
            while True:
                message = await read_frame(stream)
                if "id" not in message or "method" not in message:
                    continue
                answer = {"jsonrpc": "2.0", "id": message["id"]}
                try:
                    result = dialect.result(message["method"], message.get("params") or {})
                    await write_frame(stream, {**answer, "result": result})
                except Refused as refused:
                    await write_frame(stream, {**answer, "error": refused.error})
                    if refused.last:
                        return
        except (IncompleteReadError, StreamError):
            pass
        finally:
            await close(stream)

    return handler


def serve_task_queue(name, node):
    async def handler(stream):
        try:
            line, _ = await read_line(stream)
            request = json.loads(line)
            answer = {"ok": True, "peer_id": str(node.get_id())}
            if request.get("op") in ("heartbeat", "peer.heartbeat", "peer"):
                peer = str(stream.muxed_conn.peer_id)
                answer.update(peer=peer, scheduler={"clock": None, "known_peers": []})
                print(f"heartbeat {name} {peer}", flush=True)
            elif request.get("op") == "status":
                answer.update(capabilities={}, nat={}, session="")
            else:
                answer.update(ok=False, error="unknown_op")
            await write_line(stream, answer)
        except (StreamError, ValueError):
            pass
        finally:
            await close(stream)

    return handler


async def close(stream):
    try:
        await stream.close()
    except StreamError:
        pass


async def serve(name, kind, only_old, started):
    node = host(kind)
    node.set_stream_handler(MCP, serve_mcp(only_old))
    node.set_stream_handler(TASK_QUEUE, serve_task_queue(name, node))
    async with node.run([ANYWHERE]):
        address = str(node.get_transport_addrs()[0])
        print(f"listening {name} {address.split('/p2p/')[0]}/p2p/{node.get_id()}", flush=True)
        started()
        await trio.sleep_forever()


async def main():
    async with trio.open_nursery() as nursery:
        for name, kind, only_old in [*((kind, kind, False) for kind in KEYS), ("old", "ed25519", True)]:
            up = trio.Event()
            nursery.start_soon(serve, name, kind, only_old, up.set)
            await up.wait()
        print("ready", flush=True)


if __name__ == "__main__":
    trio.run(main)
