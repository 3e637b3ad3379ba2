import type { Awaitable } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Method, Target } from '../method.ts'
import type { Requirement } from '../policy/decide.ts'
import type { Turn } from './turn.ts'

/** A protocol method with what it does. `run` answers the JSON text of the result; undefined where the answer comes otherwise. */
export interface Handler extends Method {
  run(turn: Turn): Awaitable<string | undefined>
}

/** A method that concerns nothing but itself. */
export function plain(
  name: string,
  requirement: Requirement,
  run: Handler['run'],
  options: { readonly audit?: Method['audit']; readonly needsSession?: boolean } = {},
): Handler {
  const target: Target = Object.freeze({ requirement })
  return {
    name,
    audit: options.audit ?? 'access',
    needsSession: options.needsSession ?? true,
    target: () => target,
    unknown: () => new Fault('method.unknown'),
    run,
  }
}
