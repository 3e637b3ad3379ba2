import { describe, expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import { arrivalOf, gateWith } from './arrival.fixture.ts'
import { proved } from './chain.ts'
import { checkLoad } from './check-load.ts'

describe('checkLoad', () => {
  test('takes calls unless the gate says why not', () => {
    expect(checkLoad(arrivalOf({}))).toBe(proved)
    for (const why of ['server.draining', 'capacity.exceeded'] as const)
      expect(() => checkLoad(arrivalOf({}, gateWith({ refusing: () => why })))).toThrow(
        expect.objectContaining({ code: why, detail: { retryAfterMs: 1_000 } }),
      )
  })

  test('a call that could not be recorded is not taken', () => {
    const gate = gateWith({
      refusing: () => {
        throw new Fault('audit.unavailable')
      },
    })
    expect(() => checkLoad(arrivalOf({}, gate))).toThrow(expect.objectContaining({ code: 'audit.unavailable' }))
  })
})
