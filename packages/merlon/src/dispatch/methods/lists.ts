import type { Awaitable, Params } from '../../call.ts'
import type { CatalogKind } from '../../catalog/catalog.ts'
import { Fault } from '../../errors.ts'
import { Context } from '../context.ts'
import { type Handler, plain } from '../handler.ts'
import type { Turn } from '../turn.ts'

const read = { scope: 'read' } as const

/** The list methods. Their bytes are ready before the call; a list differs between roles, so it is private to the caller. */
export const listHandlers: readonly Handler[] = [
  list('tools/list', 'tools', 'tools'),
  list('prompts/list', 'prompts', 'prompts'),
  plain('resources/list', read, listResources),
  list('resources/templates/list', 'templates', 'resourceTemplates'),
]

function list(name: string, kind: CatalogKind, member: string): Handler {
  return plain(name, read, (turn) => {
    const page = turn.services.catalog().listingPage(kind, turn.call.principal, startOf(turn), turn.services.pageSize)
    return encodePage(turn, member, page.entries, page.next)
  })
}

/** Fixed resources first, then those that templates list at this moment. */
function listResources(turn: Turn): Awaitable<string> {
  const { catalog, pageSize } = turn.services
  const { principal } = turn.call
  const start = startOf(turn)
  const fixed = catalog().visibleList('resources', principal).length
  const listing = catalog()
    .visibleList('templates', principal)
    .filter((template) => template.list !== undefined)
  if (listing.length === 0 || start + pageSize < fixed) {
    const page = catalog().listingPage('resources', principal, start, pageSize)
    return encodePage(turn, 'resources', page.entries, page.next)
  }
  const ctx = new Context(turn)
  return Promise.all(listing.map((template) => template.list?.(ctx) ?? [])).then((lists) => {
    const found = lists.flat().map((entry) => JSON.stringify(entry))
    const head = start < fixed ? catalog().listingPage('resources', principal, start, pageSize).entries : ''
    const from = Math.max(0, start - fixed)
    const room = pageSize - Math.max(0, fixed - start)
    const tail = found.slice(from, from + room)
    const next = fixed + from + tail.length
    const entries = [...(head === '' ? [] : [head]), ...tail].join(',')
    return encodePage(turn, 'resources', entries, next < fixed + found.length ? next : undefined)
  })
}

function encodePage(turn: Turn, member: string, entries: string, next: number | undefined): string {
  let members = `"${member}":[${entries}]`
  if (next !== undefined)
    members += `,"nextCursor":${JSON.stringify(turn.services.sealer.cursor.seal(String(next), boundTo(turn)))}`
  return turn.call.envelope.revision.result(members, { ttlMs: turn.services.listTtlMs, scope: 'private' })
}

/** Where a page begins. A cursor is sealed for the caller and the method that got it. */
function startOf(turn: Turn): number {
  const { cursor } = turn.call.message.params as Params & { cursor?: unknown }
  if (cursor === undefined) return 0
  const start = typeof cursor === 'string' ? turn.services.sealer.cursor.open(cursor, boundTo(turn)) : undefined
  if (start === undefined) throw new Fault('cursor.invalid')
  return Number(start)
}

function boundTo(turn: Turn): string {
  return ['cursor', turn.call.principal.binding, turn.call.message.method].join('\n')
}
