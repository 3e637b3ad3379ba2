import { type Counts, noCounts } from './history.ts'
import { type Play, play } from './play.ts'
import { Puppets } from './puppets.ts'
import { openProcesses, openWithin, type World } from './world.ts'

/** The servers that histories are played against. A kill costs a start, so few of them are played where there are kills. */
export const kinds = ['one', 'moved', 'killed', 'moved-and-killed'] as const
export type Kind = (typeof kinds)[number]

export interface Played {
  readonly kind: Kind
  readonly histories: number
  readonly seed: number
  readonly counts: Counts
  readonly ms: number
}

/** Makes an empty PostgreSQL database, and answers its URL. */
export type MakeDatabase = () => Promise<string>

const open: Readonly<Record<Kind, (puppets: Puppets, database: MakeDatabase) => Promise<World>>> = {
  one: () => openWithin(1),
  moved: async (_puppets, database) => openWithin(3, await database()),
  killed: (puppets) => openProcesses(1, puppets.port),
  'moved-and-killed': async (puppets, database) => openProcesses(2, puppets.port, await database()),
}

export const needsDatabase = (kind: Kind): boolean => kind.startsWith('moved')

/** Plays histories of one kind, `lanes` of them at a time, each lane against servers and with a seed of its own. */
export async function playKind(
  kind: Kind,
  { lanes, ...options }: Play & { readonly lanes: number },
  database: MakeDatabase = () => Promise.reject(new Error(`${kind} needs a PostgreSQL`)),
): Promise<Played> {
  const puppets = await Puppets.open()
  // Tools of servers in this process find it here; those of processes get it in their environment.
  process.env['MODEL_PUPPETS'] ??= String(puppets.port)
  const started = performance.now()
  const counts = noCounts()
  try {
    await Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        const world = await open[kind](puppets, database)
        try {
          const histories = Math.ceil((options.histories - lane) / lanes)
          const played = await play(world, puppets, { ...options, histories, seed: options.seed + lane })
          for (const name of Object.keys(counts) as (keyof Counts)[]) counts[name] += played[name]
        } catch (cause) {
          const { message } = cause as Error
          throw new Error(`${world.name}: ${message}\nTo play it again: ${again(kind, message)}`, { cause })
        } finally {
          await world.close()
        }
      }),
    )
  } finally {
    delete process.env['MODEL_PUPPETS']
    puppets.close()
  }
  const { histories, seed } = options
  return { kind, histories, seed, counts, ms: performance.now() - started }
}

/** What was found goes into a command that plays it again. */
function again(kind: Kind, message: string): string {
  const seed = /seed: (-?\d+)/.exec(message)?.[1]
  const path = /path: "([\d:]+)"/.exec(message)?.[1]
  const replay = /replayPath="([^"]+)"/.exec(message)?.[1]
  return `npm run model -- --shorten --kind ${kind} --seed ${seed} --path ${path} --replay ${replay}`
}

export function figures({ kind, histories, seed, counts, ms }: Played): string {
  const { commands, requests, refusals, events, resumes, lost, moves, kills } = counts
  return [
    `${kind}: ${histories} histories from seed ${seed} in ${(ms / 1_000).toFixed(1)} s`,
    `${commands} commands, ${requests} requests, ${refusals} refused as they must be`,
    `${events} events, ${resumes} resumes, ${lost} told that history is lost, ${moves} at another server, ${kills} kills`,
    '0 gaps, 0 repeated, 0 foreign',
  ].join('; ')
}
