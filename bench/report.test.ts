import { expect, test } from 'vitest'
import { parseCount } from './instructions.ts'
import type { Round } from './measure.ts'
import { parseOptions } from './options.ts'
import { judge, type Measured, summarize, toMarkdown } from './report.ts'

function round(cpuMicrosPerCall: number): Round {
  return {
    cpuMicrosPerCall,
    instructionsPerCall: cpuMicrosPerCall * 7_000,
    callsPerSecond: 1_000_000 / cpuMicrosPerCall,
    p50Micros: 100,
    p99Micros: 300,
    serverBusy: 1,
    generatorBusy: 0.5,
    calls: 1_000,
    errors: 0,
    firstError: undefined,
  }
}

function row(name: string, cpu: readonly number[], more: Partial<Measured> = {}): Measured {
  return {
    name,
    says: `what ${name} is`,
    against: undefined,
    flatAgainst: undefined,
    errors: 0,
    rounds: cpu.map(round),
    half: [],
    held: [],
    ...more,
  }
}

const raw = row('raw', [10, 100, 10])
const sdk = row('sdk-v2', [160, 1_600, 160])
const machine = {
  date: '2026-08-01',
  commit: 'abc1234',
  changed: false,
  node: 'v24.0.0',
  kernel: '6',
  cpu: 'a core',
  cores: 2,
  loadBefore: 0,
  versions: { zod: '4.0.0' },
}

test('ratios are to raw and to the row of the SDK that does the same work', () => {
  const merlon = row('merlon', [16, 160, 17], { against: 'sdk-v2' })
  const summary = summarize(merlon, [raw, sdk, merlon])
  expect(summary.cpuMicros).toBe(17)
  expect(summary.cpuToRaw).toBe(1.6)
  expect(summary.instructionsToRaw).toBe(1.6)
  expect(summary.cpuToSdk).toBe(0.1)
})

test('a target is met, missed, or not measured, and never guessed', () => {
  const merlon = row('merlon', [30, 300, 30], { against: 'sdk-v2' })
  const found = new Map(judge([raw, sdk, merlon]).map((target) => [target.what, target]))
  expect(found.get('call, 2026-07-28 JSON: CPU to raw')).toEqual({
    what: 'call, 2026-07-28 JSON: CPU to raw',
    wanted: '≤ 2',
    found: '3.00',
    met: false,
  })
  expect(found.get('call in a session, JSON: CPU to raw')?.met).toBeUndefined()
})

test('a tail is not judged where calls queued up at half of saturation', () => {
  const calm = { perSecond: 1_000, p50Micros: 50, p99Micros: 150 }
  const queued = { perSecond: 1_000, p50Micros: 90_000, p99Micros: 180_000 }
  expect(summarize(row('merlon', [16], { half: [calm, queued, calm] }), []).halfSpread).toBe(3)
  expect(summarize(row('merlon', [16], { half: [queued, queued, calm] }), []).halfSpread).toBeNaN()
})

test('a row with an error shows no number', () => {
  const broken = row('merlon', [16], { errors: 2, firstError: '500 oops' })
  const markdown = toMarkdown([raw, broken], machine, [])
  expect(markdown).toMatch(/\| merlon +\| invalid \| +– \|/)
  expect(markdown).toContain('- **merlon**: 2 errors, the first: `500 oops`')
})

test('a row that could not run is named with its reason', () => {
  const absent = row('xmcp', [], { left: 'it needs a network' })
  expect(toMarkdown([raw, absent], machine, [])).toContain('## Left out\n\n- **xmcp**: it needs a network')
})

test('a count of perf is read only where it was counted', () => {
  expect(parseCount('123456,,instructions,1000,100.00,,\n', 'instructions')).toBe(123_456)
  expect(parseCount('<not supported>,,instructions,0,100.00,,\n', 'instructions')).toBeUndefined()
  expect(parseCount('', 'instructions')).toBeUndefined()
})

test('the command line knows its options and refuses others', () => {
  expect(parseOptions(['--quick', '--only', 'raw,merlon', '--rounds', '3'])).toMatchObject({
    only: ['raw', 'merlon'],
    rounds: 3,
    connections: 32,
    full: false,
  })
  expect(() => parseOptions(['--rounds', '0'])).toThrow('--rounds must be a whole number of at least 1')
  expect(() => parseOptions(['--fast'])).toThrow()
})
