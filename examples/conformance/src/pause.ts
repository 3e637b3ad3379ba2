import { setTimeout } from 'node:timers/promises'
import type { CallContext } from 'merlon'

/** How long the suite asks a tool to wait between two notices. */
const pauseMs = 50

/** Waits as the suite asks between two notices; rejects as soon as the call is over. */
export async function pause(ctx: CallContext): Promise<void> {
  await setTimeout(pauseMs, undefined, { signal: ctx.signal })
}
