import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileUriTemplate } from './uri-template.ts'

/** Null-prototype, as `match` answers. */
const values = (given: Record<string, string>) => Object.assign(Object.create(null), given)

describe('a template', () => {
  test.each<[string, string, Record<string, string> | undefined]>([
    ['note://{id}', 'note://7', { id: '7' }],
    ['note://{id}', 'note://', undefined],
    ['note://{id}', 'note://a/b', undefined],
    ['note://{id}', 'note://a?b', undefined],
    ['note://{id}', 'note://a#b', undefined],
    ['note://{id}', 'NOTE://a', undefined],
    ['note://{id}', 'note://%C3%BC%20', { id: 'ü ' }],
    ['note://{id}', 'note://ü', undefined],
    ['note://{id}', 'note://100%25', { id: '100%' }],
    ['note://{__proto__}', 'note://x', { ['__proto__']: 'x' }],
    ['test://template/{id}/data', 'test://template/123/data', { id: '123' }],
    ['test://template/{id}/data', 'test://template//data', undefined],
    ['test://template/{id}/data', 'test://template/data', undefined],
    ['file:///{name}.{ext}', 'file:///a.tar.gz', { name: 'a', ext: 'tar.gz' }],
    ['file:///{name}.{ext}', 'file:///.a.b', { name: '.a', ext: 'b' }],
    ['file:///{name}.{ext}', 'file:///a.', undefined],
    ['a:{x}.{y}', 'a:bcd', undefined],
    ['file:///{name}.{ext}', 'file:///.b', undefined],
    ['repo://{owner}/{name}{/path*}', 'repo://o/n/a/b%20c', { owner: 'o', name: 'n', path: 'a/b c' }],
    ['repo://{owner}/{name}{/path*}', 'repo://o/n/', undefined],
    ['repo://{owner}{/name}', 'repo://o/n', { owner: 'o', name: 'n' }],
    ['repo://{owner}{/name}', 'repo://o/n/m', undefined],
    ['file:///{+path}', 'file:///a/b.txt', { path: 'a/b.txt' }],
    ['file:///{+path}/raw', 'file:///a/raw/b/raw', { path: 'a/raw/b' }],
    ['app:fixed', 'app:fixed', {}],
    ['app:fixed', 'app:other', undefined],
  ])('%s against %s', (template, uri, expected) => {
    const match = compileUriTemplate(template).match(uri)
    expect(match).toEqual(expected === undefined ? undefined : values(expected))
    if (match !== undefined) expect(Object.getPrototypeOf(match)).toBe(null)
  })

  test('keeps its variables in order', () => {
    expect(compileUriTemplate('repo://{owner}/{name}{/path*}').variables).toEqual(['owner', 'name', 'path'])
  })

  test.each([
    ['{scheme}://x', 'does not begin with a scheme'],
    ['note://{id', 'opens a { that it does not close'],
    ['note://{}', 'understood are'],
    ['note://{?q}', 'understood are {id}, {+path}, {/id} and {/path*}'],
    ['note://{#q}', 'understood are'],
    ['note://{a,b}', 'understood are'],
    ['note://{a:3}', 'understood are'],
    ['note://{a*}', 'understood are'],
    ['note://{+a*}', 'understood are'],
    ['note://{a}{b}', 'nothing between {a} and {b}'],
    ['note://{a}{+b}', 'nothing between {a} and {+b}'],
    ['note://{a}/{a}', 'names {a} twice'],
    ['note://a b/{a}', 'a character that no URI has'],
    ['note://}/{a}', 'a character that no URI has'],
    [`note://${'a'.repeat(1_100)}`, 'longer than'],
  ])('%s is refused', (template, reason) => {
    expect(() => compileUriTemplate(template)).toThrow(reason)
  })
})

describe('AU-14: nothing leads out of its place', () => {
  const segment = compileUriTemplate('note://{id}')
  const path = compileUriTemplate('file:///{+path}')
  const exploded = compileUriTemplate('file://{/path*}')

  test.each([
    '..',
    '.',
    '%2e%2e',
    '%2E%2E',
    '.%2e',
    '%2e',
    'a%2f..',
    '%2f',
    '%2F',
    '%5c',
    '%5C',
    '..%5c',
    '%00',
    'a%00',
    '%0a',
    '%1F',
    '%7f',
    '%252e%252e',
    '%25252e',
    '%252f',
    '%255c',
    '%2500',
    '%',
    '%2',
    '%zz',
    '%c0%ae%c0%ae',
    '%e0%80%af',
    '%ed%a0%80',
    '%ff',
    'a\\b',
    '..\\',
    'a b',
    'a\u0000',
    '\u202e',
    '[',
    '^',
    '`',
    '"',
    '<',
    '{',
    '|',
  ])('%j is no value', (value) => {
    expect(segment.match(`note://${value}`)).toBeUndefined()
    for (const template of [path, exploded])
      for (const uri of [`file:///${value}`, `file:///a/${value}`, `file:///${value}/b`, `file:///a/${value}/b`])
        expect(template.match(uri)).toBeUndefined()
  })

  test.each([
    'file:////etc/passwd',
    'file:////server/share',
    'file:///a//b',
    'file:///a/',
    'file:///../x',
    'file:///a/../b',
  ])('%s names no path', (uri) => {
    expect(path.match(uri)).toBeUndefined()
    expect(exploded.match(uri)).toBeUndefined()
  })

  test('a value never holds what a check was to keep out, whatever is sent', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '.',
        '..',
        '/',
        '%2e',
        '%2f',
        '%5c',
        '%25',
        '\\',
        '%00',
        '%',
        'a',
        'ü',
        '%c3%bc',
        ':',
        '?',
        '#',
        '//',
      ),
      fc.string({ maxLength: 3 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join('')
        const id = segment.match(`note://${text}`)?.['id']
        if (id !== undefined) expect(id).not.toMatch(/^$|^\.\.?$|[/\\\u0000-\u001f\u007f]|%(?:2e|2f|5c|00)/i)
        const found = path.match(`file:///${text}`)?.['path']
        if (found !== undefined) {
          expect(found).not.toMatch(/[\\\u0000-\u001f\u007f]|%(?:2e|2f|5c|00)/i)
          for (const step of found.split('/')) expect(['', '.', '..']).not.toContain(step)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('what was encoded comes back as it was', () => {
    const plain = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((text) => text.isWellFormed() && !/[/\\%\p{Cc}]/u.test(text) && text !== '.' && text !== '..')
    fc.assert(
      fc.property(plain, (text) => {
        expect(segment.match(`note://${encodeURIComponent(text)}`)).toEqual(values({ id: text }))
      }),
      { numRuns: 300 },
    )
  })
})

test('AU-15: hostile URIs of 100 KB are read once', () => {
  const templates = [
    'user://{/id*}',
    'user:///{+id}',
    'user:///{id}',
    'user:///{a},{b},{c},{d}!',
    'user:///{+a}/a/{+b}/a/{+c}',
  ].map(compileUriTemplate)
  const hostile = [
    'a,'.repeat(50_000),
    '/a'.repeat(50_000),
    '%'.repeat(100_000),
    '%25'.repeat(33_000),
    'a/a/'.repeat(25_000),
    ','.repeat(100_000),
  ]
  for (const text of hostile)
    for (const template of templates) {
      // The exclamation mark lets the match fail at the very end.
      const match = template.match(`user:///${text}!`)
      for (const value of Object.values(match ?? {})) expect(value.length).toBeLessThan(100_100)
    }
})
