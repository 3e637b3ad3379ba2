import type { Principal } from '../call.ts'
import type { Catalog, CatalogKind } from './catalog.ts'
import { type FolderWatcher, watchFolder } from './folder-watcher.ts'

/** Runs `work` after `delayMs`, unless the answer is called first. */
export type Schedule = (work: () => void, delayMs: number) => () => void

export interface WatchOptions {
  /** How long it has to be quiet before a change is told. Default 100. */
  readonly quietMs?: number
  /** Hears what `onChange` threw, and of a folder that can no longer be watched. */
  readonly onError?: (error: unknown) => void
  readonly watcher?: FolderWatcher
  readonly schedule?: Schedule
}

export interface Watch {
  /** Stops, and waits for an `onChange` that runs. */
  close(): Promise<void>
}

/** Calls `onChange` when something below the folder changed and then stayed quiet: once for a burst, never twice at a time. */
export function watchCatalog(
  folder: string,
  onChange: () => void | Promise<void>,
  { quietMs = 100, onError = () => {}, watcher = watchFolder, schedule = systemSchedule }: WatchOptions = {},
): Watch {
  let closed = false
  let running: Promise<void> | undefined
  let again = false
  let cancel: (() => void) | undefined

  const run = async (): Promise<void> => {
    try {
      await onChange()
    } catch (error) {
      onError(error)
    }
    running = undefined
    if (again && !closed) wait()
    again = false
  }
  const wait = (): void => {
    cancel?.()
    cancel = schedule(() => {
      cancel = undefined
      if (running === undefined) running = run()
      else again = true
    }, quietMs)
  }
  const watching = watcher(
    folder,
    (path) => {
      if (!closed && (path === undefined || isSource(path))) wait()
    },
    onError,
  )

  return {
    async close() {
      closed = true
      cancel?.()
      watching.close()
      await running
    },
  }
}

/** Not what editors and package managers leave behind. */
function isSource(path: string): boolean {
  return !path.split(/[\\/]/).some((name) => name.startsWith('.') || name.endsWith('~') || name === 'node_modules')
}

const systemSchedule: Schedule = (work, delayMs) => {
  const timer = setTimeout(work, delayMs)
  return () => clearTimeout(timer)
}

const announced: Readonly<Record<CatalogKind, 'tools' | 'prompts' | 'resources'>> = {
  tools: 'tools',
  prompts: 'prompts',
  resources: 'resources',
  templates: 'resources',
}

/** Which lists this principal sees differently; `resources` stands for templates too. What it cannot see is no change to it. */
export function changedKinds(
  before: Catalog,
  after: Catalog,
  principal: Principal,
): ReadonlySet<'tools' | 'prompts' | 'resources'> {
  const changed = new Set<'tools' | 'prompts' | 'resources'>()
  for (const kind of Object.keys(announced) as CatalogKind[]) {
    const was = before.visibleList(kind, principal)
    const is = after.visibleList(kind, principal)
    if (was.length !== is.length || was.some(({ listing }, i) => listing !== is[i]?.listing))
      changed.add(announced[kind])
  }
  return changed
}
