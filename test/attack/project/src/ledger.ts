/**
 * What the fixture's handlers did. It hangs on the process and not on the module, because the server under attack loads
 * its own copy of these files.
 */
export interface Ledger {
  /** What `write_note` keeps. */
  readonly notes: string[]
  /** Every handler that ran, in order. */
  readonly ran: string[]
  /** Every handler whose signal was aborted. */
  readonly aborted: string[]
}

const place = Symbol.for('merlon.attack.ledger')

export function ledger(): Ledger {
  const holder = globalThis as { [place]?: Ledger }
  holder[place] ??= { notes: [], ran: [], aborted: [] }
  return holder[place]
}

/** Said by every handler of a tenant's data, so that it can be found where it must not be. */
export function bytesOf(tenant: string): string {
  return `bytes-of-${tenant}`
}

/** In what `broken` throws: nothing of it may reach a client or the audit log. */
export const canary = 'canary-7d41c9-thrown'
