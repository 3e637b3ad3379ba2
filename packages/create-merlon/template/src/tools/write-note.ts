import { defineTool, ToolError } from 'merlon'
import * as z from 'zod'
import { addNote, noteUri } from '../notes.ts'

export default defineTool({
  name: 'write_note',
  title: 'Write a note',
  description: 'Writes a short note that everyone in your tenant can read. Returns its id and URI.',
  input: z.strictObject({ text: z.string().trim().min(1).max(4_096).describe('What the note says.') }),
  output: z.object({ id: z.int(), uri: z.string() }),
  scope: 'write',
  annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
  run: ({ text }, ctx) => {
    const note = addNote(ctx.principal.tenant, ctx.principal.id, text, ctx.now())
    if (note === undefined) throw new ToolError('There is no room for another note. Delete one first.')
    ctx.notify.resourcesChanged()
    return { id: note.id, uri: noteUri(note.id) }
  },
})
