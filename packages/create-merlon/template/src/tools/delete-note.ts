import { defineTool, ToolError } from 'merlon'
import * as z from 'zod'
import { deleteNote, findNote } from '../notes.ts'

export default defineTool({
  name: 'delete_note',
  title: 'Delete a note',
  description: 'Deletes a note after a person has agreed to it.',
  input: z.strictObject({ id: z.int().min(1).describe('The id of the note.') }),
  scope: 'write',
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  run: async ({ id }, ctx) => {
    const note = findNote(ctx.principal.tenant, id)
    if (note === undefined) throw new ToolError(`There is no note ${id}.`)
    if (!ctx.can('elicitation')) throw new ToolError('Deleting asks a person first, and this client cannot ask.')
    const answer = await ctx.elicit({
      key: 'confirm',
      message: `Delete note ${id}? It says: ${note.text.slice(0, 200)}`,
      schema: z.object({ sure: z.boolean().describe('Delete it for good.') }),
    })
    if (answer.action !== 'accept' || !answer.content.sure) return `Note ${id} was kept.`
    deleteNote(ctx.principal.tenant, id)
    ctx.notify.resourcesChanged()
    return `Note ${id} was deleted.`
  },
})
