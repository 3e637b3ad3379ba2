import {
  Client,
  type McpSubscription,
  StreamableHTTPClientTransport,
  type Transport,
} from '@modelcontextprotocol/client'
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

/** How `@modelcontextprotocol/client` settles on a revision. */
export type Mode = 'legacy' | 'auto' | { readonly pin: string }

/** `@modelcontextprotocol/client`, which speaks both the stateful revisions and the stateless one. */
export function connectV2(mode: Mode): Connect {
  return async (url, key, received) => {
    const { fetch, listening } = watchedFetch()
    const transport = new StreamableHTTPClientTransport(new URL(url), {
      fetch,
      requestInit: { headers: { 'X-API-Key': key } },
    })
    return openV2(mode, transport, received, listening, () => transport.terminateSession())
  }
}

/** The same over any transport. */
export async function openV2(
  mode: Mode,
  transport: Transport,
  received: Received,
  listening: Promise<void>,
  leave: () => Promise<void>,
): Promise<Connection> {
  const client = new Client(
    { name: 'sdk-v2', version: '1.0.0' },
    { capabilities: { elicitation: {}, sampling: {}, roots: {} }, versionNegotiation: { mode } },
  )
  client.setRequestHandler('elicitation/create', ({ params }) => {
    received.asked.push(params.message)
    return chosen
  })
  client.setRequestHandler('sampling/createMessage', ({ params }) => {
    received.sampled.push(params.messages[0]?.content)
    return sampled
  })
  client.setRequestHandler('roots/list', () => ({ roots }))
  client.setNotificationHandler('notifications/tools/list_changed', () => received.toolsChanged.resolve())
  client.setNotificationHandler('notifications/resources/updated', ({ params }) =>
    received.resourceUpdated.resolve(params.uri),
  )

  await client.connect(transport)
  let subscription: McpSubscription | undefined
  const { name, version } = client.getServerVersion() ?? {}
  return {
    server: { name, version },
    revision: client.getNegotiatedProtocolVersion(),
    instructions: client.getInstructions(),
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    resourceUris: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    templates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    promptNames: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    call: async (name, args = {}, { onProgress, signal } = {}) =>
      callResult(
        await client.callTool(
          { name, arguments: { ...args } },
          { ...(onProgress && { onprogress: onProgress }), ...(signal && { signal }) },
        ),
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
      if (client.getProtocolEra() === 'modern') {
        subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] })
      } else {
        await listening
        await client.subscribeResource({ uri })
      }
    },
    close: async () => {
      await subscription?.close()
      await leave()
      await client.close()
    },
  }
}
