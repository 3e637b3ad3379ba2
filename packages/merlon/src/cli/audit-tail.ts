import { recordColumns } from './audit-records.ts'
import { type Mutable, type Run, requestOf, type Thing } from './control-command.ts'
import { cell, plain } from './plain.ts'

const betweenMs = 1_000
const lastDefault = 10
const pageMax = 200
/** How far the clock of the server may be set back without hiding what comes. */
const slackMs = 60_000

type Row = Thing & {
  readonly seq: number
  readonly timestamp: string
  readonly method?: string
  readonly type?: string
}
interface Page {
  readonly items: readonly Row[]
  readonly next?: string
}

/**
 * Prints the last records, oldest first, and then what is written after them: every second it asks for what is newer than
 * the newest it has seen. Reading the log is on record itself, and is left out with the heads that sign nothing else: it would
 * never end. Without a running server nothing more is written, so it ends.
 */
export async function followAudit({ asking, context, options }: Run, input: Mutable): Promise<void> {
  const { limit = lastDefault, ...filter } = input.query
  const ask = async (query: Mutable['query']) =>
    (await asking.control.call('audit.query', requestOf('audit.query', { ...input, query }))).body as Page
  const headsAlone = filter['type'] === 'head'
  let unsigned = true
  const show = (rows: readonly Row[]) => {
    for (const row of rows.filter(({ method }) => method !== 'audit.query').toReversed()) {
      const isHead = row.type === 'head'
      if (isHead && !unsigned && !headsAlone) continue
      unsigned = !isHead
      context.out(options.json ? plain(JSON.stringify(row)) : recordColumns.map(({ of }) => cell(of(row))).join('  '))
    }
  }
  const first = await ask({ ...filter, limit })
  show(first.items)
  if (!asking.serving) {
    context.say('merlon: no server runs here, so nothing more is written')
    return
  }
  let seen = first.items[0] ?? (await ask({ limit: 1 })).items[0]
  for (;;) {
    await new Promise((waited) => setTimeout(waited, betweenMs))
    const fresh = await newerThan(seen, (query) => ask({ ...filter, ...query, limit: pageMax }))
    show(fresh)
    seen = fresh[0] ?? seen
  }
}

/** Page by page from the newest, until one that was seen: the place in the log tells, since a clock may be set back. */
async function newerThan(
  seen: Row | undefined,
  ask: (query: Mutable['query']) => Promise<Page>,
): Promise<readonly Row[]> {
  const from: Mutable['query'] =
    seen === undefined ? {} : { from: new Date(Date.parse(seen.timestamp) - slackMs).toISOString() }
  const fresh: Row[] = []
  let page = await ask(from)
  for (;;) {
    const newer = page.items.filter(({ seq }) => seen === undefined || seq > seen.seq)
    fresh.push(...newer)
    if (page.next === undefined || newer.length < page.items.length) return fresh
    page = await ask({ ...from, cursor: page.next })
  }
}
