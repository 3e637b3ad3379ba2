import { Fault } from '../errors.ts'
import { type Control, type ControlAnswer, type ControlInput, ControlRefusal } from './control.ts'
import { operationsByName } from './operations.ts'
import type { ControlParts } from './parts.ts'
import { type Asked, localPrincipal, perform } from './perform.ts'
import { problemOf } from './problem.ts'

/**
 * The control plane of this process, asked by the local operator: what the socket of a data folder is beside a running
 * server. Requests go through the same checks and leave the same records. A failure of ours is thrown as the Fault that it
 * is: the one who asks is the operator, whom it concerns.
 */
export function inProcessControl(parts: ControlParts, close: () => Promise<void>): Control {
  let count = 0
  return {
    async call(name, input = {}) {
      const operation = operationsByName.get(name)
      if (operation === undefined) throw new Error(`there is no operation ${name}`)
      parts.audit.check()
      const asked = askedOf(input, `local-${++count}`, parts)
      try {
        return await answerOf(await perform(operation, asked, parts), input)
      } catch (thrown) {
        if (!(thrown instanceof Fault) || thrown.spec.http >= 500) throw thrown
        recordRefusal(name, asked, thrown, parts)
        throw new ControlRefusal(problemOf(thrown, asked.requestId))
      }
    },
    close,
  }
}

/** As it would come over a socket: text in the query, JSON in the body. */
function askedOf(input: ControlInput, requestId: string, { clock }: ControlParts): Asked {
  const { params = {}, query = {}, body, version, attempt } = input
  return {
    principal: localPrincipal,
    params,
    query: Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)])),
    body: body === undefined ? undefined : JSON.parse(JSON.stringify(body)),
    version: version === undefined ? undefined : `"${version}"`,
    attempt,
    requestId,
    address: 'local',
    credential: undefined,
    startedAt: clock(),
  }
}

async function answerOf(
  { status, text, type }: Awaited<ReturnType<typeof perform>>,
  { take }: ControlInput,
): Promise<ControlAnswer> {
  if (text === undefined) return { status, body: undefined }
  if (type === undefined) return { status, body: JSON.parse(typeof text === 'string' ? text : await whole(text)) }
  if (take === undefined) return { status, body: typeof text === 'string' ? text : await whole(text) }
  if (typeof text === 'string') await take(text)
  else for await (const piece of text) await take(piece)
  return { status, body: undefined }
}

async function whole(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

function recordRefusal(method: string, { params, requestId }: Asked, fault: Fault, { audit }: ControlParts): void {
  audit.append({
    type: 'access',
    success: false,
    level: 'warn',
    requestId,
    ip: 'local',
    clientId: localPrincipal.credential,
    principal: localPrincipal.id,
    method,
    target: params['id'],
    scope: fault.detail.scope,
    code: fault.spec.code,
    reason: fault.detail.reason,
  })
}
