import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { encodeEvent, encodePriming, heartbeat } from './sse.ts'

interface Event {
  readonly type: string
  readonly data: string
  readonly lastEventId: string
}

/** The interpretation of an event stream (WHATWG HTML §9.2.6), rule by rule. */
function interpret(stream: string): { events: Event[]; retryMs: number | undefined; rest: string } {
  const events: Event[] = []
  let [data, type, lastEventId, retryMs]: [string, string, string, number | undefined] = ['', '', '', undefined]
  const lines = stream.split(/\r\n|\r|\n/)
  const rest = lines.pop()!
  for (const line of lines) {
    if (line === '') {
      if (data !== '') events.push({ type: type === '' ? 'message' : type, data: data.slice(0, -1), lastEventId })
      data = ''
      type = ''
      continue
    }
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') type = value
    else if (field === 'data') data += `${value}\n`
    else if (field === 'id' && !value.includes('\0')) lastEventId = value
    else if (field === 'retry' && /^[0-9]+$/.test(value)) retryMs = Number(value)
  }
  return { events, retryMs, rest }
}

const ends = (text: string) => text.replace(/\r\n|\r|\n/g, '\n')
const text = fc.oneof(
  anyText(),
  fc.string({
    unit: fc.constantFrom('\r', '\n', ':', ' ', 'data', 'id', 'event', 'retry', '0', '\u2028', '\u0085', '\0', 'x'),
  }),
)
const id = fc.option(fc.stringMatching(/^[A-Za-z0-9_-]{32}$/), { nil: undefined })

describe('server-sent events', () => {
  test('TR-24: any text is one event with that text: no line end in it begins a second event or another field', () => {
    fc.assert(
      fc.property(text, id, (data, eventId) => {
        const { events, retryMs, rest } = interpret(encodeEvent(data, eventId))
        expect(events).toEqual([{ type: 'message', data: ends(data), lastEventId: eventId ?? '' }])
        expect([retryMs, rest]).toEqual([undefined, ''])
      }),
      { numRuns: 500 },
    )
  })

  test('what is written one after the other is read one after the other, with the id of each', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(text, id)), (all) => {
        const { events } = interpret(all.map(([data, eventId]) => encodeEvent(data, eventId) + heartbeat).join(''))
        let last = ''
        expect(events.map(({ data, lastEventId }) => [data, lastEventId])).toEqual(
          all.map(([data, eventId]) => {
            last = eventId ?? last
            return [ends(data), last]
          }),
        )
      }),
    )
  })

  test('JSON of any value arrives byte for byte', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.stringify(value)
        expect(interpret(encodeEvent(json, undefined)).events[0]?.data).toBe(json)
      }),
    )
  })

  test('priming is an event without a message, with an id and a wait', () => {
    expect(interpret(encodePriming('abc', 1_500.7))).toEqual({
      events: [{ type: 'message', data: '', lastEventId: 'abc' }],
      retryMs: 1_500,
      rest: '',
    })
  })

  test('a heartbeat is no event', () => {
    expect(interpret(heartbeat)).toEqual({ events: [], retryMs: undefined, rest: '' })
  })
})
