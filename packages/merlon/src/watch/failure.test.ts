import { describe, expect, test } from 'vitest'
import { describeFailure } from './failure.ts'

describe('what a log shows of something thrown', () => {
  test('AL-04: is its class, its code and where, and not what it says', () => {
    const failure = describeFailure(
      Object.assign(new TypeError('no such note: canary'), { code: 'ENOENT', path: 'canary' }),
      false,
    )
    expect(failure).toMatchObject({ type: 'TypeError', code: 'ENOENT' })
    expect(failure.at?.[0]).toContain('failure.test.ts:')
    expect(JSON.stringify(failure)).not.toContain('canary')
  })

  test('says so where it is asked for, shortened, and without keys or passwords', () => {
    const key = `mrl_${'a'.repeat(12)}_${'b'.repeat(49)}`
    const { says } = describeFailure(new Error(`${key} at postgres://merlon:x9Lq@db/x ${'y'.repeat(400)}`), true)
    expect(says).toMatch(/^mrl_… at postgres:\/\/…@db\/x y+$/)
    expect(says).toHaveLength(300)
  })

  test('AL-04: lines of a message that look like frames are not shown', () => {
    const text = 'x\n    at canary (file:///canary:1:1)\n    at canary (file:///canary:1:1)'
    expect(JSON.stringify(describeFailure(new Error(text), false))).not.toContain('canary')
    for (const message of ['changed', '', 'canary']) {
      const changed = new Error(text)
      expect(changed.stack).toContain('canary')
      changed.message = message
      expect(describeFailure(changed, false)).toEqual({ type: 'Error' })
    }
    expect(describeFailure(new Error(''), false).at?.[0]).toContain('failure.test.ts:')
  })

  test.each<[unknown, object]>([
    ['canary', { type: 'string' }],
    [undefined, { type: 'undefined' }],
    [null, { type: 'null' }],
    [{ message: 'canary' }, { type: 'object' }],
  ])('of what is no error only its kind: %j', (thrown, expected) => {
    expect(describeFailure(thrown, true)).toEqual(expected)
  })

  test('AL-04: a name or a code that is a sentence is not shown', () => {
    const named = Object.assign(new Error('x'), { name: 'canary canary', code: 'canary canary' })
    expect(describeFailure(named, false)).toMatchObject({ type: 'Error' })
    expect(JSON.stringify(describeFailure(named, false))).not.toContain('canary')
  })

  test('goes down to the cause of the cause, and ends', () => {
    const round = new Error('a')
    round.cause = round
    let depth = 0
    for (let at: ReturnType<typeof describeFailure> | undefined = describeFailure(round, false); at; at = at.cause)
      depth++
    expect(depth).toBe(4)
  })
})
