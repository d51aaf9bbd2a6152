// Serves both protocols as outside nodes do: one node for each kind of key, and one that knows only the old dialect.
//
// It prints `listening NAME MULTIADDR` for each, `ready`, and `heartbeat NAME PEER_ID` for each heartbeat that comes in.

import { KEYS, MAX_STREAMS, MCP, TASK_QUEUE, frames, lines, node } from './wire.mjs';

const OLD = '2024-11-05';
const MODERN = '2026-07-28';
const VERSION = 'io.modelcontextprotocol/protocolVersion';
const ECHO = {
  name: 'echo',
  description: 'Returns the message',
  inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] }
};
const capabilities = { tools: {} };

/** What one stream speaks, found out from what it opens with. Each answer is a result, or an error with its code. */
function dialect(onlyOld) {
  let ready = false;
  const initialize = (asked = OLD) => {
    ready = true;
    const protocolVersion = onlyOld || asked === MODERN ? OLD : asked;
    const extra = protocolVersion === OLD ? { ok: true, transport: MCP } : {};
    return { protocolVersion, capabilities, serverInfo: { name: 'js-libp2p', version: '1' }, ...extra };
  };
  const serve = (method, params, lasting) => {
    if (method === 'server/discover' && lasting) return { supportedVersions: [MODERN], capabilities, ...lasting };
    if (method === 'ping') return {};
    if (method === 'tools/list' || method === 'tools.list') return { tools: [ECHO], ...lasting };
    if (!['tools/call', 'tools.call'].includes(method) || params.name !== 'echo') return undefined;
    return { content: [{ type: 'text', text: params.arguments.message }] };
  };
  return (method, params = {}) => {
    if (method === 'initialize') return { result: initialize(params.protocolVersion) };
    const modern = !onlyOld && VERSION in (params._meta ?? {});
    if (!modern && !ready) return { error: { code: -32000, message: 'init_required' } };
    const result = serve(method, params, modern ? { ttlMs: 0, cacheScope: 'private' } : undefined);
    if (result === undefined) return { error: { code: -32601, message: `${method} is not known here` } };
    return { result: modern ? { ...result, resultType: 'complete' } : result };
  };
}

const serveMcp = (onlyOld) => async (stream) => {
  const answer = dialect(onlyOld);
  const { read, write } = frames(stream);
  try {
    for (;;) {
      const { id, method, params } = await read();
      if (id === undefined || method === undefined) continue;
      const message = { jsonrpc: '2.0', id, ...answer(method, params) };
      await write(message);
      if (message.error?.code === -32000) break;
    }
    await stream.close();
  } catch {
    // The other side ended it.
    await stream.close().catch(() => {});
  }
};

const serveTaskQueue = (name, peer) => async (stream, connection) => {
  const { read, write } = lines(stream);
  try {
    const { op } = JSON.parse(await read());
    const answer = { ok: true, peer_id: peer.peerId.toString() };
    if (['heartbeat', 'peer.heartbeat', 'peer'].includes(op)) {
      const from = connection.remotePeer.toString();
      Object.assign(answer, { peer: from, scheduler: { clock: null, known_peers: [] } });
      console.log(`heartbeat ${name} ${from}`);
    } else if (op === 'status') Object.assign(answer, { capabilities: {}, nat: {}, session: '' });
    else Object.assign(answer, { ok: false, error: 'unknown_op' });
    await write(answer);
    await stream.close();
  } catch (error) {
    stream.abort(error);
  }
};

for (const [name, kind] of [...Object.keys(KEYS).map((kind) => [kind, kind]), ['old', 'ed25519']]) {
  const peer = await node(kind);
  await peer.handle(MCP, serveMcp(name === 'old'), { maxInboundStreams: MAX_STREAMS });
  await peer.handle(TASK_QUEUE, serveTaskQueue(name, peer), { maxInboundStreams: MAX_STREAMS });
  console.log(`listening ${name} ${peer.getMultiaddrs()[0]}`);
}
console.log('ready');
