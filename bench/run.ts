import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { Generator } from './generator.ts'
import { supportedEvent } from './instructions.ts'
import { canPin, describeMachine } from './machine.ts'
import { measureGrowth, measureHeld, measurePaced, measureRound, type Running, verify } from './measure.ts'
import { keyPattern } from './merlon-project.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { judge, type Measured, summarize, toMarkdown } from './report.ts'
import { type Row, rows } from './rows.ts'
import { ServerProcess } from './server-process.ts'
import { median } from './statistics.ts'
import { home, work } from './work-folder.ts'

const generatorCore = 0
const serverCore = 1

/** Says on stderr what goes on, with the seconds since the start. */
function progress(line: string): void {
  process.stderr.write(`${(performance.now() / 1_000).toFixed(1).padStart(6)} ${line}\n`)
}

/** What is written down keeps no path of the machine it was made on, and no key that a server may have printed. */
function tidy(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const open = message.replaceAll(join(home, '..'), '.').replaceAll(keyPattern, 'mrl_…')
  return open.replaceAll(/\s+/g, ' ').slice(0, 400)
}

async function startRow(row: Row, pinned: boolean): Promise<Running> {
  const { key, ...command } = await row.prepare()
  const core = pinned ? serverCore : undefined
  const server = await ServerProcess.start({ ...command, core, readyTimeoutMs: row.heavy ? 600_000 : 120_000 })
  return { row, server, target: { ...row.target, port: server.port, ...(key === undefined ? {} : { key }) } }
}

/** Adds the errors of a part to the row, and says whether there were none. */
function note(measured: Measured, part: { errors: number; firstError: string | undefined }): void {
  measured.errors += part.errors
  if (part.firstError !== undefined) measured.firstError ??= tidy(part.firstError)
}

class Bench {
  readonly #options: Options
  readonly #pinned = canPin()
  readonly #event = supportedEvent()
  readonly #generator: Generator
  readonly #running = new Map<Measured, Running>()
  readonly measured: Measured[] = []

  constructor(options: Options) {
    this.#options = options
    this.#generator = new Generator(this.#pinned ? generatorCore : undefined)
  }

  get notes(): string[] {
    const { connections, warmupCalls, rounds, roundMs } = this.#options
    return [
      ...(warmupCalls < 10_000 ? ['**Not to compare**: too few calls to warm up; the JIT had not settled.'] : []),
      `${connections} keep-alive connections; ${warmupCalls} calls to warm up; ${rounds} interleaved rounds of ${roundMs} ms.`,
      this.#pinned
        ? `Each server ran on core ${serverCore}, the load generator on core ${generatorCore}.`
        : 'Processes were **not** kept on one core each: read ratios with care.',
      this.#event === undefined
        ? 'Instructions: not supported on this machine.'
        : `Instructions: \`perf stat -e ${this.#event}\`.`,
    ]
  }

  async #start(row: Row): Promise<void> {
    const { name, says, against, flatAgainst, flatMax } = row
    const measured: Measured = { name, says, against, flatAgainst, flatMax, errors: 0, rounds: [], half: [], held: [] }
    this.measured.push(measured)
    const startedAt = performance.now()
    try {
      const running = await startRow(row, this.#pinned)
      this.#running.set(measured, running)
      measured.readyMs = Math.round(performance.now() - startedAt)
      await verify(running, this.#generator)
      progress(`started ${name}`)
    } catch (error) {
      const running = this.#running.get(measured)
      this.#running.delete(measured)
      await running?.server.stop()
      measured.left = tidy(error)
      progress(`left out ${name}: ${measured.left}`)
    }
  }

  /** Runs `part` for each row that is still sound; a row whose part fails is invalid from then on. */
  async #each(what: string, part: (measured: Measured, running: Running) => Promise<void>): Promise<void> {
    for (const [measured, running] of this.#running) {
      if (measured.errors > 0) continue
      try {
        await part(measured, running)
      } catch (error) {
        const last = running.server.exited ? `; the server exited: ${running.server.output.slice(-200)}` : ''
        note(measured, { errors: 1, firstError: `${what}: ${(error as Error).message}${last}` })
      }
      if (measured.errors > 0) progress(`invalid ${measured.name}: ${measured.firstError}`)
    }
    progress(`done: ${what}`)
  }

  async run(): Promise<void> {
    const { connections, warmupCalls, rounds, roundMs, pacedRounds, pacedMs, growthCalls, heldCount, only, full } =
      this.#options
    const generator = this.#generator
    for (const row of rows) {
      if (only.length > 0 ? only.includes(row.name) : full || !row.heavy) await this.#start(row)
    }
    await this.#each('warm-up', async (measured, { target }) => {
      note(measured, await generator.calls({ target, connections, before: 0, stop: { calls: warmupCalls } }))
    })
    for (let round = 1; round <= rounds; round++) {
      await this.#each(`round ${round} of ${rounds}`, async (measured, running) => {
        const one = await measureRound(running, generator, { connections, durationMs: roundMs, event: this.#event })
        measured.rounds.push(one)
        note(measured, one)
      })
    }
    for (let round = 1; round <= pacedRounds; round++) {
      await this.#each(`round ${round} of ${pacedRounds} at half of saturation`, async (measured, running) => {
        const perSecond = median(measured.rounds.map((one) => one.callsPerSecond)) / 2
        const result = await measurePaced(running, generator, { connections, durationMs: pacedMs, perSecond })
        measured.half.push({ perSecond, p50Micros: result.p50Micros, p99Micros: result.p99Micros })
        note(measured, result)
      })
    }
    await this.#each('heap after many calls', async (measured, running) => {
      // Peers make fewer calls, since their growth shows soon and their calls are slow.
      const calls = running.row.ours ? growthCalls : Math.ceil(growthCalls / 10)
      const { heapBytesPerCall, heapBytes, ...result } = await measureGrowth(running, generator, { connections, calls })
      measured.growth = { heapBytesPerCall, heapBytes, calls }
      note(measured, result)
    })
    await this.#each('sessions and streams', async (measured, running) => {
      for (const what of running.row.holds ?? []) {
        measured.held.push(await measureHeld(running, generator, what, heldCount))
      }
    })
  }

  async stop(): Promise<void> {
    this.#generator.stop()
    await Promise.all([...this.#running.values()].map(({ server }) => server.stop()))
  }

  /** Whether every row of ours ran and no row had an error. */
  get sound(): boolean {
    const ours = new Set(rows.filter((row) => row.ours).map((row) => row.name))
    return this.measured.every((row) => row.errors === 0 && (row.left === undefined || !ours.has(row.name)))
  }
}

function knownRows(options: Options): void {
  for (const name of options.only) {
    if (!rows.some((row) => row.name === name)) {
      throw new Error(`no row named ${name}; there are ${rows.map((row) => row.name).join(', ')}`)
    }
  }
}

async function main(): Promise<number> {
  let options: Options
  try {
    options = parseOptions(process.argv.slice(2))
    knownRows(options)
  } catch (error) {
    progress(`bench: ${(error as Error).message}\n${usage}`)
    return 2
  }
  const machine = describeMachine(home)
  mkdirSync(work, { recursive: true })
  const bench = new Bench(options)
  const interrupted = (): void => {
    void bench.stop().finally(() => process.exit(130))
  }
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    await bench.run()
  } finally {
    await bench.stop()
    rmSync(work, { recursive: true, force: true })
  }
  const notes = [...bench.notes, `Load of the machine after: ${loadavg()[0]!.toFixed(2)}.`]
  const markdown = toMarkdown(bench.measured, machine, notes)
  process.stdout.write(markdown)
  if (options.write) {
    const results = join(home, 'results')
    mkdirSync(results, { recursive: true })
    const file = join(results, `${machine.date}-${machine.commit}`)
    const summaries = bench.measured.map((row) => ({ ...row, summary: summarize(row, bench.measured) }))
    const json = { machine, notes, options, rows: summaries, targets: judge(bench.measured) }
    writeFileSync(`${file}.md`, markdown)
    writeFileSync(`${file}.json`, `${JSON.stringify(json, undefined, 2)}\n`)
    progress(`written to bench/results/${machine.date}-${machine.commit}.{md,json}`)
  }
  if (!bench.sound) progress('bench: a row is invalid; see above')
  return bench.sound ? 0 : 1
}

process.exitCode = await main()
