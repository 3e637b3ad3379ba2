import { parseArgs } from 'node:util'
import { type OwnPostgres, plainDatabase, startPostgres } from '../postgres.ts'
import { figures, type Kind, kinds, needsDatabase, playKind } from './play-all.ts'

/*
 * Plays random histories of sessions against real servers, and holds every answer against the reference model:
 *
 *     npm run model -- --histories 10000 [--kind one|moved|killed|moved-and-killed] [--seed 7] [--lanes 2] [--shorten]
 *
 * A failure prints the command that plays that history again; with --shorten it is made as short as it can be first.
 */

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '200' },
    kind: { type: 'string' },
    lanes: { type: 'string' },
    seed: { type: 'string' },
    path: { type: 'string' },
    replay: { type: 'string' },
    shorten: { type: 'boolean', default: false },
  },
})
const seed = values.seed === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(values.seed)
const chosen = kinds.filter((kind) => values.kind === undefined || values.kind === kind)
if (chosen.length === 0) throw new Error(`--kind is one of ${kinds.join(', ')}`)
const share: Readonly<Record<Kind, number>> = { one: 0.74, moved: 0.2, killed: 0.03, 'moved-and-killed': 0.03 }
const lanes: Readonly<Record<Kind, number>> = { one: 2, moved: 1, killed: 1, 'moved-and-killed': 1 }

// One for each lane: three servers take nearly all the connections that one has.
const started: OwnPostgres[] = []
const database = async () => {
  const postgres = await startPostgres()
  started.push(postgres)
  return plainDatabase(postgres.url)
}

for (const kind of chosen) {
  const histories = Math.ceil(Number(values.histories) * (chosen.length === 1 ? 1 : share[kind]))
  const play = {
    ...{ histories, seed, shorten: values.shorten },
    lanes: values.path === undefined ? Number(values.lanes ?? lanes[kind]) : 1,
    ...(values.path === undefined ? {} : { path: values.path }),
    ...(values.replay === undefined ? {} : { replayPath: values.replay }),
  }
  try {
    console.log(figures(await playKind(kind, play, needsDatabase(kind) ? database : undefined)))
  } catch (error) {
    console.error((error as Error).message)
    console.error(((error as Error).cause as Error | undefined)?.cause)
    process.exitCode = 1
  }
}
for (const postgres of started) await postgres.close()
