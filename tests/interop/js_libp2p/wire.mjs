// Nodes of js-libp2p with keys of each kind, and the two protocols: frames of MCP, lines of the task queue.

import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify, identifyPush } from '@libp2p/identify';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { byteStream } from '@libp2p/utils';
import { createLibp2p } from 'libp2p';

export const MCP = '/mcp+p2p/1.0.0';
export const TASK_QUEUE = '/ipfs-datasets/task-queue/1.0.0';
export const MAX_STREAMS = 256;

export const KEYS = {
  ed25519: () => generateKeyPair('Ed25519'),
  secp256k1: () => generateKeyPair('secp256k1'),
  rsa: () => generateKeyPair('RSA', 2048)
};

/** A node with a new key of that kind, listening on a free port. */
export async function node(kind) {
  return createLibp2p({
    privateKey: await KEYS[kind](),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Its default takes five connections a second from one host.
    connectionManager: { inboundConnectionThreshold: 1_000 },
    connectionMonitor: { enabled: false },
    services: { identify: identify({ runOnConnectionOpen: false }), identifyPush: identifyPush(), ping: ping() }
  });
}

/** Frames on a stream: a length in four bytes, big-endian, and so many bytes of JSON. */
export function frames(stream) {
  const bytes = byteStream(stream);
  return {
    async write(message) {
      const body = Buffer.from(JSON.stringify(message));
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      await bytes.write(Buffer.concat([length, body]));
    },
    async read() {
      const length = Buffer.from((await bytes.read({ bytes: 4 })).subarray()).readUInt32BE();
      return JSON.parse(Buffer.from((await bytes.read({ bytes: length })).subarray()).toString());
    },
    rest: async () => (await bytes.read())?.byteLength ?? 0
  };
}

/** One line on a stream, and how many bytes stand behind it. */
export function lines(stream) {
  const bytes = byteStream(stream);
  let data = Buffer.alloc(0);
  return {
    write: (message) => bytes.write(Buffer.from(typeof message === 'string' ? message : `${JSON.stringify(message)}\n`)),
    async read() {
      while (!data.includes(10)) {
        const part = await bytes.read();
        if (part === null) return null;
        data = Buffer.concat([data, part.subarray()]);
      }
      const end = data.indexOf(10);
      const line = data.subarray(0, end).toString();
      data = data.subarray(end + 1);
      return line;
    },
    rest: async () => data.length + ((await bytes.read())?.byteLength ?? 0)
  };
}
