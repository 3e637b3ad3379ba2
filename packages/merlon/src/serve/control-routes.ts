import { type Operation, segmentPattern } from '../admin/operation.ts'
import type { ControlParts } from '../admin/parts.ts'
import { type Asked, checkAccess, localPrincipal, perform } from '../admin/perform.ts'
import { problemOf } from '../admin/problem.ts'
import { readQuery } from '../admin/query.ts'
import type { Message, Principal, Reply } from '../call.ts'
import type { Fault } from '../errors.ts'
import type { Chain } from '../guard/chain.ts'
import type { Arrival, Gate } from '../guard/gate.ts'
import { type Charged, settle } from '../guard/limit-calls.ts'
import { control, controlLocal, controlOpen, edge, localEdge } from '../guard/pipeline.ts'
import { type RouteTable, type Verb, type Verbs, verb } from '../transport/routes.ts'

/** Who asks through a listener: whoever shows a credential, or whoever could open its socket. */
export type ControlDoor = 'network' | 'local'

/** What a call has proved when an operation is performed. */
interface Admitted extends Arrival {
  readonly principal?: Principal
  readonly requestId: string
  readonly address: string
  readonly startedAt: number
  readonly input: unknown
  readonly reserved?: Charged['reserved']
}

interface Template {
  readonly segments: readonly string[]
  readonly verbs: Verbs
}

/**
 * The routes of the control plane, each operation behind its own chain. A path is compared segment by segment as it was
 * sent; it is never decoded or normalised, so it means one thing.
 */
export class ControlRoutes implements RouteTable {
  readonly #fixed = new Map<string, Verbs>()
  readonly #templates: Template[] = []

  /** `gate` stands in the place of the listener's, where that is of another door. */
  constructor(operations: readonly Operation[], parts: ControlParts, door: ControlDoor, gate?: Gate) {
    const byPath = new Map<string, Map<string, Verb>>()
    for (const operation of operations) {
      const verbs = byPath.get(operation.path) ?? new Map<string, Verb>()
      byPath.set(operation.path, verbs)
      const served = entered(verbOf(operation, parts, door), operation, gate)
      verbs.set(operation.method, served)
      if (operation.method === 'GET') verbs.set('HEAD', served)
    }
    for (const [path, verbs] of byPath) {
      const allow = [...verbs.keys(), 'OPTIONS'].join(', ')
      const options = (_call: unknown, reply: Reply) => {
        reply.header('Allow', allow)
        reply.finish(204)
      }
      verbs.set('OPTIONS', door === 'local' ? verb('open', localEdge, options) : verb('open', edge, options))
      if (path.includes('{')) this.#templates.push({ segments: path.split('/'), verbs })
      else this.#fixed.set(path, verbs)
    }
  }

  get(path: string): Verbs | undefined {
    const fixed = this.#fixed.get(path)
    if (fixed !== undefined) return fixed
    const segments = path.split('/')
    return this.#templates.find((template) => paramsOf(template.segments, segments) !== undefined)?.verbs
  }

  /** Every route there is: for the test that none is without a policy. */
  *all(): Generator<readonly [path: string, verbs: Verbs]> {
    yield* this.#fixed
    for (const { segments, verbs } of this.#templates) yield [segments.join('/'), verbs]
  }
}

/** What stands in the place of each `{name}`; undefined where the path is another. */
function paramsOf(template: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (template.length !== segments.length) return undefined
  const params: Record<string, string> = Object.create(null)
  for (const [at, part] of template.entries()) {
    const segment = segments[at]!
    if (part.startsWith('{')) {
      if (!segmentPattern.test(segment)) return undefined
      params[part.slice(1, -1)] = segment
    } else if (part !== segment) return undefined
  }
  return params
}

function verbOf(operation: Operation, parts: ControlParts, door: ControlDoor): Verb {
  const { bodyBytesMax, always } = operation
  const template = operation.path.split('/')
  const handle = async (call: Admitted, reply: Reply) => {
    const { head } = call
    const asked: Asked = {
      principal: call.principal,
      params: paramsOf(template, head.path.split('/')) ?? {},
      query: readQuery(head.url.slice(head.path.length)),
      body: call.input,
      version: textOf(head.headers['if-match']),
      attempt: textOf(head.headers['idempotency-key']),
      requestId: call.requestId,
      address: call.address,
      credential: door === 'local' ? undefined : credentialOf(head.headers),
      startedAt: call.startedAt,
    }
    const { status, text, type, etag } = await perform(operation, asked, parts)
    settle(call.gate, call.reserved, undefined)
    reply.header('X-Request-Id', call.requestId)
    if (etag !== undefined) reply.header('ETag', etag)
    if (text === undefined) reply.finish(status)
    else if (type !== undefined) reply.document(text, type, status)
    else reply.answer(text as string, status)
  }
  const through = <Proved extends Admitted>(policy: Verb['policy'], chain: Chain<Arrival, Proved>) =>
    verb(policy, chain, handle)
  if (door === 'local') return through('credential', controlLocal(localPrincipal, bodyBytesMax, always))
  if (operation.access === 'open') return through('open', controlOpen(bodyBytesMax, always))
  return through(
    'credential',
    control((principal) => checkAccess(principal, operation), bodyBytesMax, always),
  )
}

/** Before any guard: what the call is about, for the record of it, and the gate of this door. */
function entered({ policy, serve }: Verb, { name }: Operation, gate: Gate | undefined): Verb {
  const message: Message = { kind: 'notification', method: name, params: {} }
  const entry = gate === undefined ? { message } : { message, gate }
  return { policy, serve: (call, reply) => serve(Object.assign(call, entry), reply) }
}

/** The guards of a path or method that is not served. */
export function controlEdge(door: ControlDoor): (call: Arrival) => unknown {
  return door === 'local' ? (call) => localEdge.run(call) : (call) => edge.run(call)
}

/** The body of a refusal of the control plane. */
export function controlProblem(fault: Fault, call: { readonly requestId: string | undefined }): string {
  return JSON.stringify(problemOf(fault, call.requestId))
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header
}

/** The credential that `authenticate` let in. */
function credentialOf(headers: Arrival['head']['headers']): string | undefined {
  // After the one space of `Bearer …` or `DPoP …`.
  return headers.authorization?.slice(headers.authorization.indexOf(' ') + 1) ?? textOf(headers['x-api-key'])
}
