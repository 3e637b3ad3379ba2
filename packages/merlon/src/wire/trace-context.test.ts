import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { parseTrace, readTrace } from './trace-context.ts'

const id = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = `00-${id}-00f067aa0ba902b7-01`

describe('the trace of a call (W3C Trace Context)', () => {
  test('is taken as it is', () => {
    expect(parseTrace(parent, 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE')).toEqual({
      traceId: id,
      traceparent: parent,
      tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
    })
    expect(parseTrace(parent, undefined)).toEqual({ traceId: id, traceparent: parent })
  })

  test.each<[string, unknown]>([
    ['another version', `01-${id}-00f067aa0ba902b7-01`],
    ['the version that is none', `ff-${id}-00f067aa0ba902b7-01`],
    ['capitals', parent.toUpperCase()],
    ['a trace of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['a parent of zeros', `00-${id}-${'0'.repeat(16)}-01`],
    ['one more part', `${parent}-01`],
    ['a line break', `${parent.slice(0, 54)}\n`],
    ['a space before', ` ${parent}`],
    ['two headers', `${parent}, ${parent}`],
    ['a list', [parent]],
    ['a number', 1],
    ['nothing', ''],
  ])('AL-09: %s is no trace', (_, traceparent) => {
    expect(parseTrace(traceparent, undefined)).toBeUndefined()
  })

  test.each<[string, unknown]>([
    ['a key in capitals', 'Rojo=1'],
    ['no value', 'rojo='],
    ['no key', '=1'],
    ['an equals sign in a value', 'rojo=1=2'],
    ['a control character', 'rojo=1\u001b[31m'],
    ['a line break', 'rojo=1\nx: y'],
    ['a letter beyond ASCII', 'rojo=ü'],
    ['an empty member', 'rojo=1,,congo=2'],
    ['33 members', Array.from({ length: 33 }, (_, at) => `k${at}=1`).join(',')],
    ['513 characters', `a=${'1'.repeat(256)},b=${'1'.repeat(252)}`],
    ['a list', ['rojo=1']],
  ])('AL-09: a state with %s is left out, and the trace kept', (_, tracestate) => {
    expect(parseTrace(parent, tracestate)).toEqual({ traceId: id, traceparent: parent })
  })

  test('a state at its bounds is kept', () => {
    for (const state of [
      Array.from({ length: 32 }, (_, at) => `k${at}=1`).join(','),
      `a=${'1'.repeat(256)},b=${'1'.repeat(251)}`,
      'fw529a3039@dt=FfGQk',
      '0tenant@sys=x',
    ])
      expect(parseTrace(parent, state)?.tracestate).toBe(state)
  })

  test('what stands in _meta is the trace of the message, whatever the header says', () => {
    const other = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`
    expect(readTrace({ traceparent: parent }, { traceparent: other, tracestate: 'a=1' })).toEqual({
      traceId: id,
      traceparent: parent,
    })
    expect(readTrace({}, { traceparent: parent, tracestate: 'a=1' })).toEqual({
      traceId: id,
      traceparent: parent,
      tracestate: 'a=1',
    })
    expect(readTrace({ traceparent: 'x' }, { traceparent: parent })).toBeUndefined()
    expect(readTrace(undefined, {})).toBeUndefined()
  })

  test('AL-05: whatever is sent, what is kept has no character that a terminal acts on', () => {
    fc.assert(
      fc.property(anyText(), anyText(), (left, right) => {
        const kept = parseTrace(parent, `a=${left},b=${right}`)?.tracestate ?? ''
        expect(kept).toMatch(/^[ -~]*$/)
      }),
    )
  })
})
