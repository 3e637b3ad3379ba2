/**
 * Numbers that a monitor reads, and their text form for Prometheus (exposition format 0.0.4). A series is registered once
 * and counted by its index from then on: an observation is one or two additions in an array, and makes nothing.
 *
 * Labels never come from clients. Where their number is not known beforehand (tools, tenants) it is bounded, and what is
 * beyond the bound is counted together under `other`.
 */

type Labels = readonly string[]

/** One number that a gauge reads when it is asked: the value, and a value for each label. */
export type Reading = number | readonly { readonly labels: Labels; readonly value: number }[] | undefined

export interface FamilySnapshot {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]
}

interface Family {
  readonly name: string
  readonly help: string
  readonly type: FamilySnapshot['type']
  readonly labelNames: Labels
  /** Each sample: what follows the name, the labels with theirs, the value. */
  samples(): Iterable<readonly [suffix: string, names: Labels, labels: Labels, value: number]>
}

interface Options {
  readonly labels?: Labels
  /** How many series it may have; the last is for all the others. */
  readonly seriesMax?: number
}

/** Label values to an index, as many as there may be. */
class SeriesTable {
  readonly known: Labels[] = []
  private readonly byKey = new Map<string, number>()
  private readonly width: number
  private readonly max: number

  constructor(width: number, max: number) {
    this.width = width
    this.max = max
  }

  index(labels: Labels): number {
    if (labels.length !== this.width) throw new Error(`a series of ${this.width} labels was given ${labels.length}`)
    const key = labels.join('\u0000')
    const known = this.byKey.get(key)
    if (known !== undefined) return known
    if (this.known.length < this.max - 1) return this.add(key, labels)
    const others = labels.map(() => other)
    return this.byKey.get(others.join('\u0000')) ?? this.add(others.join('\u0000'), others)
  }

  private add(key: string, labels: Labels): number {
    this.byKey.set(key, this.known.length)
    return this.known.push(labels) - 1
  }
}

export const other = 'other'
const seriesMaxDefault = 1_024

/** A number that only grows. */
export class Counter implements Family {
  readonly type = 'counter'
  readonly name: string
  readonly help: string
  readonly labelNames: Labels
  private readonly table: SeriesTable
  private values: Float64Array

  constructor(name: string, help: string, { labels = [], seriesMax = seriesMaxDefault }: Options = {}) {
    this.name = name
    this.help = help
    this.labelNames = labels
    this.table = new SeriesTable(labels.length, labels.length === 0 ? 2 : seriesMax)
    this.values = new Float64Array(8)
    if (labels.length === 0) this.series()
  }

  /** The index of a series, to be kept: finding it costs more than counting. */
  series(...labels: string[]): number {
    const index = this.table.index(labels)
    if (index >= this.values.length) this.values = grown(this.values, index)
    return index
  }

  add(series: number, by = 1): void {
    this.values[series]! += by
  }

  /** For what happens seldom. */
  count(...labels: string[]): void {
    this.add(this.series(...labels))
  }

  value(series = 0): number {
    return this.values[series] ?? 0
  }

  *samples(): ReturnType<Family['samples']> {
    for (const [at, labels] of this.table.known.entries()) {
      const value = this.values[at]!
      // Most pairs of labels never happen. A monitor takes a series that is not there for none.
      if (value > 0 || labels.length === 0) yield ['', this.labelNames, labels, value]
    }
  }
}

/** How values spread over fixed bounds, in seconds. */
export class Histogram implements Family {
  readonly type = 'histogram'
  readonly name: string
  readonly help: string
  readonly labelNames: Labels
  private readonly bounds: readonly number[]
  private readonly boundNames: readonly string[]
  private readonly table: SeriesTable
  private readonly width: number
  private counts: Float64Array
  private sums: Float64Array

  constructor(
    name: string,
    help: string,
    { bounds, labels = [], seriesMax = seriesMaxDefault }: Options & { readonly bounds: readonly number[] },
  ) {
    this.name = name
    this.help = help
    this.labelNames = labels
    this.bounds = bounds
    this.boundNames = [...bounds.map(String), '+Inf']
    this.width = bounds.length + 1
    this.table = new SeriesTable(labels.length, labels.length === 0 ? 2 : seriesMax)
    this.counts = new Float64Array(this.width * 8)
    this.sums = new Float64Array(8)
    if (labels.length === 0) this.series()
  }

  series(...labels: string[]): number {
    const index = this.table.index(labels)
    if (index >= this.sums.length) {
      this.sums = grown(this.sums, index)
      this.counts = grown(this.counts, this.sums.length * this.width - 1)
    }
    return index
  }

  observe(series: number, value: number): void {
    const { bounds } = this
    let bucket = 0
    // Most values lie in the first few.
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    this.counts[series * this.width + bucket]!++
    this.sums[series]! += value
  }

  *samples(): ReturnType<Family['samples']> {
    const bucketNames = [...this.labelNames, 'le']
    for (const [series, labels] of this.table.known.entries()) {
      const at = series * this.width
      if (labels.length > 0 && this.counts.subarray(at, at + this.width).every((count) => count === 0)) continue
      let below = 0
      for (const [bucket, bound] of this.boundNames.entries()) {
        below += this.counts[at + bucket]!
        yield ['_bucket', bucketNames, [...labels, bound], below]
      }
      yield ['_sum', this.labelNames, labels, this.sums[series]!]
      yield ['_count', this.labelNames, labels, below]
    }
  }
}

/** Numbers that are read when somebody asks; those that cannot be read are left out. */
class Read implements Family {
  readonly type: 'gauge' | 'counter'
  readonly name: string
  readonly help: string
  readonly labelNames: Labels
  private readonly read: () => Reading

  constructor(type: 'gauge' | 'counter', name: string, help: string, labels: Labels, read: () => Reading) {
    this.type = type
    this.name = name
    this.help = help
    this.labelNames = labels
    this.read = read
  }

  *samples(): ReturnType<Family['samples']> {
    const reading = this.read()
    if (reading === undefined) return
    if (typeof reading === 'number') yield ['', [], [], reading]
    else for (const { labels, value } of reading) yield ['', this.labelNames, labels, value]
  }
}

export class Registry {
  private readonly families = new Map<string, Family>()

  counter(name: string, help: string, options?: Options): Counter {
    return this.add(new Counter(name, help, options))
  }

  histogram(name: string, help: string, options: Options & { readonly bounds: readonly number[] }): Histogram {
    return this.add(new Histogram(name, help, options))
  }

  /** A number that goes up and down, read when it is asked for. `undefined`: not known now. */
  gauge(name: string, help: string, read: () => Reading, labels: Labels = []): void {
    this.add(new Read('gauge', name, help, labels, read))
  }

  /** A count that somebody else keeps. */
  reading(name: string, help: string, read: () => Reading, labels: Labels = []): void {
    this.add(new Read('counter', name, help, labels, read))
  }

  get names(): readonly string[] {
    return [...this.families.keys()]
  }

  /** The exposition format of Prometheus, version 0.0.4. */
  text(): string {
    const lines: string[] = []
    for (const family of this.ordered()) {
      const { name, help, type } = family
      lines.push(`# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`, `# TYPE ${name} ${type}`)
      for (const [suffix, names, labels, value] of family.samples())
        lines.push(`${name}${suffix}${labelText(names, labels)} ${numberText(value)}`)
    }
    return `${lines.join('\n')}\n`
  }

  snapshot(): readonly FamilySnapshot[] {
    return this.ordered().map((family) => ({
      name: family.name,
      type: family.type,
      help: family.help,
      samples: [...family.samples()].map(([suffix, names, labels, value]) => ({
        labels: Object.fromEntries([
          ...(suffix === '' ? [] : [['part', suffix.slice(1)]]),
          ...names.map((name, at) => [name, labels[at]]),
        ]) as Record<string, string>,
        value,
      })),
    }))
  }

  private ordered(): readonly Family[] {
    return [...this.families.values()].sort((left, right) => (left.name < right.name ? -1 : 1))
  }

  private add<F extends Family>(family: F): F {
    if (!/^[a-z_][a-z0-9_]*$/.test(family.name)) throw new Error(`${family.name} is no name of a metric`)
    if (this.families.has(family.name)) throw new Error(`there are two metrics named ${family.name}`)
    this.families.set(family.name, family)
    return family
  }
}

function grown(values: Float64Array, index: number): Float64Array {
  const larger = new Float64Array(Math.max(values.length * 2, index + 1))
  larger.set(values)
  return larger
}

function labelText(names: Labels, labels: Labels): string {
  if (names.length === 0) return ''
  return `{${names.map((name, at) => `${name}="${escapeLabel(labels[at] ?? '')}"`).join(',')}}`
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}
