// One face for both lines of the SDK: a connected client whose questions and notifications reach the given functions.

import * as v2 from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as typesV1 from '@modelcontextprotocol/sdk/types.js';

const INFO = { name: 'ringmesh-interop', version: '1' };
const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } };

/** The schemas that the first line wants where the second one takes a method's name. */
const SCHEMAS = {
  'elicitation/create': typesV1.ElicitRequestSchema,
  'sampling/createMessage': typesV1.CreateMessageRequestSchema,
  'roots/list': typesV1.ListRootsRequestSchema,
  'notifications/message': typesV1.LoggingMessageNotificationSchema,
  'notifications/tools/list_changed': typesV1.ToolListChangedNotificationSchema,
  'notifications/prompts/list_changed': typesV1.PromptListChangedNotificationSchema,
  'notifications/resources/list_changed': typesV1.ResourceListChangedNotificationSchema,
  'notifications/resources/updated': typesV1.ResourceUpdatedNotificationSchema
};

async function connected(client, transport, key, { requests, notifications }) {
  for (const [method, answer] of Object.entries(requests)) client.setRequestHandler(key(method), answer);
  for (const [method, hear] of Object.entries(notifications)) client.setNotificationHandler(key(method), hear);
  await client.connect(transport);
  return client;
}

/** The line that speaks the revisions with sessions. */
export function first(url, handlers) {
  const client = new ClientV1(INFO, { capabilities: CAPABILITIES });
  return connected(client, new TransportV1(new URL(url)), (method) => SCHEMAS[method], handlers);
}

/** The line that speaks all of them; `mode` as its `versionNegotiation` takes it. */
export function second(mode) {
  return (url, handlers) => {
    const client = new v2.Client(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode } });
    return connected(client, new v2.StreamableHTTPClientTransport(new URL(url)), (method) => method, handlers);
  };
}
