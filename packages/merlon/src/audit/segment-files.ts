import { readdir, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { parseSegment } from './record-line.ts'
import { syncFolder } from './sync-folder.ts'
import { firstLine, readHeads } from './verify.ts'

/**
 * The files of a log. The newest keeps the name from the configuration, `audit.jsonl`; those that are closed stand beside it
 * with their number, `audit-000003.jsonl`, and the heads in `audit-heads.jsonl`.
 */
export class SegmentFiles {
  readonly active: string
  readonly heads: string
  /** The lock of the one process that writes. */
  readonly lock: string
  /** A file that is being made ready. */
  readonly draft: string
  /** What a version wrote that did not chain its records; its name is none of `audit*.jsonl`. */
  readonly unchained: string
  private readonly folder: string
  private readonly stem: string
  private readonly ending: string

  constructor(active: string) {
    this.active = active
    this.folder = dirname(active)
    this.ending = extname(active)
    this.stem = basename(active, this.ending)
    this.heads = join(this.folder, `${this.stem}-heads${this.ending}`)
    this.lock = join(this.folder, `${this.stem}.lock`)
    this.draft = `${active}.next`
    this.unchained = join(this.folder, `unchained-${basename(active)}`)
  }

  closed(segment: number): string {
    return join(this.folder, `${this.stem}-${String(segment).padStart(6, '0')}${this.ending}`)
  }

  /** The closed files, oldest first. */
  async listClosed(): Promise<readonly { readonly path: string; readonly segment: number }[]> {
    const found = []
    for (const name of await readdir(this.folder)) {
      const segment = this.numberIn(name)
      if (segment !== undefined) found.push({ path: join(this.folder, name), segment })
    }
    return found.sort((left, right) => left.segment - right.segment)
  }

  /** All files that are there, oldest first. */
  async list(): Promise<readonly string[]> {
    const closed = (await this.listClosed()).map(({ path }) => path)
    const names = await readdir(this.folder)
    return names.includes(basename(this.active)) ? [...closed, this.active] : closed
  }

  /** Gives the draft the name of the newest file. What had it before is closed under its number. */
  async begin(before: number | undefined): Promise<void> {
    if (before !== undefined) await rename(this.active, this.closed(before))
    await rename(this.draft, this.active)
    await syncFolder(this.folder)
  }

  /** Puts the newest file out of the way, under the next number that is free; `undefined` where there is none. */
  async setAside(): Promise<{ readonly path: string; readonly segment: number } | undefined> {
    const last = (await this.listClosed()).at(-1)
    const segment = (last?.segment ?? -1) + 1
    const path = this.closed(segment)
    try {
      await rename(this.active, path)
      return { path, segment }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return last
      throw error
    }
  }

  /** Leaves out heads that cover nothing that is there any more. `left`: the first record of logs that lost some. */
  async forgetHeads(left: ReadonlyMap<string, number>): Promise<void> {
    const there = new Set<string>()
    for (const path of await this.list()) {
      const line = await firstLine(path)
      const segment = line === undefined ? undefined : parseSegment(line)
      if (segment !== undefined) there.add(segment.log)
    }
    const { heads } = await readHeads(this.heads)
    const kept = heads.filter(({ log, size }) => there.has(log) && size > (left.get(log) ?? 0))
    const draft = `${this.heads}.next`
    await writeFile(draft, kept.map((head) => `${JSON.stringify(head)}\n`).join(''), { mode: 0o600, flush: true })
    await rename(draft, this.heads)
    await syncFolder(this.folder)
  }

  private numberIn(name: string): number | undefined {
    const number = name.slice(this.stem.length + 1, name.length - this.ending.length)
    return name.startsWith(`${this.stem}-`) && name.endsWith(this.ending) && /^[0-9]{6,12}$/.test(number)
      ? Number(number)
      : undefined
  }
}
