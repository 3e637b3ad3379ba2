import type { Instant } from '../call.ts'
import type { DataPurpose } from './data-key-store.ts'

/** A record at rest, as far as it can be told without opening it. A store adds where it is. */
export interface SealedRecord {
  /** The id of the key that sealed it; undefined where it names none. */
  readonly key: string | undefined
  readonly tenant: string
}

/**
 * The records of one kind, whosever they are: those who change keys walk over them. Every verb is one atomic act, and what
 * was changed or went away since a record was looked at is left as it is.
 */
export interface SealedRecords {
  /** What a person calls them, as `sessions`. */
  readonly kind: string
  readonly purpose: DataPurpose
  /** At most so many of those that follow a record, or the first, in an order that stays. A shorter page is the last. */
  page(after: SealedRecord | undefined, limit: number): Promise<readonly SealedRecord[]>
  /** Whether it opens. `gone`: there is none in its place. */
  check(record: SealedRecord): Promise<'opens' | 'unreadable' | 'gone'>
  /** Seals it anew with the key that seals now. `gone`: it is not as it was. */
  reseal(record: SealedRecord): Promise<'resealed' | 'unreadable' | 'gone'>
  /** Takes these away, and ends what stands on them. Answers how many there were. */
  drop(records: readonly SealedRecord[], now: Instant): Promise<number>
}

/** All of them, a page at a time; between pages `pause` lets other work go on. */
export async function* pagesOf(
  records: SealedRecords,
  pause: () => Promise<void>,
): AsyncGenerator<readonly SealedRecord[]> {
  for (let after: SealedRecord | undefined; ; ) {
    const page = await records.page(after, pageSize)
    if (page.length > 0) yield page
    if (page.length < pageSize) return
    after = page.at(-1)
    await pause()
  }
}

const pageSize = 100
