import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { Principal } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import { CatalogError, compileCatalog } from './compile.ts'
import { type CallContext, definePrompt, defineResource, defineTool, type ToolDefinition } from './define.ts'

const file = import.meta.filename
const compile = (...definitions: object[]) => compileCatalog(definitions.map((definition) => ({ file, definition })))

const tool = (name: string, extra: Partial<ToolDefinition> = {}) =>
  defineTool({ name, description: `Does ${name}.`, input: { type: 'object' }, run: () => name, ...extra })
const resource = (name: string, uri: string, scope?: string) =>
  defineResource({ name, uri, read: () => name, ...(scope === undefined ? {} : { scope }) })
const template = (name: string, uriTemplate: string, scope?: string) =>
  defineResource({ name, uriTemplate, read: () => name, ...(scope === undefined ? {} : { scope }) })

/** A principal whose role grants the scopes; its credential may do less. */
const granted = (...scopes: string[]): Principal =>
  Object.freeze({
    id: 'u1',
    kind: 'user',
    tenant: 't1',
    credential: 'key_1',
    role: 'user',
    granted: scopeSet(scopes),
    effective: scopeSet([]),
    expiresAt: 0,
    binding: 'b',
  })

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof CatalogError) return error.problems.map(({ reason }) => reason)
    throw error
  }
  return []
}

describe('a compiled catalog', () => {
  test('AU-01: what names no scope needs write to be called and read to be read', () => {
    const catalog = compile(
      tool('t'),
      resource('r', 'app://r'),
      template('n', 'note://{id}'),
      definePrompt({ name: 'p', get: () => '' }),
    )
    expect(catalog.findTool('t')?.requirement).toEqual({ scope: 'write' })
    expect(catalog.resources[0]?.requirement).toEqual({ scope: 'read' })
    expect(catalog.templates[0]?.requirement).toEqual({ scope: 'read' })
    expect(catalog.findPrompt('p')?.requirement).toEqual({ scope: 'read' })
    expect([...catalog.scopes]).toEqual(['read', 'write'])
  })

  test('lists a tool as clients read it', () => {
    const catalog = compile(
      defineTool({
        name: 'sum',
        title: 'Sum',
        description: 'Adds.',
        icons: [{ src: 'https://example.com/sum.png', sizes: ['48x48'] }],
        input: { type: 'object', properties: { a: { type: 'integer', 'x-mcp-header': 'A' } } },
        output: { type: 'object', properties: { total: { type: 'integer' } } },
        annotations: { readOnlyHint: true },
        scope: 'math:add',
        timeoutMs: 500,
        cost: 5,
        concurrency: 2,
        _meta: { 'example.com/kind': 1 },
        run: ({ a }) => ({ total: a }),
      }),
    )
    const sum = catalog.findTool('sum')
    expect(sum?.listing).toBe(
      '{"name":"sum","title":"Sum","description":"Adds.","icons":[{"src":"https://example.com/sum.png","sizes":["48x48"]}],' +
        '"inputSchema":{"type":"object","properties":{"a":{"type":"integer","x-mcp-header":"A"}}},' +
        '"outputSchema":{"type":"object","properties":{"total":{"type":"integer"}}},' +
        '"annotations":{"readOnlyHint":true},"_meta":{"example.com/kind":1}}',
    )
    expect(sum).toMatchObject({
      requirement: { scope: 'math:add' },
      timeoutMs: 500,
      cost: 5,
      concurrency: 2,
      headerParams: [{ header: 'mcp-param-a', path: ['a'], type: 'integer' }],
    })
    expect(sum?.run({ a: 2 }, {} as CallContext)).toEqual({ total: 2 })
  })

  test('lists resources, templates and prompts without what is ours alone', () => {
    const catalog = compile(
      defineResource({
        name: 'r',
        uri: 'app://r',
        mimeType: 'text/plain',
        size: 3,
        ttlMs: 9,
        scope: 'x',
        read: () => 'abc',
      }),
      defineResource({
        name: 'n',
        uriTemplate: 'note://{id}',
        annotations: { audience: ['user'] },
        complete: { id: () => ['1'] },
        list: () => [],
        read: (_uri, { id }) => id,
      }),
      definePrompt({
        name: 'p',
        arguments: [
          { name: 'topic', description: 'What about.', required: true, complete: () => ['a'] },
          { name: 'tone' },
        ],
        get: ({ topic }) => topic ?? '',
      }),
    )
    expect(catalog.resources[0]?.listing).toBe('{"uri":"app://r","name":"r","mimeType":"text/plain","size":3}')
    expect(catalog.templates[0]?.listing).toBe(
      '{"uriTemplate":"note://{id}","name":"n","annotations":{"audience":["user"]}}',
    )
    expect(catalog.prompts[0]?.listing).toBe(
      '{"name":"p","arguments":[{"name":"topic","description":"What about.","required":true},{"name":"tone"}]}',
    )
    expect(catalog.prompts[0]?.arguments).toEqual([
      { name: 'topic', required: true },
      { name: 'tone', required: false },
    ])
    expect([...catalog.prompts[0]!.complete.keys()]).toEqual(['topic'])
    expect([...catalog.templates[0]!.complete.keys()]).toEqual(['id'])
    expect(catalog.resources[0]?.ttlMs).toBe(9)
    expect(catalog.has).toEqual({ tools: false, prompts: true, resources: true, completions: true })
  })

  test('keeps name order, whatever the order of the files', () => {
    expect(compile(tool('b'), tool('B'), tool('a')).tools.map(({ name }) => name)).toEqual(['B', 'a', 'b'])
  })

  test('TR-16: finds by the exact text of a client and by nothing inherited', () => {
    const catalog = compile(tool('t'), resource('r', 'app://r'))
    for (const name of ['T', 't ', '', 'constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      expect(catalog.findTool(name)).toBeUndefined()
      expect(catalog.findPrompt(name)).toBeUndefined()
      expect(catalog.findResource(name)).toBeUndefined()
      expect(catalog.findTemplate(name)).toBeUndefined()
    }
  })

  test('a fixed resource comes before a template, and templates come in name order', () => {
    const catalog = compile(
      template('b', 'note://{id}'),
      template('a', 'note://{x}/{y}'),
      template('c', 'note://{other}'),
      resource('z', 'note://home'),
    )
    expect(catalog.findResource('note://home')?.resource.name).toBe('z')
    expect(catalog.findResource('note://1')).toMatchObject({ resource: { name: 'b' }, variables: { id: '1' } })
    expect(catalog.findResource('note://1/2')).toMatchObject({ resource: { name: 'a' }, variables: { x: '1', y: '2' } })
    expect(catalog.findTemplate('note://{id}')?.name).toBe('b')
    expect(catalog.findTemplate('note://1')).toBeUndefined()
  })

  test('AU-15: a URI beyond the bound is not looked at', () => {
    const catalog = compile(template('n', 'note://{id}'))
    expect(catalog.findResource(`note://${'a'.repeat(8_000)}`)).toBeDefined()
    expect(catalog.findResource(`note://${'a'.repeat(100_000)}`)).toBeUndefined()
  })

  test('cannot be changed', () => {
    const catalog = compile(tool('t'))
    for (const part of [catalog, catalog.tools, catalog.has, catalog.tools[0], catalog.tools[0]!.requirement])
      expect(Object.isFrozen(part)).toBe(true)
  })
})

describe('AU-03: a list holds what the role may see', () => {
  const catalog = compile(
    tool('a-write'),
    tool('b-admin', { scope: 'admin' }),
    tool('c-files', { scope: 'files:write' }),
    tool('d-write'),
    resource('r', 'app://r'),
  )
  const names = (...scopes: string[]) => catalog.visibleList('tools', granted(...scopes)).map(({ name }) => name)

  test('and nothing else', () => {
    expect(names()).toEqual([])
    expect(names('read')).toEqual([])
    expect(names('write')).toEqual(['a-write', 'd-write'])
    expect(names('files:write', 'other')).toEqual(['c-files'])
    expect(names('admin')).toEqual(['a-write', 'b-admin', 'c-files', 'd-write'])
    expect(catalog.visibleList('resources', granted('write'))).toEqual([])
    expect(catalog.visibleList('resources', granted('read'))).toHaveLength(1)
  })

  test('and is made once for all who see the same', () => {
    expect(catalog.visibleList('tools', granted('write', 'read'))).toBe(
      catalog.visibleList('tools', granted('unknown', 'read', 'write')),
    )
  })

  test('page by page, without a gap or a repetition', () => {
    const seen: string[] = []
    let start: number | undefined = 0
    const bounds: (number | undefined)[] = []
    while (start !== undefined) {
      const page = catalog.listingPage('tools', granted('admin'), start, 3)
      seen.push(...JSON.parse(`[${page.entries}]`).map(({ name }: { name: string }) => name))
      start = page.next
      bounds.push(start)
    }
    expect(seen).toEqual(['a-write', 'b-admin', 'c-files', 'd-write'])
    expect(bounds).toEqual([3, undefined])
  })

  test('and a page is written once', () => {
    expect(catalog.listingPage('tools', granted('write'), 0, 10)).toBe(
      catalog.listingPage('tools', granted('write'), 0, 10),
    )
  })

  test('and a page past the end is empty and the last', () => {
    expect(catalog.listingPage('tools', granted('write'), 2, 2)).toEqual({ entries: '', next: undefined })
    expect(catalog.listingPage('tools', granted('write'), 999, 2)).toEqual({ entries: '', next: undefined })
  })

  test('and is right even when more sets of rights come than are kept', () => {
    const many = compile(...Array.from({ length: 100 }, (_, i) => tool(`t${i}`, { scope: `s${i}` })))
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 100; i++)
        expect(many.listingPage('tools', granted(`s${i}`), 0, 10).entries).toBe(many.findTool(`t${i}`)!.listing)
  })

  test('and is right even when the pages are more than fit', () => {
    const big = compile(
      ...Array.from({ length: 12 }, (_, i) => tool(`t${10 + i}`, { description: 'x'.repeat(2_000_000) })),
    )
    for (let round = 0; round < 20; round++)
      for (let start = 0; start < 12; start++) {
        const { entries } = big.listingPage('tools', granted('write'), start, 1)
        expect(entries).toBe(big.tools[start]!.listing)
      }
    // What gave way is kept again when it is asked for again.
    expect(big.listingPage('tools', granted('write'), 0, 1)).toBe(big.listingPage('tools', granted('write'), 0, 1))
    expect(big.listingPage('tools', granted('write'), 0, 12).entries.length).toBeGreaterThan(24_000_000)
  })
})

describe('a catalog with a mistake', () => {
  test('is refused with all of them at once, each with its place', () => {
    const first = tool('same')
    const second = defineTool({ name: 'same', description: 'd', input: { type: 'object' }, run: () => 1 })
    const third = defineTool({ name: 'a b', description: 'd', input: { type: 'object' }, run: () => 1 })
    const error = (() => {
      try {
        return compile(first, second, third)
      } catch (thrown) {
        return thrown as CatalogError
      }
    })()
    expect(error).toBeInstanceOf(CatalogError)
    expect((error as CatalogError).problems).toMatchObject([
      {
        file,
        line: expect.any(Number),
        column: expect.any(Number),
        reason: `the tool same is already defined in ${file}`,
      },
      { file, reason: 'the tool a b: name must be 1 to 128 of A-Z a-z 0-9 _ - . (what people read goes in title)' },
    ])
    expect((error as CatalogError).message.split('\n')).toHaveLength(2)
  })

  test('that the loader found is refused too', () => {
    expect(problemsOf(() => compileCatalog([], { problems: [{ file, reason: 'does not load' }] }))).toEqual([
      'does not load',
    ])
  })

  const wrong = (extra: object) => tool('t', extra as Partial<ToolDefinition>)
  test.each<[string, object, string]>([
    ['something else', { name: 't' }, 'this is not made with defineTool, defineResource or definePrompt'],
    [
      'no description',
      wrong({ description: undefined }),
      'the tool t: description is missing: clients choose a tool by it',
    ],
    [
      'an empty description',
      wrong({ description: '' }),
      'the tool t: description is missing: clients choose a tool by it',
    ],
    ['a misspelt scope', wrong({ scop: 'admin' }), 'the tool t: Unrecognized key: "scop"'],
    [
      'a scope that is none',
      wrong({ scope: 'Files Write' }),
      'the tool t: scope must be a scope such as read or files:write',
    ],
    ['an empty scope', wrong({ scope: '' }), 'the tool t: scope must be a scope such as read or files:write'],
    ['several scopes', wrong({ scope: ['read'] }), 'the tool t: scope Invalid input: expected string, received array'],
    ['no handler', wrong({ run: 'rm' }), 'the tool t: run must be a function'],
    ['no input', wrong({ input: undefined }), 'the tool t: input must be a schema'],
    [
      'an input that is no object',
      wrong({ input: z.string() }),
      'the tool t: the input schema does not say "type": "object" at its root',
    ],
    [
      'an output that is no object',
      wrong({ output: z.array(z.string()) }),
      'the tool t: the output schema does not say "type": "object" at its root',
    ],
    ['a cost of nothing', wrong({ cost: 0 }), 'the tool t: cost Too small: expected number to be >=1'],
    ['a cost in parts', wrong({ cost: 1.5 }), 'the tool t: cost Invalid input: expected int, received number'],
    ['no place at all', wrong({ concurrency: 0 }), 'the tool t: concurrency Too small: expected number to be >=1'],
    ['a time of nothing', wrong({ timeoutMs: 0 }), 'the tool t: timeoutMs Too small: expected number to be >=1'],
    [
      'an icon by plain http',
      wrong({ icons: [{ src: 'http://x/i.png' }] }),
      'the tool t: icons.0.src must be an https: or data: URI',
    ],
    ['a reserved name', tool('__proto__'), 'the tool __proto__: name is reserved'],
    ['a name of ours', tool('merlon.status'), 'the tool merlon.status: name is reserved'],
    [
      'too long a name',
      tool('a'.repeat(129)),
      `the tool ${'a'.repeat(129)}: name must be 1 to 128 of A-Z a-z 0-9 _ - . (what people read goes in title)`,
    ],
    [
      'a mark that clients refuse',
      wrong({ input: { type: 'object', properties: { a: { type: 'number', 'x-mcp-header': 'A' } } } }),
      'the tool t: the x-mcp-header of a stands on a property whose type is not string, integer or boolean',
    ],
    ['a URI without a scheme', resource('r', '/etc/passwd'), 'the resource r: uri must be a URI such as config://app'],
    [
      'a template that is not understood',
      template('n', 'note://{?q}'),
      'the template n: the template holds {?q}; understood are {id}, {+path}, {/id} and {/path*}',
    ],
    [
      'a completion for nothing',
      defineResource({ name: 'n', uriTemplate: 'note://{id}', complete: { x: () => [] }, read: () => '' }),
      'the template n: complete.x names no variable of the template',
    ],
    [
      'an argument twice',
      definePrompt({ name: 'p', arguments: [{ name: 'a' }, { name: 'a' }], get: () => '' }),
      'the prompt p: the argument a is named twice',
    ],
    ['a prompt that cannot be got', definePrompt({ name: 'p' } as never), 'the prompt p: get must be a function'],
  ])('is refused for %s', (_name, definition, reason) => {
    expect(problemsOf(() => compile(definition))).toEqual([reason])
  })

  test('is refused for a URI or a template that is there twice', () => {
    expect(problemsOf(() => compile(resource('a', 'app://x'), resource('b', 'app://x')))).toEqual([
      `the URI app://x is already defined in ${file}`,
    ])
    expect(problemsOf(() => compile(template('a', 'n://{x}'), template('b', 'n://{x}')))).toEqual([
      `the URI template n://{x} is already defined in ${file}`,
    ])
  })
})
