import type { RandomBytes } from '../call.ts'
import { type Fault, faultOf } from '../errors.ts'
import { type Control, ControlRefusal } from './control.ts'
import type { Document } from './operation.ts'
import { operationsByName } from './operations.ts'
import type { ControlParts } from './parts.ts'
import { localPrincipal, perform } from './perform.ts'
import { problemOf } from './problem.ts'

export interface LocalControlOptions {
  readonly parts: ControlParts
  readonly random: RandomBytes
  /** Told of what failed on our side, which the caller reads nothing of. */
  readonly report: (cause: unknown) => void
  /** Closes what the parts rest on. */
  readonly close: () => Promise<void>
}

/** The control plane in this process, asked by whoever owns the data folder. The operations, their checks and their records are those of the API. */
export function localControl({ parts, random, report, close }: LocalControlOptions): Control {
  return {
    async call(name, input = {}) {
      const operation = operationsByName.get(name)
      if (operation === undefined) throw new Error(`there is no operation ${name}`)
      const requestId = random(8).toString('hex')
      try {
        parts.audit.check()
        const { status, text, type } = await perform(
          operation,
          {
            principal: localPrincipal,
            params: input.params ?? {},
            query: Object.fromEntries(
              Object.entries(input.query ?? {}).map(([key, value]): [string, string] => [key, String(value)]),
            ),
            body: input.body,
            version: input.version === undefined ? undefined : `"${input.version}"`,
            attempt: input.attempt,
            requestId,
            address: 'local',
            credential: undefined,
            startedAt: parts.clock(),
          },
          parts,
        )
        if (text === undefined) return { status, body: undefined }
        if (operation.media !== undefined && input.take !== undefined) {
          for await (const piece of piecesOf(text)) await input.take(piece)
          return { status, body: undefined }
        }
        const whole = await collected(text)
        return { status, body: isJson(type) ? (JSON.parse(whole) as unknown) : whole }
      } catch (thrown) {
        const fault = faultOf(thrown)
        recordRefusal(parts, name, requestId, fault)
        if (fault.spec.blame === 'server') report(fault.cause ?? fault)
        throw new ControlRefusal(problemOf(fault, requestId))
      }
    },
    close,
  }
}

/** JSON is parsed whoever asks; any other document is its text. */
function isJson(type: string | undefined): boolean {
  return type === undefined || type.startsWith('application/json')
}

async function collected(text: Document['text']): Promise<string> {
  let whole = ''
  for await (const piece of piecesOf(text)) whole += piece
  return whole
}

function piecesOf(text: Document['text']): Iterable<string> | AsyncIterable<string> {
  return typeof text === 'string' ? [text] : text
}

function recordRefusal({ audit }: ControlParts, name: string, requestId: string, fault: Fault): void {
  audit.append({
    type: 'access',
    success: false,
    level: fault.spec.blame === 'server' ? 'error' : 'warn',
    requestId,
    ip: 'local',
    clientId: localPrincipal.credential,
    principal: localPrincipal.id,
    method: name,
    target: fault.detail.target,
    code: fault.spec.code,
    reason: fault.detail.reason,
  })
}
