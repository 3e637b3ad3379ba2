import { expect, test } from 'vitest'
import type { Principal } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import { compileCatalog } from './compile.ts'
import { defineResource, defineTool } from './define.ts'
import { changedKinds, type WatchOptions, watchCatalog } from './watch.ts'

/** A folder whose changes, and a clock whose moments, the test decides. */
function stage() {
  const state = {
    changed: (_path?: string) => {},
    failed: (_error: unknown) => {},
    due: new Set<() => void>(),
    scheduled: 0,
    watching: true,
  }
  const options: WatchOptions = {
    watcher: (_folder, changed, failed) => {
      state.changed = (path) => changed(path)
      state.failed = failed
      const close = () => {
        state.watching = false
      }
      return { close }
    },
    schedule: (work) => {
      state.scheduled++
      state.due.add(work)
      return () => {
        state.due.delete(work)
      }
    },
  }
  const pass = () => {
    const due = [...state.due]
    state.due.clear()
    for (const work of due) work()
  }
  return { state, options, pass }
}

test('a burst of changes is told once, after it', async () => {
  const { state, options, pass } = stage()
  let told = 0
  const watch = watchCatalog('src', () => void told++, options)
  state.changed('tools/a.ts')
  state.changed('tools/b.ts')
  state.changed()
  expect(told).toBe(0)
  expect(state.due.size).toBe(1)
  pass()
  expect(told).toBe(1)
  pass()
  expect(told).toBe(1)
  await watch.close()
})

test('what editors leave behind is no change', async () => {
  const { state, options } = stage()
  const watch = watchCatalog('src', () => {}, options)
  for (const path of ['tools/.a.ts.swp', 'tools/a.ts~', 'node_modules/x/index.js', '.git/HEAD']) state.changed(path)
  expect(state.scheduled).toBe(0)
  await watch.close()
})

test('a change during a reload is told after it, and never beside it', async () => {
  const { state, options, pass } = stage()
  const reload = Promise.withResolvers<void>()
  let told = 0
  const watch = watchCatalog(
    'src',
    () => {
      told++
      return reload.promise
    },
    options,
  )
  state.changed('a.ts')
  pass()
  state.changed('a.ts')
  pass()
  expect(told).toBe(1)
  reload.resolve()
  await reload.promise
  await Promise.resolve()
  await Promise.resolve()
  pass()
  expect(told).toBe(2)
  await watch.close()
})

test('what a reload throws is heard, and the next change is told all the same', async () => {
  const { state, options, pass } = stage()
  const heard: unknown[] = []
  const broken = new Error('broken')
  const watch = watchCatalog('src', () => Promise.reject(broken), { ...options, onError: (error) => heard.push(error) })
  state.changed('a.ts')
  pass()
  await Promise.resolve()
  await Promise.resolve()
  state.failed('gone')
  expect(heard).toEqual([broken, 'gone'])
  state.changed('a.ts')
  expect(state.due.size).toBe(1)
  await watch.close()
})

test('closing stops the watcher, forgets what waits, and waits for what runs', async () => {
  const { state, options, pass } = stage()
  const reload = Promise.withResolvers<void>()
  let told = 0
  const watch = watchCatalog(
    'src',
    () => {
      told++
      return reload.promise
    },
    options,
  )
  state.changed('a.ts')
  pass()
  state.changed('a.ts')
  let closed = false
  const closing = watch.close().then(() => {
    closed = true
  })
  expect(state.watching).toBe(false)
  expect(state.due.size).toBe(0)
  await Promise.resolve()
  expect(closed).toBe(false)
  reload.resolve()
  await closing
  state.changed('a.ts')
  expect(state.due.size).toBe(0)
  expect(told).toBe(1)
})

test('the real folder is watched', async () => {
  const told = Promise.withResolvers<void>()
  const { mkdtemp, writeFile, rm } = await import('node:fs/promises')
  const folder = await mkdtemp(`${(await import('node:os')).tmpdir()}/merlon-watch-`)
  const watch = watchCatalog(folder, () => told.resolve(), { quietMs: 1 })
  await writeFile(`${folder}/a.ts`, '')
  await told.promise
  await watch.close()
  await rm(folder, { recursive: true })
})

test('AU-03: only who can see a change is told of it', () => {
  const tool = (name: string, description: string, scope: string) => ({
    file: 'f',
    definition: defineTool({ name, description, scope, input: { type: 'object' }, run: () => 1 }),
  })
  const template = { file: 'f', definition: defineResource({ name: 'n', uriTemplate: 'note://{id}', read: () => '' }) }
  const before = compileCatalog([tool('a', 'one', 'write'), tool('b', 'one', 'admin')])
  const after = compileCatalog([tool('a', 'one', 'write'), tool('b', 'two', 'admin'), template])
  const as = (...scopes: string[]) =>
    ({ granted: scopeSet(scopes), effective: scopeSet(scopes) }) as unknown as Principal
  expect(changedKinds(before, after, as('write'))).toEqual(new Set())
  expect(changedKinds(before, after, as('write', 'read'))).toEqual(new Set(['resources']))
  expect(changedKinds(before, after, as('admin'))).toEqual(new Set(['tools', 'resources']))
  expect(changedKinds(before, before, as('admin'))).toEqual(new Set())
})
