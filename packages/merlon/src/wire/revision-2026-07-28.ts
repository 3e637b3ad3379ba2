import type { Client, Message, Params } from '../call.ts'
import { Fault } from '../errors.ts'
import { decodeHeaderValue } from './header-value.ts'
import { isObject } from './json.ts'
import { type Envelope, isLogLevel, progressTokenOf, type Revision } from './revision.ts'
import { readTrace } from './trace-context.ts'

export const statelessVersion = '2026-07-28'

const key = {
  version: 'io.modelcontextprotocol/protocolVersion',
  client: 'io.modelcontextprotocol/clientInfo',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  server: 'io.modelcontextprotocol/serverInfo',
} as const

export const subscriptionIdKey = 'io.modelcontextprotocol/subscriptionId'

/** The stateless revision. Every result says that it is complete and who answered (basic/index, "_meta"). */
export function statelessRevision(server: { readonly name: string; readonly version: string }): Revision {
  const tail = `"resultType":"complete","_meta":${JSON.stringify({ [key.server]: server })}}`
  return {
    version: statelessVersion,
    stateful: false,
    primesStreams: false,
    result(members, cache) {
      const head = members === '' ? '{' : `{${members},`
      return cache === undefined ? head + tail : `${head}"ttlMs":${cache.ttlMs},"cacheScope":"${cache.scope}",${tail}`
    },
    rpcCode: (fault) => fault.spec.rpc,
    status: (fault) => fault.spec.http,
  }
}

/** The version that a body claims, if it speaks a stateless revision at all. */
export function claimedVersion(params: Params): unknown {
  const meta = params['_meta']
  return isObject(meta) ? meta[key.version] : undefined
}

/** The headers that this revision mirrors from the body, lower-cased by `node:http`. */
export interface MirroredHeaders {
  readonly 'mcp-protocol-version'?: string | undefined
  readonly 'mcp-method'?: string | string[] | undefined
  readonly 'mcp-name'?: string | string[] | undefined
  readonly traceparent?: string | string[] | undefined
  readonly tracestate?: string | string[] | undefined
}

/**
 * Reads the envelope of a stateless request and holds its headers against its body (streamable-http, "Server
 * Validation"). Policy never looks at the headers again.
 */
export function readEnvelope(message: Message, headers: MirroredHeaders, revision: Revision): Envelope {
  if (message.kind === 'response') throw new Fault('request.invalid', { reason: 'response' })
  if (message.kind === 'notification') {
    // This revision defines no client notification over HTTP and no header rules for one: it is accepted and does nothing.
    return { ...silent, revision }
  }
  const given = message.params['_meta']
  const meta = isObject(given) ? given : undefined
  const claimed = meta?.[key.version]
  const header = headers['mcp-protocol-version']
  if (claimed !== undefined && claimed !== header) throw mismatch('MCP-Protocol-Version')
  if (header !== statelessVersion) {
    throw new Fault('revision.unsupported', { data: { supported: [statelessVersion], requested: header ?? claimed } })
  }
  if (headers['mcp-method'] !== message.method) throw mismatch('Mcp-Method')
  const name = mirroredName(message.method, message.params)
  if (name !== undefined) {
    const mirrored = headers['mcp-name']
    if (typeof mirrored !== 'string' || decodeHeaderValue(mirrored) !== name) throw mismatch('Mcp-Name')
  }
  if (meta === undefined || claimed === undefined)
    throw new Fault('meta.invalid', { says: 'protocolVersion is missing.' })
  return envelopeOf(meta, headers, revision)
}

/** The same where there are no headers to hold it against: on a pipe the message says all (stdio, "Request Metadata"). */
export function readBareEnvelope(message: Message, revision: Revision): Envelope {
  if (message.kind === 'response') throw new Fault('request.invalid', { reason: 'response' })
  if (message.kind === 'notification') return { ...silent, revision }
  const meta = message.params['_meta']
  const claimed = isObject(meta) ? meta[key.version] : undefined
  if (claimed !== statelessVersion) {
    throw new Fault('revision.unsupported', { data: { supported: [statelessVersion], requested: claimed } })
  }
  return envelopeOf(meta as Params, noHeaders, revision)
}

const noHeaders: MirroredHeaders = Object.freeze({})

function envelopeOf(meta: Params, headers: MirroredHeaders, revision: Revision): Envelope {
  const capabilities = meta[key.capabilities]
  if (!isObject(capabilities)) throw new Fault('meta.invalid', { says: 'clientCapabilities is missing.' })
  const logLevel = meta[key.logLevel]
  if (logLevel !== undefined && !isLogLevel(logLevel)) throw new Fault('params.invalid', { says: 'unknown logLevel' })
  return {
    revision,
    client: readClient(meta[key.client], capabilities),
    progressToken: progressTokenOf(meta),
    logLevel,
    trace: readTrace(meta, headers as Readonly<Record<string, unknown>>),
  }
}

const noClient: Client = Object.freeze({ name: undefined, version: undefined, capabilities: Object.freeze({}) })
const silent = Object.freeze({ client: noClient, progressToken: undefined, logLevel: undefined, trace: undefined })

/** Client info is self-reported and optional: what is not a short string is left out. */
export function readClient(info: unknown, capabilities: Params): Client {
  return isObject(info)
    ? { name: short(info['name']), version: short(info['version']), capabilities }
    : { name: undefined, version: undefined, capabilities }
}

function short(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= 256 ? value : undefined
}

function mirroredName(method: string, params: Params): string | undefined {
  if (method === 'tools/call' || method === 'prompts/get')
    return typeof params['name'] === 'string' ? params['name'] : undefined
  if (method === 'resources/read') return typeof params['uri'] === 'string' ? params['uri'] : undefined
  return undefined
}

function mismatch(header: string): Fault {
  return new Fault('header.mismatch', { says: `${header} is missing or differs.`, reason: header })
}
