// Uses a running node with js-libp2p: keys of each kind, both protocols, and what goes wrong on purpose.
// Usage: client.mjs MULTIADDR...

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';

import { KEYS, MAX_STREAMS, MCP, TASK_QUEUE, frames, lines, node } from './wire.mjs';

const TIMEOUT_MS = 30_000;
const STREAMS = 200;
const MEGABYTE = 'x'.repeat(1_000_000);
const _meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {}
};

const request = (id, method, params = {}) => ({ jsonrpc: '2.0', id, method, params });
const echo = (id, message) => request(id, 'tools/call', { name: 'echo', arguments: { message }, _meta });
const idOf = (address) => address.split('/p2p/')[1];

async function ask({ write, read }, message) {
  await write(message);
  const answer = await read();
  assert.equal(answer.jsonrpc, '2.0');
  assert.equal(answer.id, message.id);
  return answer;
}

function checkEcho({ result }, text) {
  assert.deepEqual(result?.content, [{ type: 'text', text }]);
  assert.equal(result.resultType, 'complete');
}

/** Streams of one protocol to the node, as many at once as this library is willing to open. */
const open = ({ connection }, protocol) => connection.newStream(protocol, { maxOutboundStreams: MAX_STREAMS });

const ended = (stream) => stream.rest().then((bytes) => bytes === 0, () => true);

async function identify({ peer, connection, address }) {
  const told = await peer.services.identify.identify(connection);
  for (const protocol of [MCP, TASK_QUEUE, '/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', '/ipfs/ping/1.0.0']) {
    assert(told.protocols.includes(protocol), `${protocol} is not in ${told.protocols}`);
  }
  assert.match(told.agentVersion, /^ringmesh\//);
  assert.equal(told.peerId.toString(), idOf(address));
  const listens = told.listenAddrs.map((listen) => listen.toString().split('/p2p/')[0]);
  assert(listens.includes(address.split('/p2p/')[0]), `${address} is not in ${listens}`);
  assert(told.observedAddr, 'no observed address');
}

async function ping({ peer, connection }) {
  for (let i = 0; i < 3; i += 1) assert((await peer.services.ping.ping(connection.remotePeer)) >= 0);
}

async function identifyPush(world) {
  await world.peer.services.identifyPush.push();
  await ping(world);
}

async function modern(world) {
  const stream = await open(world, MCP);
  const wire = frames(stream);
  const { tools } = (await ask(wire, request('list', 'tools/list', { _meta }))).result;
  assert(tools.some(({ name }) => name === 'echo') && !tools.some(({ name }) => name === 'task_queue.rpc'));
  const ids = Array.from({ length: 20 }, (_, id) => id);
  for (const id of ids) await wire.write(echo(id, `text ${id}`));
  const answers = new Map();
  for (const _ of ids) {
    const answer = await wire.read();
    answers.set(answer.id, answer);
  }
  for (const id of ids) checkEcho(answers.get(id), `text ${id}`);
  assert.equal((await ask(wire, request(99, 'no/such', { _meta }))).error.code, -32601);
  await stream.close();
}

async function oldPeer(world) {
  const stream = await open(world, MCP);
  const wire = frames(stream);
  const opened = (await ask(wire, request(1, 'initialize', { profiles: ['mcp++/p2p-transport'] }))).result;
  assert(opened.ok && opened.protocolVersion === '2024-11-05' && opened.transport === MCP, JSON.stringify(opened));
  assert.equal(opened.server.peer_id, idOf(world.address));
  const call = { name: 'task_queue.rpc', arguments: { op: 'status', detail: true } };
  const { content } = (await ask(wire, request(1, 'tools/call', call))).result;
  assert(content.ok && content.peer_id === idOf(world.address) && 'queued' in content.queue, JSON.stringify(content));
  const called = await ask(wire, request('b', 'tools.call', { name: 'echo', arguments: { message: 'old' } }));
  assert.deepEqual(called.result.content, [{ type: 'text', text: 'old' }]);
  await stream.close();
  const hasty = frames(await open(world, MCP));
  const refused = await ask(hasty, request(1, 'tools/list'));
  assert.equal(refused.error.code, -32000);
  assert.equal(refused.error.message, 'init_required');
  assert(await ended(hasty), 'the stream goes on after init_required');
}

async function askLine(world, message) {
  const wire = lines(await open(world, TASK_QUEUE));
  await wire.write(message);
  const line = await wire.read();
  assert(line !== null && (await ended(wire)), `${line} and then more`);
  return JSON.parse(line);
}

async function taskQueue(world) {
  const status = await askLine(world, { op: 'status' });
  assert(status.ok && status.peer_id === idOf(world.address) && status.capabilities, JSON.stringify(status));
  const beat = await askLine(world, { op: 'heartbeat', peer_id: 'somebody', clock: null });
  assert(beat.ok && beat.peer === 'somebody' && beat.scheduler.known_peers, JSON.stringify(beat));
  const refused = { '{"op":"nonsense"}\n': 'unknown_op', '[]\n': 'invalid_message', '{\n': 'invalid_json' };
  for (const [line, error] of Object.entries(refused)) {
    const told = await askLine(world, line);
    assert(told.ok === false && told.error === error, JSON.stringify(told));
  }
}

async function megabyte(world) {
  const stream = await open(world, MCP);
  const wire = frames(stream);
  for (const id of [1, 2, 3]) checkEcho(await ask(wire, echo(id, MEGABYTE)), MEGABYTE);
  await stream.close();
  const told = await askLine(world, { op: 'nonsense', padding: MEGABYTE });
  assert.equal(told.error, 'unknown_op');
}

/** All are open before the first one asks, and all ask before the first one reads. */
async function twoHundredStreams(world) {
  const ids = Array.from({ length: STREAMS }, (_, id) => id);
  const streams = await Promise.all(ids.map(() => open(world, MCP)));
  const wires = streams.map(frames);
  await Promise.all(wires.map((wire, id) => wire.write(echo(id, `stream ${id}`))));
  await Promise.all(wires.map(async (wire, id) => checkEcho(await wire.read(), `stream ${id}`)));
  await Promise.all(streams.map((stream) => stream.close()));
  const told = await Promise.all(ids.map(() => askLine(world, { op: 'status' })));
  assert(told.every(({ ok }) => ok));
}

async function notOffered(world) {
  await assert.rejects(open(world, '/no/such/protocol').then((stream) => frames(stream).read()));
  await ping(world);
}

async function wrongPeer({ peer, address }) {
  const stranger = peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
  const dialled = multiaddr(`${address.split('/p2p/')[0]}/p2p/${stranger}`);
  await assert.rejects(peer.dial(dialled), 'connected to a peer that proved another id');
}

async function run(kind, address, use, dial = true) {
  const peer = await node(kind);
  try {
    const connection = dial && (await peer.dial(multiaddr(address)));
    await use({ peer, connection, address });
  } finally {
    await peer.stop();
  }
}

const [first, ...others] = process.argv.slice(2);
const cases = {};
for (const kind of Object.keys(KEYS)) {
  for (const use of [identify, ping, modern, oldPeer, taskQueue]) {
    cases[`${kind}, ${use.name}`] = () => run(kind, first, use);
  }
}
for (const use of [megabyte, twoHundredStreams, identifyPush, notOffered]) {
  cases[use.name] = () => run('ed25519', first, use);
}
cases['wrong peer id'] = () => run('ed25519', first, wrongPeer, false);
for (const address of others) cases[`taskQueue at ${address.split('/p2p/')[0]}`] = () => run('ed25519', address, taskQueue);

let failed = 0;
for (const [name, use] of Object.entries(cases)) {
  const expired = sleep(TIMEOUT_MS, undefined, { ref: false }).then(() => assert.fail(`not done in ${TIMEOUT_MS} ms`));
  try {
    await Promise.race([use(), expired]);
    console.log(`ok      js-libp2p, ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  js-libp2p, ${name}: ${String(error.message).slice(0, 500)}`);
  }
}
console.log(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
