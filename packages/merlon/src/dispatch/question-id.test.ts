import { createSecretKey } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isQuestionId, questionId } from './question-id.ts'

const key = createSecretKey(Buffer.alloc(32, 1))

describe('the id of a question', () => {
  test('is one of a kind, plain visible ASCII, and recognised in its session', () => {
    fc.assert(
      fc.property(fc.string(), (session) => {
        const id = questionId(key, session)
        expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/)
        expect(isQuestionId(key, session, id)).toBe(true)
        expect(questionId(key, session)).not.toBe(id)
      }),
    )
  })

  test('SE-13: means nothing in another session, under another key, or altered', () => {
    const id = questionId(key, 's')
    expect(isQuestionId(key, 't', id)).toBe(false)
    expect(isQuestionId(createSecretKey(Buffer.alloc(32, 2)), 's', id)).toBe(false)
    const bytes = Buffer.from(id, 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(isQuestionId(key, 's', flipped.toString('base64url')), `bit ${bit}`).toBe(false)
    }
    for (const other of [`${id}=`, `${id}A`, id.slice(0, -1), ` ${id.slice(1)}`, '', 7, undefined, null, {}])
      expect(isQuestionId(key, 's', other)).toBe(false)
  })
})
