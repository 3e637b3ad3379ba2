import * as fc from 'fast-check'
import { histories, versions } from './commands.ts'
import { settle } from './ending.ts'
import { type Client, type Counts, History, noCounts } from './history.ts'
import type { Puppets } from './puppets.ts'
import type { World } from './world.ts'

export interface Play {
  readonly histories: number
  readonly seed: number
  readonly commandsMax?: number
  /** Whether a history that fails is made shorter, which may take minutes. */
  readonly shorten?: boolean
  /** Where a failure was found, to play it again. */
  readonly path?: string
  readonly replayPath?: string
}

let played = 0

/** Plays random histories against the servers. Rejects with the seed, the path and the shortest history that fails. */
export async function play(world: World, puppets: Puppets, options: Play): Promise<Counts> {
  const { histories: numRuns, seed, commandsMax = 80, shorten = false, path, replayPath } = options
  const counts = noCounts()
  const keys = new Map<string, Client['key']>()
  const property = fc.asyncProperty(histories(commandsMax, replayPath), async (commands) => {
    const history = await History.begin({ world, puppets, counts, keys, name: `h${++played}` })
    let well = false
    try {
      for (const [at, client] of [0, 0, 1, 2].entries())
        await history.open(at % world.replicas.length, history.clients[client]!, versions[at % 2]!)
      await fc.asyncModelRun(() => ({ model: history, real: history }), commands)
      await settle(history)
      well = true
    } finally {
      await history.close(well, keys)
    }
  })
  await fc.assert(property, {
    ...{ numRuns, seed, endOnFailure: !shorten },
    ...(path === undefined ? {} : { path }),
  })
  return counts
}
