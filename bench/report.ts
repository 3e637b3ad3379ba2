import type { Machine } from './machine.ts'
import type { Held, Round } from './measure.ts'
import { median, medianRatio } from './statistics.ts'

export interface PacedRound {
  readonly perSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
}

export interface Growth {
  readonly heapBytesPerCall: number
  readonly heapBytes: number
  readonly calls: number
}

/** What was measured of one row. A row with `left` has no rounds. */
export interface Measured {
  readonly name: string
  readonly says: string
  readonly against: string | undefined
  readonly flatAgainst: string | undefined
  readonly flatMax?: number | undefined
  /** Why it was left out. */
  left?: string
  /** Errors while measuring: any make the row invalid. */
  errors: number
  firstError?: string
  readyMs?: number
  readonly rounds: Round[]
  /** With calls at half of the rate of saturation. */
  readonly half: PacedRound[]
  growth?: Growth
  readonly held: Held[]
}

export interface Summary {
  readonly cpuMicros: number
  readonly cpuToRaw: number
  readonly cpuToSdk: number
  readonly instructions: number
  readonly instructionsToRaw: number
  readonly instructionsToSdk: number
  readonly callsPerSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly serverBusy: number
  readonly halfP50Micros: number
  readonly halfP99Micros: number
  /**
   * p99 to p50 within a round at half of saturation. NaN where half of the rounds were as slow as at saturation: then the
   * core was not ours, calls queued up, and p99 to p50 is that of the queue.
   */
  readonly halfSpread: number
}

export interface Target {
  readonly what: string
  readonly wanted: string
  readonly found: string
  readonly met: boolean | undefined
}

const cpu = (rounds: readonly Round[]): number[] => rounds.map((round) => round.cpuMicrosPerCall)
const instructions = (rounds: readonly Round[]): number[] =>
  rounds.map((round) => round.instructionsPerCall ?? Number.NaN)

function spreadOf(half: readonly PacedRound[], saturatedP50Micros: number): number {
  const calm = half.filter((round) => round.p50Micros < saturatedP50Micros)
  if (calm.length * 2 <= half.length) return Number.NaN
  return median(calm.map((round) => round.p99Micros / round.p50Micros))
}

/** Medians over the rounds; a ratio is the median of the ratios within a round. What is not known is NaN. */
export function summarize(row: Measured, all: readonly Measured[]): Summary {
  const { rounds } = row
  const raw = all.find(({ name }) => name === 'raw')?.rounds ?? []
  const sdk = all.find(({ name }) => name === row.against)?.rounds ?? []
  const p50Micros = median(rounds.map((round) => round.p50Micros))
  return {
    cpuMicros: median(cpu(rounds)),
    cpuToRaw: medianRatio(cpu(rounds), cpu(raw)),
    cpuToSdk: medianRatio(cpu(rounds), cpu(sdk)),
    instructions: median(instructions(rounds).filter((count) => !Number.isNaN(count))),
    instructionsToRaw: medianRatio(instructions(rounds), instructions(raw)),
    instructionsToSdk: medianRatio(instructions(rounds), instructions(sdk)),
    callsPerSecond: median(rounds.map((round) => round.callsPerSecond)),
    p50Micros,
    p99Micros: median(rounds.map((round) => round.p99Micros)),
    serverBusy: median(rounds.map((round) => round.serverBusy)),
    halfP50Micros: median(row.half.map((round) => round.p50Micros)),
    halfP99Micros: median(row.half.map((round) => round.p99Micros)),
    halfSpread: spreadOf(row.half, p50Micros),
  }
}

function atMost(what: string, value: number | undefined, limit: number, digits: number, unit = ''): Target {
  const known = value !== undefined && !Number.isNaN(value)
  return {
    what,
    wanted: `≤ ${limit}${unit}`,
    found: known ? `${value.toFixed(digits)}${unit}` : 'not measured',
    met: known ? value <= limit : undefined,
  }
}

/** The promises of the design that this run can speak to. */
export function judge(all: readonly Measured[]): Target[] {
  const of = (name: string): Measured | undefined => all.find((row) => row.name === name && row.rounds.length > 0)
  const ratios = (name: string): Summary | undefined => {
    const row = of(name)
    return row && summarize(row, all)
  }
  const kib = (bytes: number | undefined): number | undefined => (bytes === undefined ? undefined : bytes / 1_024)
  const held = (name: string, what: Held['what']): Held | undefined => of(name)?.held.find((one) => one.what === what)
  const targets = [
    atMost('call, 2026-07-28 JSON: CPU to raw', ratios('merlon')?.cpuToRaw, 2, 2),
    atMost('call, 2026-07-28 JSON: instructions to raw', ratios('merlon')?.instructionsToRaw, 2.2, 2),
    atMost('call, 2026-07-28 JSON: CPU to SDK v2', ratios('merlon')?.cpuToSdk, 0.125, 3),
    atMost('call in a session, JSON: CPU to raw', ratios('merlon-sessions')?.cpuToRaw, 2.3, 2),
    atMost('call in a session, JSON: CPU to SDK v2', ratios('merlon-sessions')?.cpuToSdk, 0.2, 3),
    atMost('p99 to p50 at half of saturation', ratios('merlon')?.halfSpread, 5, 1),
    atMost('p99 to p50 at half of saturation, in a session', ratios('merlon-sessions')?.halfSpread, 5, 1),
    atMost('heap of an idle session', kib(held('merlon-sessions', 'sessions')?.heapBytesEach), 2, 1, ' KiB'),
    atMost('resident of an idle session', kib(held('merlon-sessions', 'sessions')?.residentBytesEach), 8, 1, ' KiB'),
    atMost('heap of an open stream, 2026-07-28', kib(held('merlon', 'streams')?.heapBytesEach), 16, 1, ' KiB'),
    atMost('resident of an open stream, 2026-07-28', kib(held('merlon', 'streams')?.residentBytesEach), 32, 1, ' KiB'),
    atMost(
      'heap of an open stream and its session',
      kib(held('merlon-sessions', 'streams')?.heapBytesEach),
      18,
      1,
      ' KiB',
    ),
    atMost('heap kept of each call', of('merlon')?.growth?.heapBytesPerCall, 5, 1, ' B'),
    atMost('heap kept of each call with a token', of('merlon-token')?.growth?.heapBytesPerCall, 5, 1, ' B'),
    atMost('heap kept of each call in a session', of('merlon-sessions')?.growth?.heapBytesPerCall, 5, 1, ' B'),
  ]
  for (const row of all) {
    const base = row.flatAgainst === undefined ? undefined : of(row.flatAgainst)
    if (row.flatAgainst === undefined || row.left !== undefined) continue
    const ratio = base && medianRatio(cpu(row.rounds), cpu(base.rounds))
    targets.push(atMost(`CPU of ${row.name} to ${row.flatAgainst}`, ratio, row.flatMax ?? 1.15, 2))
  }
  return targets
}

/** A number for a table; `–` for what was not measured. */
function cell(value: number | undefined, digits: number): string {
  return value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits)
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const draw = (cells: readonly string[]): string =>
    `| ${cells.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join(' | ')} |`
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [draw(head), rule, ...lines.map(draw)].join('\n')
}

const speedHead = [
  'server',
  'CPU µs',
  '÷ raw',
  '÷ SDK v2',
  'k instr.',
  '÷ raw',
  'calls/s',
  'p50 µs',
  'p99 µs',
  'half: p50',
  'p99 µs',
  'heap B/call',
  'busy',
]

function speedLine(row: Measured, all: readonly Measured[]): string[] {
  if (row.errors > 0) return [row.name, 'invalid', ...speedHead.slice(2).map(() => '–')]
  const sum = summarize(row, all)
  return [
    row.name,
    cell(sum.cpuMicros, 1),
    cell(sum.cpuToRaw, 2),
    cell(sum.cpuToSdk, 3),
    cell(sum.instructions / 1_000, 0),
    cell(sum.instructionsToRaw, 2),
    cell(sum.callsPerSecond, 0),
    cell(sum.p50Micros, 0),
    cell(sum.p99Micros, 0),
    cell(sum.halfP50Micros, 0),
    cell(sum.halfP99Micros, 0),
    cell(row.growth?.heapBytesPerCall, 1),
    cell(sum.serverBusy, 2),
  ]
}

function verdict(met: boolean | undefined): string {
  return met === undefined ? '–' : met ? 'yes' : 'no'
}

/** The whole result as Markdown: what `results/*.md` holds, and what is printed. */
export function toMarkdown(all: readonly Measured[], machine: Machine, notes: readonly string[]): string {
  const present = all.filter((row) => row.left === undefined)
  const absent = all.filter((row) => row.left !== undefined)
  const kib = (bytes: number): string => cell(bytes / 1_024, 1)
  const memory = present.flatMap((row) =>
    row.held.map(({ what, count, heapBytesEach, residentBytesEach }) => [
      row.name,
      `${count} ${what}`,
      kib(heapBytesEach),
      kib(residentBytesEach),
    ]),
  )
  const targets = judge(all).map(({ what, wanted, found, met }) => [what, wanted, found, verdict(met)])
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const sections = [
    `# Benchmark of ${machine.date} at ${machine.commit}${machine.changed ? ' with changes' : ''}`,
    `Node ${machine.node}, ${machine.cpu}, ${machine.cores} cores, kernel ${machine.kernel}, load before ${machine.loadBefore}.`,
    notes.map((note) => `- ${note}`).join('\n'),
    '## One `tools/call`',
    table(
      speedHead,
      present.map((row) => speedLine(row, all)),
    ),
    present.map((row) => `- **${row.name}**: ${row.says}.`).join('\n'),
  ]
  const broken = present.filter((row) => row.errors > 0)
  if (broken.length > 0) {
    const lines = broken.map((row) => `- **${row.name}**: ${row.errors} errors, the first: \`${row.firstError ?? ''}\``)
    sections.push('## Invalid', lines.join('\n'))
  }
  if (absent.length > 0) {
    sections.push('## Left out', absent.map((row) => `- **${row.name}**: ${row.left}`).join('\n'))
  }
  if (memory.length > 0) sections.push('## Memory, KiB each', table(['server', 'held', 'heap', 'resident'], memory))
  sections.push('## Targets of the design', table(['what', 'wanted', 'found', 'met'], targets))
  sections.push('## Versions', `${versions.join(', ')}.`)
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}
