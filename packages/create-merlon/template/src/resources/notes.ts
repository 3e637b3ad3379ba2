import { defineResource } from 'merlon'
import { findNote, listNotes, noteUri } from '../notes.ts'

export default defineResource({
  name: 'note',
  title: 'Notes',
  description: 'A note of your tenant, by its id.',
  uriTemplate: 'note://{id}',
  mimeType: 'application/json',
  list: (ctx) => listNotes(ctx.principal.tenant).map(({ id }) => ({ uri: noteUri(id), name: `note ${id}` })),
  complete: {
    id: (begun, _context, ctx) =>
      listNotes(ctx.principal.tenant)
        .map(({ id }) => String(id))
        .filter((id) => id.startsWith(begun)),
  },
  read: (uri, { id }, ctx) => {
    const note = findNote(ctx.principal.tenant, Number(id))
    return note !== undefined && noteUri(note.id) === uri ? JSON.stringify(note) : undefined
  },
})
