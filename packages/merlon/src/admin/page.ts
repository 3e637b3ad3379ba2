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

/** Where a cursor is good: for this caller, this list and these filters. */
export function place({ principal }: ControlContext, list: string, filters: Readonly<Record<string, unknown>>): string {
  return ['control', principal.binding, list, JSON.stringify(Object.entries(filters).sort())].join('\n')
}

/** Where the page before ended. */
export function cursorOf({ parts }: ControlContext, cursor: string | undefined, boundTo: string): string | undefined {
  if (cursor === undefined) return undefined
  const after = parts.cursors.open(cursor, boundTo)
  if (after === undefined)
    throw invalid([{ path: 'query.cursor', says: 'not a cursor of this list', expected: '`next` of the page before' }])
  return after
}

/**
 * One page of a list in the order of ids. The cursor is sealed for the caller, the list and its filters: another's, or one
 * for another question, is no cursor.
 */
export async function page<Item extends { readonly id: string }, Shown>(
  context: ControlContext,
  list: string,
  { limit = pageSize, cursor, ...filters }: PageQuery & Readonly<Record<string, unknown>>,
  fetch: (page: { readonly limit: number; readonly after?: string }) => Awaitable<readonly Item[]>,
  show: (item: Item) => Shown,
): Promise<{ items: Shown[]; next?: string }> {
  const boundTo = place(context, list, filters)
  const after = cursorOf(context, cursor, boundTo)
  // One more than is shown tells whether there is more.
  const found = await fetch({ limit: limit + 1, ...(after === undefined ? {} : { after }) })
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map(show),
    ...(found.length <= limit || last === undefined ? {} : { next: context.parts.cursors.seal(last.id, boundTo) }),
  }
}
