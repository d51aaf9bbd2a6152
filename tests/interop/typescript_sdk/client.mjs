// Uses every primitive of a running examples/conformance_server. Usage: client.mjs URL

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { first, second } from './connect.mjs';

const TIMEOUT_MS = 30_000;
const WATCHED = 'test://watched-resource';
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
const FORM = { username: 'alice', email: 'alice@example.com', name: 'Alice', color: 'blue', ok: true };
const CHANGES = ['tools/list_changed', 'prompts/list_changed', 'resources/list_changed', 'resources/updated'];

/** Answers what the server asks, and keeps what it tells. */
function person() {
  const asked = [];
  const told = [];
  const answer = (kind, of) => (request) => {
    asked.push(kind);
    return of(request.params);
  };
  const requests = {
    'elicitation/create': answer('elicitation', ({ requestedSchema }) => {
      const content = Object.fromEntries(Object.keys(requestedSchema.properties).map((key) => [key, FORM[key]]));
      return { action: 'accept', content };
    }),
    'sampling/createMessage': answer('sampling', ({ messages }) => {
      const text = `sampled: ${messages[0].content.text}`;
      return { role: 'assistant', content: { type: 'text', text }, model: 'interop', stopReason: 'endTurn' };
    }),
    'roots/list': answer('roots', () => ({ roots: [{ uri: 'file:///interop/root', name: 'root' }] }))
  };
  const methods = ['notifications/message', ...CHANGES.map((change) => `notifications/${change}`)];
  const notifications = Object.fromEntries(methods.map((method) => [method, (message) => void told.push(message)]));
  return { asked, told, requests, notifications };
}

async function textOf(call) {
  const result = await call;
  assert(!result.isError, JSON.stringify(result.content));
  return result.content[0].text;
}

const codeOf = (call) => call.then(() => assert.fail('an error was expected'), (error) => error.code);

async function tools({ client }) {
  const { tools } = await client.listTools();
  const kept = tools.find(({ name }) => name === 'json_schema_2020_12_tool').inputSchema;
  assert.equal(kept.$defs.address.$anchor, 'addressDef');
  const { content } = await client.callTool({ name: 'test_multiple_content_types', arguments: {} });
  assert.deepEqual(content.map(({ type }) => type), ['text', 'image', 'resource']);
  assert((await client.callTool({ name: 'test_error_handling', arguments: {} })).isError);
  const mirrored = client.callTool({ name: 'test_custom_header', arguments: { value: 'ž ' } });
  assert.equal(await textOf(mirrored), 'Value: "ž "');
}

async function resources({ client, modern }) {
  const uris = (await client.listResources()).resources.map(({ uri }) => uri);
  assert(['test://static-text', 'test://static-binary', WATCHED].every((uri) => uris.includes(uri)), `${uris}`);
  const { resourceTemplates } = await client.listResourceTemplates();
  assert.deepEqual(resourceTemplates.map(({ uriTemplate }) => uriTemplate), ['test://template/{id}/data']);
  const read = async (uri) => (await client.readResource({ uri })).contents[0];
  assert.equal((await read('test://static-text')).text, 'This is the content of the static text resource.');
  assert((await read('test://static-binary')).blob.startsWith('iVBORw0KGgo'));
  assert.equal(JSON.parse((await read('test://template/7/data')).text).id, '7');
  // The second line reads the old code as the new one.
  const code = await codeOf(read('test://nowhere'));
  assert(modern || client.listen ? code === -32602 : code === -32002, `not found is ${code}`);
}

async function prompts({ client }) {
  const { prompts } = await client.listPrompts();
  const declared = prompts.find(({ name }) => name === 'test_prompt_with_arguments').arguments;
  assert.deepEqual(declared.map(({ name, required }) => [name, Boolean(required)]), [['arg1', true], ['arg2', false]]);
  const name = 'test_prompt_with_arguments';
  const filled = await client.getPrompt({ name, arguments: { arg1: 'a', arg2: 'b' } });
  assert.match(filled.messages[0].content.text, /arg1='a', arg2='b'/);
  const ref = { type: 'ref/prompt', name };
  const { completion } = await client.complete({ ref, argument: { name: 'arg1', value: 'par' } });
  assert.deepEqual(completion.values, ['paris', 'park', 'party']);
}

async function questions({ client, asked }) {
  const call = (name, args = {}) => textOf(client.callTool({ name, arguments: args }));
  assert.match(await call('test_elicitation', { message: 'Who are you?' }), /alice@example\.com/);
  assert.match(await call('test_sampling', { prompt: 'Say hello' }), /sampled: Say hello/);
  assert.match(await call('test_input_required_result_list_roots'), /file:\/\/\/interop\/root/);
  assert.equal(await call('test_input_required_result_multi_round'), 'Alice likes blue.');
  asked.length = 0;
  await call('test_input_required_result_multiple_inputs');
  assert.deepEqual(asked.toSorted(), ['elicitation', 'roots', 'sampling']);
}

async function streams({ client, told, modern }) {
  const steps = [];
  const onprogress = ({ progress, total }) => steps.push([progress, total]);
  const name = 'test_tool_with_progress';
  // The first line takes the result's schema in between.
  const options = client.listen ? [{ onprogress }] : [undefined, { onprogress }];
  await client.callTool({ name, arguments: {} }, ...options);
  assert.deepEqual(steps, [[0, 100], [50, 100], [100, 100]]);
  if (!modern) await client.setLoggingLevel('info');
  const _meta = modern ? { [LOG_LEVEL]: 'info' } : undefined;
  told.length = 0;
  await client.callTool({ name: 'test_tool_with_logging', arguments: {}, ...(_meta && { _meta }) });
  const texts = told.map(({ params }) => params.data);
  assert.deepEqual(texts, ['Tool execution started', 'Tool processing data', 'Tool execution completed']);
  if (modern) return;
  assert.match(await textOf(client.callTool({ name: 'test_reconnection', arguments: {} })), /Reconnection/);
}

async function changes({ client, told, modern }) {
  const filter = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
  const subscription = modern && (await client.listen({ ...filter, resourceSubscriptions: [WATCHED] }));
  if (!modern) await client.subscribeResource({ uri: WATCHED });
  told.length = 0;
  for (const what of ['tool', 'prompt', 'resource']) {
    await client.callTool({ name: `test_trigger_${what}_change`, arguments: {} });
  }
  const wanted = CHANGES.map((change) => `notifications/${change}`);
  for (let i = 0; i < 100 && !wanted.every((method) => told.some((message) => message.method === method)); i += 1) {
    await sleep(50);
  }
  assert.deepEqual(told.map(({ method }) => method).toSorted(), wanted.toSorted());
  if (subscription) await subscription.close();
  else await client.unsubscribeResource({ uri: WATCHED });
}

async function use(url, connect, modern) {
  const { requests, notifications, ...kept } = person();
  const client = await connect(url, { requests, notifications });
  const world = { client, modern, ...kept };
  for (const part of [tools, resources, prompts, questions, streams, changes]) {
    try {
      await part(world);
    } catch (error) {
      error.message = `${part.name}: ${error.message}`;
      throw error;
    }
  }
  if (!modern) await client.transport.terminateSession();
  await client.close();
}

const CASES = {
  'first line, 2025-11-25': [first, false],
  'second line, 2025-11-25': [second('legacy'), false],
  'second line, negotiated': [second('auto'), true],
  'second line, pinned to 2026-07-28': [second({ pin: '2026-07-28' }), true]
};

let failed = 0;
for (const [name, [connect, modern]] of Object.entries(CASES)) {
  const expired = sleep(TIMEOUT_MS, undefined, { ref: false }).then(() => assert.fail(`not done in ${TIMEOUT_MS} ms`));
  try {
    await Promise.race([use(process.argv[2], connect, modern), expired]);
    console.log(`ok      typescript sdk, ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  typescript sdk, ${name}: ${error.message}`);
  }
}
console.log(`${Object.keys(CASES).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
