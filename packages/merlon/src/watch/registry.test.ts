import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { Registry } from './registry.ts'

describe('the exposition (Prometheus text format 0.0.4)', () => {
  test('is in the order of names, with help and type before the samples', () => {
    const registry = new Registry()
    const calls = registry.counter('calls_total', 'Calls.\nAll \\ of them.', { labels: ['method', 'outcome'] })
    calls.count('tools/call', 'completed')
    calls.count('tools/call', 'completed')
    calls.series('tools/list', 'completed')
    registry.gauge('a_gauge', 'A gauge.', () => 0.5)
    registry.gauge('no_gauge', 'Not known now.', () => undefined)
    registry.gauge('up', 'By store.', () => [{ labels: ['sql'], value: 1 }], ['store'])
    registry.counter('none_total', 'None yet.')
    expect(registry.text()).toBe(`# HELP a_gauge A gauge.
# TYPE a_gauge gauge
a_gauge 0.5
# HELP calls_total Calls.\\nAll \\\\ of them.
# TYPE calls_total counter
calls_total{method="tools/call",outcome="completed"} 2
# HELP no_gauge Not known now.
# TYPE no_gauge gauge
# HELP none_total None yet.
# TYPE none_total counter
none_total 0
# HELP up By store.
# TYPE up gauge
up{store="sql"} 1
`)
  })

  test('a histogram counts what is at most each bound, and all', () => {
    const registry = new Registry()
    const seconds = registry.histogram('seconds', 'Time.', { bounds: [0.1, 1], labels: ['method'] })
    const at = seconds.series('x')
    seconds.series('never')
    for (const value of [0, 0.1, 0.5, 1, 1.5]) seconds.observe(at, value)
    expect(registry.text()).toBe(`# HELP seconds Time.
# TYPE seconds histogram
seconds_bucket{method="x",le="0.1"} 2
seconds_bucket{method="x",le="1"} 4
seconds_bucket{method="x",le="+Inf"} 5
seconds_sum{method="x"} 3.1
seconds_count{method="x"} 5
`)
  })

  test('a label holds any text, and makes no second line and no second label', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        const registry = new Registry()
        registry.counter('c_total', 'C.', { labels: ['name'] }).count(text)
        const lines = registry.text().split('\n')
        expect(lines).toHaveLength(4)
        const shown = /^c_total\{name="((?:[^"\\]|\\["\\n])*)"\} 1$/.exec(lines[2] ?? '')?.[1]
        expect(shown?.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))).toBe(text)
      }),
    )
  })

  test('numbers that are not finite have their names', () => {
    const registry = new Registry()
    registry.gauge(
      'n',
      'N.',
      () => [Number.NaN, Infinity, -Infinity].map((value, at) => ({ labels: [`${at}`], value })),
      ['at'],
    )
    expect(registry.text().split('\n').slice(2, 5)).toEqual(['n{at="0"} NaN', 'n{at="1"} +Inf', 'n{at="2"} -Inf'])
  })
})

describe('series', () => {
  test('are as many as they may be, and the others are counted together', () => {
    const registry = new Registry()
    const counter = registry.counter('c_total', 'C.', { labels: ['tool', 'outcome'], seriesMax: 3 })
    for (const tool of ['a', 'b', 'c', 'd', 'a', 'e']) counter.count(tool, 'completed')
    expect(registry.snapshot()[0]?.samples).toEqual([
      { labels: { tool: 'a', outcome: 'completed' }, value: 2 },
      { labels: { tool: 'b', outcome: 'completed' }, value: 1 },
      { labels: { tool: 'other', outcome: 'other' }, value: 3 },
    ])
  })

  test('keep their index and their count however many come after', () => {
    const registry = new Registry()
    const counter = registry.counter('c_total', 'C.', { labels: ['n'] })
    const histogram = registry.histogram('h', 'H.', { bounds: [1], labels: ['n'] })
    const series = Array.from({ length: 50 }, (_, at) => [counter.series(`${at}`), histogram.series(`${at}`)] as const)
    for (const [at, [counted, observed]] of series.entries()) {
      counter.add(counted, at)
      histogram.observe(observed, at)
      expect([counter.series(`${at}`), histogram.series(`${at}`)]).toEqual([counted, observed])
    }
    expect(series.map(([counted]) => counter.value(counted))).toEqual(Array.from({ length: 50 }, (_, at) => at))
    expect(registry.text()).toContain('h_sum{n="49"} 49\n')
  })

  test('names that are taken, or that are none, are refused', () => {
    const registry = new Registry()
    const counter = registry.counter('c_total', 'C.', { labels: ['n'] })
    expect(() => registry.gauge('c_total', 'C.', () => 1)).toThrow('there are two metrics named c_total')
    expect(() => registry.counter('c-total', 'C.')).toThrow('c-total is no name of a metric')
    expect(() => counter.series()).toThrow('a series of 1 labels was given 0')
  })
})
