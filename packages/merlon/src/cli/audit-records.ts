import { type Column, column, type Thing } from './control-command.ts'

/** What a person wants to see of a record first: when, who, what, of what, and what came of it. */
export const recordColumns: readonly Column[] = [
  column('TIME', 'timestamp'),
  column('LEVEL', 'level'),
  column('TYPE', 'type'),
  { head: 'WHO', of: ({ by, clientId, principal, ip }: Thing) => by ?? clientId ?? principal ?? ip },
  { head: 'WHAT', of: ({ action, tool, method }: Thing) => action ?? tool ?? method },
  { head: 'OF', of: ({ target, key, detail, tenant }: Thing) => target ?? key ?? changedIn(detail) ?? tenant },
  { head: 'OUTCOME', of: ({ code, outcome, success }: Thing) => code ?? outcome ?? (success ? 'done' : 'refused') },
]

/** Whom a change was of. */
function changedIn(detail: unknown): unknown {
  const { signIn, agent, user } = (detail ?? {}) as Thing
  return signIn ?? agent ?? user
}
