import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Principal } from '../../call.ts'
import { definePrompt, defineResource, defineTool } from '../../catalog/define.ts'
import { scopeSet } from '../../policy/scopes.ts'
import { alice, serverWith } from '../server.fixture.ts'

const pad = (at: number) => String(at).padStart(3, '0')
const tool = (name: string, scope = 'write') =>
  defineTool({ name, description: 'd', input: { type: 'object' }, scope, run: () => name })
const resource = (name: string, scope = 'read') =>
  defineResource({ name, uri: `app://${name}`, scope, read: () => name })
const listing = (name: string, count: number) =>
  defineResource({
    name,
    uriTemplate: `${name}://{id}`,
    list: () => Array.from({ length: count }, (_, at) => ({ uri: `${name}://${at}`, name: `${name} ${at}` })),
    read: () => undefined,
  })
const seen = (...granted: string[]): Principal => ({ ...alice, granted: scopeSet(granted), binding: granted.join() })

type Server = ReturnType<typeof serverWith>
/** Follows the cursors to the end. */
async function all(server: Server, method: string, member: string, key: string, principal = alice) {
  const pages: string[][] = []
  let cursor: string | undefined
  do {
    const reply = await server.send(method, cursor === undefined ? {} : { cursor }, { principal })
    const result = reply.messages[0]!['result'] as Record<string, unknown>
    pages.push((result[member] as Record<string, string>[]).map((entry) => entry[key]!))
    cursor = result['nextCursor'] as string | undefined
  } while (cursor !== undefined && pages.length < 200)
  return pages
}

describe('lists', () => {
  test('pages neither skip nor repeat, for any number of entries and any size of a page', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 12 }),
        fc.nat({ max: 12 }),
        fc.nat({ max: 12 }),
        fc.integer({ min: 1, max: 7 }),
        async (fixed, first, second, pageSize) => {
          const names = Array.from({ length: fixed }, (_, at) => `r${pad(at)}`)
          const server = serverWith(
            [...names.map((name) => resource(name)), listing('x', first), listing('y', second)],
            { pageSize },
          )
          const pages = await all(server, 'resources/list', 'resources', 'name')
          const expected = [
            ...names,
            ...[
              ['x', first],
              ['y', second],
            ].flatMap(([name, count]) => Array.from({ length: Number(count) }, (_, at) => `${name} ${at}`)),
          ]
          expect(pages.flat()).toEqual(expected)
          expect(pages.slice(0, -1).every((page) => page.length === pageSize)).toBe(true)
          expect(pages.length).toBe(Math.max(1, Math.ceil(expected.length / pageSize)))
        },
      ),
      { numRuns: 60 },
    )
  })

  test.each([
    ['tools/list', 'tools', 'name', (name: string): object => tool(name)],
    ['prompts/list', 'prompts', 'name', (name: string): object => definePrompt({ name, get: () => '' })],
    [
      'resources/templates/list',
      'resourceTemplates',
      'name',
      (name: string): object => defineResource({ name, uriTemplate: `${name}://{id}`, read: () => '' }),
    ],
  ] as const)('%s gives its entries in pages', async (method, member, key, make) => {
    const names = Array.from({ length: 7 }, (_, at) => `n${pad(at)}`)
    const server = serverWith(
      names.map((name) => make(name)),
      { pageSize: 3 },
    )
    expect(await all(server, method, member, key)).toEqual([names.slice(0, 3), names.slice(3, 6), names.slice(6)])
  })

  test('AU-03: hold what the role may see and nothing else, page by page', async () => {
    const names = Array.from({ length: 6 }, (_, at) => `t${pad(at)}`)
    const server = serverWith(
      names.map((name, at) => tool(name, at % 2 === 0 ? 'write' : 'admin')),
      { pageSize: 2 },
    )
    const visible = ['t000', 't002', 't004']
    expect((await all(server, 'tools/list', 'tools', 'name', seen('read', 'write'))).flat()).toEqual(visible)
    expect((await all(server, 'tools/list', 'tools', 'name', seen('admin'))).flat()).toEqual(names)
    expect((await all(server, 'tools/list', 'tools', 'name', seen('read'))).flat()).toEqual([])
  })

  test('AU-08: are private to the caller', async () => {
    const reply = await serverWith([tool('a')]).send('tools/list')
    expect(reply.messages[0]!['result']).toMatchObject({ cacheScope: 'private', ttlMs: 0 })
  })

  test('AU-06: a cursor is good for the principal and the method that got it', async () => {
    const server = serverWith(
      ['a', 'b'].flatMap((name) => [tool(name), resource(name)]),
      { pageSize: 1 },
    )
    const first = await server.send('tools/list')
    const { nextCursor } = first.messages[0]!['result'] as { nextCursor: string }
    const errorOf = async (method: string, cursor: unknown, principal = alice) => {
      const reply = await server.send(method, { cursor }, { principal })
      return (reply.messages[0]!['error'] as { data: { code: string } } | undefined)?.data.code
    }
    expect(await errorOf('tools/list', nextCursor)).toBeUndefined()
    expect(await errorOf('resources/list', nextCursor)).toBe('INVALID_CURSOR')
    expect(await errorOf('tools/list', nextCursor, { ...alice, binding: 'bob' })).toBe('INVALID_CURSOR')
    for (const cursor of ['', '0', '1', 'x', `${nextCursor}=`, nextCursor.slice(1), 7, null, {}])
      expect(await errorOf('tools/list', cursor)).toBe('INVALID_CURSOR')
  })
})
