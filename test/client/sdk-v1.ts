import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import {
  type Connect,
  type Connection,
  callResult,
  chosen,
  type Received,
  roots,
  sampled,
  watchedFetch,
} from './connection.ts'

/** `@modelcontextprotocol/sdk`, which speaks the stateful revisions. */
export const connectV1: Connect = async (url, key, received) => {
  const { fetch, listening } = watchedFetch()
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch,
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
  })
  return openV1(transport, received, listening, () => transport.terminateSession())
}

/** The same over any transport. `listening` resolves when the client hears what the server says unasked. */
export async function openV1(
  transport: Transport & { readonly protocolVersion?: string | undefined },
  received: Received,
  listening: Promise<void>,
  leave: () => Promise<void>,
): Promise<Connection> {
  const client = new Client(
    { name: 'sdk-v1', version: '1.0.0' },
    { capabilities: { elicitation: {}, sampling: {}, roots: {} } },
  )
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    received.asked.push(params.message)
    return chosen
  })
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    received.sampled.push(params.messages[0]?.content)
    return sampled
  })
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots }))
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => received.toolsChanged.resolve())
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
    received.resourceUpdated.resolve(params.uri),
  )

  await client.connect(transport)
  const { name, version } = client.getServerVersion() ?? {}
  return {
    server: { name, version },
    revision: transport.protocolVersion,
    instructions: client.getInstructions(),
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    resourceUris: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    templates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    promptNames: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    call: async (name, args = {}, { onProgress, signal } = {}) =>
      callResult(
        await client.callTool({ name, arguments: { ...args } }, undefined, {
          ...(onProgress && { onprogress: onProgress }),
          ...(signal && { signal }),
        }),
      ),
    read: async (uri) => (await client.readResource({ uri })).contents.map((one) => ('text' in one ? one.text : '')),
    prompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages,
    completePrompt: async (name, argument, value) =>
      (await client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion
        .values,
    completeTemplate: async (uri, argument, value) =>
      (await client.complete({ ref: { type: 'ref/resource', uri }, argument: { name: argument, value } })).completion
        .values,
    watch: async (uri) => {
      await listening
      await client.subscribeResource({ uri })
    },
    close: async () => {
      await leave()
      await client.close()
    },
  }
}
