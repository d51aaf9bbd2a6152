"""Hosts of py-libp2p with keys of each kind, and the two protocols: frames of MCP, lines of the task queue."""

import json
import struct

import multiaddr
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair as ed25519
from libp2p.crypto.rsa import create_new_key_pair as rsa
from libp2p.crypto.secp256k1 import create_new_key_pair as secp256k1
from libp2p.custom_types import TProtocol
from libp2p.io.utils import read_exactly
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.crypto.x25519 import create_new_key_pair as x25519

MCP = TProtocol("/mcp+p2p/1.0.0")
TASK_QUEUE = TProtocol("/ipfs-datasets/task-queue/1.0.0")
KEYS = {"ed25519": ed25519, "secp256k1": secp256k1, "rsa": lambda: rsa(2048)}
ANYWHERE = multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")
LINE_LIMIT = 1 << 20


def host(kind):
    """A host with a new key of that kind, which speaks nothing but Noise and Yamux."""
    keys = KEYS[kind]()
    noise = NoiseTransport(libp2p_keypair=keys, noise_privkey=x25519().private_key)
    return new_host(key_pair=keys, sec_opt={NOISE: noise}, muxer_preference="YAMUX", listen_addrs=[ANYWHERE])


async def write_frame(stream, message):
    body = json.dumps(message).encode()
    await stream.write(struct.pack(">I", len(body)) + body)


async def read_frame(stream):
    (length,) = struct.unpack(">I", await read_exactly(stream, 4))
    return json.loads(await read_exactly(stream, length))


async def write_line(stream, message):
    await stream.write(json.dumps(message).encode() + b"\n")


async def read_line(stream):
    """The line and what came after it; the line is empty where the stream ended without one."""
    data = b""
    while b"\n" not in data and len(data) <= LINE_LIMIT:
        part = await stream.read(4096)
        if not part:
            return b"", data
        data += part
    line, _, rest = data.partition(b"\n")
    return line, rest
