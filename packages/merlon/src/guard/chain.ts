import type { Awaitable } from '../call.ts'

/**
 * A guard takes what must already be proved and returns what it proves, or throws a Fault. One that only refuses returns
 * `proved`. It answers at once where it can.
 */
export type Guard<Needs, Proves extends object> = (call: Needs) => Awaitable<Proves>

/** What a guard returns that only refuses. */
export const proved: Readonly<Record<never, never>> = Object.freeze({})

/**
 * Guards in an order that the compiler has checked: `and` accepts a guard only where everything it needs has been proved
 * before it.
 */
export interface Chain<Start, Proved> {
  /** `Proved extends Needs` is the security review of the order: it reads "what is proved covers what is needed". */
  and<Needs, Proves extends object>(
    guard: Proved extends Needs ? Guard<Needs, Proves> : Misplaced<Needs, Proved>,
  ): Chain<Start, Proved & Proves>
  /** Runs the guards on one call object, which gains what they prove. Rejects or throws with the first refusal. */
  run(call: Start): Awaitable<Proved>
  /** The guards in their order, for who counts or measures them. */
  readonly guards: readonly Step[]
}

/** Shown by the compiler where a guard stands before one that it needs. */
export interface Misplaced<Needs, Proved> {
  readonly misplaced: 'This guard needs what has not been proved yet:'
  readonly missing: Exclude<keyof Needs, keyof Proved>
}

/** A guard whose order has been checked. */
export type Step = (call: object) => Awaitable<object>

export function chain<Start extends object>(): Chain<Start, Start> {
  return link<Start, Start>([])
}

function link<Start, Proved>(steps: readonly Step[]): Chain<Start, Proved> {
  return {
    and: (guard) => link([...steps, guard as unknown as Step]),
    run: (call) => advance(steps, call as object, 0) as Awaitable<Proved>,
    guards: steps,
  }
}

/** Plain on purpose: assigns into the one call object and awaits only promises. It is on the path of every call. */
function advance(steps: readonly Step[], call: object, from: number): Awaitable<object> {
  for (let at = from; at < steps.length; at++) {
    const proof = steps[at]!(call)
    if (proof instanceof Promise) {
      return proof.then((later) => {
        Object.assign(call, later)
        return advance(steps, call, at + 1)
      })
    }
    if (proof !== proved) Object.assign(call, proof)
  }
  return call
}
