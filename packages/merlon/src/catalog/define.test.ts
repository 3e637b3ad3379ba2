import { expect, expectTypeOf, test } from 'vitest'
import * as z from 'zod'
import {
  type CallContext,
  type Definition,
  definePrompt,
  defineResource,
  defineTool,
  definition,
  originOf,
} from './define.ts'

test('a handler is typed by its input', () => {
  defineTool({
    name: 't',
    description: 'd',
    input: z.strictObject({ id: z.string(), count: z.int().default(1), tag: z.string().optional() }),
    output: z.strictObject({ ok: z.boolean() }),
    run: (input, ctx) => {
      expectTypeOf(input).toEqualTypeOf<{ id: string; count: number; tag?: string | undefined }>()
      expectTypeOf(ctx).toEqualTypeOf<CallContext>()
      return { ok: true }
    },
  })
})

test('a JSON Schema types its input as an object of anything', () => {
  defineTool({
    name: 't',
    description: 'd',
    input: { type: 'object', properties: { id: { type: 'string' } } },
    run: (input) => {
      expectTypeOf(input).toEqualTypeOf<Record<string, unknown>>()
    },
  })
})

test('a resource is typed by whether it is one or many', () => {
  defineResource({
    name: 'r',
    uri: 'app://r',
    read: (uri, ctx) => {
      expectTypeOf(uri).toEqualTypeOf<string>()
      expectTypeOf(ctx).toEqualTypeOf<CallContext>()
      return ''
    },
  })
  defineResource({
    name: 'r',
    uriTemplate: 'note://{id}',
    read: (_uri, variables, ctx) => {
      expectTypeOf(variables).toEqualTypeOf<Readonly<Record<string, string>>>()
      expectTypeOf(ctx).toEqualTypeOf<CallContext>()
      return undefined
    },
  })
})

test('an unknown property does not compile', () => {
  // @ts-expect-error: scope is misspelt
  defineTool({ name: 't', description: 'd', input: z.strictObject({}), scop: 'admin', run: () => 1 })
})

test('what is defined is frozen, marked with its kind, and knows where', () => {
  const here = Number(/:([0-9]+):[0-9]+\)?$/.exec(new Error().stack!.split('\n')[1]!)![1])
  const defined: [object, string][] = [
    [defineTool({ name: 't', description: 'd', input: {}, run: () => 1 }), 'tool'],
    [defineResource({ name: 'r', uri: 'app://r', read: () => '' }), 'resource'],
    [defineResource({ name: 'n', uriTemplate: 'note://{id}', read: () => '' }), 'template'],
    [definePrompt({ name: 'p', get: () => '' }), 'prompt'],
  ]
  for (const [i, [value, kind]] of defined.entries()) {
    expect(Object.isFrozen(value)).toBe(true)
    expect((value as Definition)[definition]).toBe(kind)
    expect(originOf(value)).toMatchObject({ file: import.meta.filename, line: here + 2 + i })
  }
})
