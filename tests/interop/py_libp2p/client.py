"""Uses a running node with py-libp2p: keys of each kind, both protocols, and what goes wrong on purpose.

Usage: client.py MULTIADDR...
"""

import json
import logging
import sys

import trio
from libp2p.custom_types import TProtocol
from libp2p.host.ping import ID as PING
from libp2p.host.ping import perform_ping_roundtrip
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push.identify_push import ID_PUSH, push_identify_to_peer
from libp2p.io.exceptions import IncompleteReadError
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from libp2p.utils.varint import read_length_prefixed_protobuf
from multiaddr import Multiaddr

from wire import ANYWHERE, KEYS, MCP, TASK_QUEUE, host, read_frame, read_line, write_frame, write_line

TIMEOUT_S = 30
STREAMS = 100
MEGABYTE = "x" * 1_000_000
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def check(condition, message):
    if not condition:
        raise AssertionError(str(message)[:500])


def request(id, method, **params):
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def echo(id, message):
    return request(id, "tools/call", name="echo", arguments={"message": message}, _meta=META)


async def answer_to(stream, message):
    await write_frame(stream, message)
    answer = await read_frame(stream)
    check(answer["id"] == message["id"] and answer["jsonrpc"] == "2.0", answer)
    return answer


def check_echo(answer, text):
    result = answer.get("result", {})
    check(result.get("content") == [{"type": "text", "text": text}], answer)
    check(result["resultType"] == "complete", result)


async def ends(stream):
    """Whether the other side sends nothing more and ends the stream."""
    try:
        return await stream.read(1) == b""
    except (IncompleteReadError, StreamError):
        return True


async def identify(node, peer):
    stream = await node.new_stream(peer.peer_id, [IDENTIFY])
    told = Identify()
    told.ParseFromString(await read_length_prefixed_protobuf(stream, True))
    protocols = set(told.protocols)
    check({MCP, TASK_QUEUE, IDENTIFY, ID_PUSH, PING} <= protocols, protocols)
    check(told.agent_version.startswith("ringmesh/"), told.agent_version)
    check(ID.from_pubkey(_public(told.public_key)) == peer.peer_id, "identify tells another key")
    listens = {str(Multiaddr(address)).split("/p2p/")[0] for address in told.listen_addrs}
    check(str(peer.addrs[0]).split("/p2p/")[0] in listens, listens)
    check(Multiaddr(told.observed_addr).value_for_protocol("tcp"), "no observed address")


def _public(encoded):
    from libp2p.crypto.serialization import deserialize_public_key

    return deserialize_public_key(encoded)


async def ping(node, peer):
    stream = await node.new_stream(peer.peer_id, [PING])
    for _ in range(3):
        check(await perform_ping_roundtrip(stream) >= 0, "no round trip")
    await stream.close()


async def identify_push(node, peer):
    check(await push_identify_to_peer(node, peer.peer_id), "the push was not taken")
    await ping(node, peer)


async def modern(node, peer):
    stream = await node.new_stream(peer.peer_id, [MCP])
    tools = (await answer_to(stream, request("list", "tools/list", _meta=META)))["result"]["tools"]
    names = {tool["name"] for tool in tools}
    check("echo" in names and "task_queue.rpc" not in names, names)
    for id in range(20):
        await write_frame(stream, echo(id, f"text {id}"))
    answers = {answer["id"]: answer for answer in [await read_frame(stream) for _ in range(20)]}
    for id in range(20):
        check_echo(answers[id], f"text {id}")
    unknown = await answer_to(stream, request(99, "no/such", _meta=META))
    check(unknown["error"]["code"] == -32601, unknown)
    await stream.close()


async def old_peer(node, peer):
    stream = await node.new_stream(peer.peer_id, [MCP])
    info = {"name": "ipfs-accelerate-taskqueue-client", "version": "1.0.0"}
    opened = (await answer_to(stream, request(1, "initialize", clientInfo=info, profiles=["mcp++/p2p-transport"])))["result"]
    check(opened["ok"] is True and opened["protocolVersion"] == "2024-11-05", opened)
    check(opened["transport"] == MCP and opened["server"]["peer_id"] == str(peer.peer_id), opened)
    check(opened["limits"]["max_frame_bytes"] > 0, opened)
    for arguments in [{"op": "status", "timeout_s": 10.0, "detail": True}, {"request": {"op": "status", "detail": True}}]:
        status = await answer_to(stream, request(1, "tools/call", name="task_queue.rpc", arguments=arguments))
        told = status["result"]["content"]
        check(told["ok"] is True and told["peer_id"] == str(peer.peer_id), told)
        check("queued" in told["queue"] and "clock" in told["scheduler"], told)
    listed = await answer_to(stream, request("a", "tools.list"))
    check(any(tool["name"] == "echo" for tool in listed["result"]["tools"]), listed)
    called = await answer_to(stream, request("b", "tools.call", name="echo", arguments={"message": "old"}))
    check(called["result"]["content"] == [{"type": "text", "text": "old"}], called)
    await stream.close()
    # Whoever asks before the handshake is told so, once.
    stream = await node.new_stream(peer.peer_id, [MCP])
    refused = await answer_to(stream, request(1, "tools/list"))
    check(refused["error"] == {**refused["error"], "code": -32000, "message": "init_required"}, refused)
    check(await ends(stream), "the stream goes on after init_required")


async def ask_line(node, peer, message):
    stream = await node.new_stream(peer.peer_id, [TASK_QUEUE])
    await (stream.write(message) if isinstance(message, bytes) else write_line(stream, message))
    line, rest = await read_line(stream)
    check(line and rest == b"" and await ends(stream), f"{line[:200]} then {rest[:200]}")
    return json.loads(line)


async def task_queue(node, peer):
    status = await ask_line(node, peer, {"op": "status", "detail": False})
    check(status["ok"] is True and status["peer_id"] == str(peer.peer_id), status)
    check({"capabilities", "nat", "session"} <= status.keys(), status)
    beat = await ask_line(node, peer, {"op": "heartbeat", "peer_id": "somebody", "clock": None})
    check(beat["ok"] is True and beat["peer"] == "somebody" and "known_peers" in beat["scheduler"], beat)
    for message, error in [
        ({"op": "nonsense"}, "unknown_op"),
        (b"[]\n", "invalid_message"),
        (b"{\n", "invalid_json"),
        ({"op": "call_tool", "tool": "echo", "args": {"message": "x"}}, "tools_disabled"),
        ({"op": "cache.get", "key": "x"}, "cache_disabled"),
    ]:
        told = await ask_line(node, peer, message)
        check(told["ok"] is False and told["error"] == error and told["peer_id"] == str(peer.peer_id), told)


async def megabyte(node, peer):
    stream = await node.new_stream(peer.peer_id, [MCP])
    for id in range(3):
        check_echo(await answer_to(stream, echo(id, MEGABYTE)), MEGABYTE)
    await stream.close()
    told = await ask_line(node, peer, {"op": "nonsense", "padding": MEGABYTE})
    check(told["error"] == "unknown_op", told)


async def hundred_streams(node, peer):
    """All are open before the first one asks, and all ask before the first one reads."""
    streams = [await node.new_stream(peer.peer_id, [MCP]) for _ in range(STREAMS)]
    for id, stream in enumerate(streams):
        await write_frame(stream, echo(id, f"stream {id}"))

    async def finish(id, stream):
        check_echo(await read_frame(stream), f"stream {id}")
        await stream.close()

    async with trio.open_nursery() as nursery:
        for id, stream in enumerate(streams):
            nursery.start_soon(finish, id, stream)
    async with trio.open_nursery() as nursery:
        for _ in range(STREAMS):
            nursery.start_soon(ask_line, node, peer, {"op": "status"})


async def not_offered(node, peer):
    try:
        await node.new_stream(peer.peer_id, [TProtocol("/no/such/protocol")])
    except Exception:
        return await ping(node, peer)
    raise AssertionError("a protocol that nobody serves was agreed on")


async def wrong_peer(peer):
    node = host("ed25519")
    async with node.run([ANYWHERE]):
        other = PeerInfo(host("ed25519").get_id(), peer.addrs)
        try:
            await node.connect(other)
        except Exception:
            return
    raise AssertionError("connected to a peer that proved another id")


async def connected(kind, address, case):
    node = host(kind)
    async with node.run([ANYWHERE]):
        peer = info_from_p2p_addr(Multiaddr(address))
        await node.connect(peer)
        await case(node, peer)


def cases(addresses):
    """Every kind of key meets what every peer does, and one kind the rest."""
    first = addresses[0]
    usual = [identify, ping, modern, old_peer, task_queue]
    for kind in KEYS:
        for case in usual:
            yield f"{kind}, {case.__name__}", lambda kind=kind, case=case: connected(kind, first, case)
    for case in [megabyte, hundred_streams, identify_push, not_offered]:
        yield case.__name__, lambda case=case: connected("ed25519", first, case)
    yield "wrong peer id", lambda: wrong_peer(info_from_p2p_addr(Multiaddr(first)))
    for address in addresses[1:]:
        yield f"task_queue at {address.split('/p2p/')[0]}", lambda: connected("ed25519", address, task_queue)


async def main(addresses):
    # It logs what is refused on purpose.
    logging.getLogger("libp2p").setLevel(logging.CRITICAL)
    passed = failed = 0
    for name, case in cases(addresses):
        try:
            with trio.fail_after(TIMEOUT_S):
                await case()
            passed += 1
            print(f"ok      py-libp2p, {name}", flush=True)
        except Exception as error:
            failed += 1
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            print(f"FAILED  py-libp2p, {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(trio.run(main, sys.argv[1:]))
