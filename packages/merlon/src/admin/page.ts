import * as z from 'zod'
import type { Awaitable } from '../call.ts'
import { invalid } from './fields.ts'
import type { ControlContext } from './operation.ts'

const pageSize = 50
const pageSizeMax = 200

/** A whole number written in decimal digits, as a query carries it. */
export function integer(min: number, max: number) {
  return z.preprocess(
    (text) => (typeof text === 'string' && /^[0-9]{1,15}$/.test(text) ? Number(text) : text),
    z.int().min(min).max(max),
  )
}

/** What every list takes. */
export const paging = {
  limit: integer(1, pageSizeMax).optional().describe(`Entries in one page. Default ${pageSize}.`),
  cursor: z
    .string()
    .max(1_024)
    .optional()
    .describe('`next` of the page before. It is good for this caller and this list.'),
}

export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    items: z.array(item),
    next: z.string().optional().describe('The cursor of the next page. Absent on the last.'),
  })
}

type PageQuery = { readonly limit?: number | undefined; readonly cursor?: string | undefined }

/**
 * One page of a list in the order of ids. The cursor is sealed for the caller, the list and its filters: another's, or one
 * for another question, is no cursor.
 */
export async function page<Item extends { readonly id: string }, Shown>(
  { principal, parts }: ControlContext,
  list: string,
  { limit = pageSize, cursor, ...filters }: PageQuery & Readonly<Record<string, unknown>>,
  fetch: (page: { readonly limit: number; readonly after?: string }) => Awaitable<readonly Item[]>,
  show: (item: Item) => Shown,
): Promise<{ items: Shown[]; next?: string }> {
  const boundTo = ['control', principal.binding, list, JSON.stringify(Object.entries(filters).sort())].join('\n')
  const after = cursor === undefined ? undefined : parts.cursors.open(cursor, boundTo)
  if (cursor !== undefined && after === undefined)
    throw invalid([{ path: 'query.cursor', says: 'not a cursor of this list', expected: '`next` of the page before' }])
  // One more than is shown tells whether there is more.
  const found = await fetch({ limit: limit + 1, ...(after === undefined ? {} : { after }) })
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map(show),
    ...(found.length <= limit || last === undefined ? {} : { next: parts.cursors.seal(last.id, boundTo) }),
  }
}
