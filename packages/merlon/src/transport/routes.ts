import type { Awaitable, Reply } from '../call.ts'
import type { Chain } from '../guard/chain.ts'
import type { Arrival } from '../guard/gate.ts'

/** One HTTP method of a route: the guards it is behind, and what happens after them. */
export interface Verb {
  /** What a caller must show: named for the test that no route is without. */
  readonly policy: 'open' | 'credential'
  readonly serve: (call: Arrival, reply: () => Reply) => Awaitable<void>
}

export type Verbs = ReadonlyMap<string, Verb>
export type Routes = ReadonlyMap<string, Verbs>
/** What is served at a path; nothing is served where it answers `undefined`. */
export type RouteTable = Pick<Routes, 'get'>

/** Ties a chain of guards to what it guards. The compiler holds that the handler uses only what the chain proves. */
export function verb<Proved>(
  policy: Verb['policy'],
  chain: Chain<Arrival, Proved>,
  handle: (call: Proved, reply: Reply) => Awaitable<void>,
): Verb {
  return {
    policy,
    serve(call, reply) {
      const passed = chain.run(call)
      return passed instanceof Promise ? passed.then((ready) => handle(ready, reply())) : handle(passed, reply())
    },
  }
}
