import { expect, test } from 'vitest'
import * as z from 'zod'
import { compileSchema } from './schema.ts'
import { mayBeAsync } from './zod-async.ts'

test('a schema without code of its author answers at once', () => {
  const plain = z.strictObject({
    id: z.string().min(1).max(8).regex(/^a/),
    kind: z.enum(['x', 'y']).default('x'),
    tags: z.array(z.union([z.int(), z.literal('all')])).optional(),
    more: z.record(z.string(), z.number().nullable()),
  })
  expect(mayBeAsync(plain)).toBe(false)
  expect(compileSchema(plain, 'input').check({ id: 'a', more: {} })).toEqual({
    ok: true,
    value: { id: 'a', kind: 'x', more: {} },
  })
})

test.each([
  ['a refinement', z.strictObject({ a: z.string().refine(async () => true) })],
  [
    'one that lies deep',
    z.strictObject({ a: z.array(z.strictObject({ b: z.string().refine(() => true) })).optional() }),
  ],
  ['one of the whole', z.strictObject({ a: z.string() }).check(async () => undefined)],
  ['a schema that is made when it is needed', z.strictObject({ a: z.lazy(() => z.string()) })],
])('%s may take a promise', (_what, schema) => {
  expect(mayBeAsync(schema)).toBe(true)
})

test('an asynchronous refinement runs once, and its rejection is heard by the caller alone', async () => {
  let runs = 0
  const schema = z.strictObject({
    a: z.string().refine(async (value) => {
      runs++
      if (value === 'down') throw new Error('the directory is down')
      return value === 'good'
    }),
  })
  const { check } = compileSchema(schema, 'input')
  expect(await check({ a: 'good' })).toEqual({ ok: true, value: { a: 'good' } })
  expect(runs).toBe(1)
  expect(await check({ a: 'bad' })).toMatchObject({ ok: false })
  // vitest fails the run if a rejection goes unheard.
  await expect(check({ a: 'down' })).rejects.toThrow('the directory is down')
  expect(runs).toBe(3)
})

test('what is no zod schema is not judged', () => {
  expect(mayBeAsync({ type: 'object' })).toBeUndefined()
})
