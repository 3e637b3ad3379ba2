import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'write_note',
  description: 'Keeps a note and answers with its number.',
  input: z.strictObject({ text: z.string().max(1_000) }),
  scope: 'write',
  run: ({ text }) => {
    const { notes, ran } = ledger()
    ran.push('write_note')
    return String(notes.push(text))
  },
})
