/** One note of one tenant. */
export interface Note {
  readonly id: number
  readonly text: string
  readonly author: string
  readonly writtenAt: string
}

const notesPerTenant = 1_000

/** Notes of each tenant, kept in memory: they are gone when the process ends. */
const tenants = new Map<string, { last: number; readonly notes: Map<number, Note> }>()

/** Writes a note, or returns `undefined` where the tenant has no room left. Ids are never used again. */
export function addNote(tenant: string, author: string, text: string, now: number): Note | undefined {
  const shelf = tenants.get(tenant) ?? { last: 0, notes: new Map<number, Note>() }
  if (shelf.notes.size >= notesPerTenant) return undefined
  tenants.set(tenant, shelf)
  shelf.last += 1
  const note: Note = { id: shelf.last, text, author, writtenAt: new Date(now).toISOString() }
  shelf.notes.set(note.id, note)
  return note
}

export function listNotes(tenant: string): readonly Note[] {
  return [...(tenants.get(tenant)?.notes.values() ?? [])]
}

/** A note of another tenant is `undefined`, as one that never was. */
export function findNote(tenant: string, id: number): Note | undefined {
  return tenants.get(tenant)?.notes.get(id)
}

/** Whether there was a note to delete. */
export function deleteNote(tenant: string, id: number): boolean {
  return tenants.get(tenant)?.notes.delete(id) ?? false
}

export function noteUri(id: number): string {
  return `note://${id}`
}
