import { defineTool } from 'merlon'
import * as z from 'zod'

const echo = defineTool({
  name: 'echo',
  description: 'Answers with the text it was given.',
  input: z.strictObject({ text: z.string() }),
  scope: 'read',
  run: ({ text }) => text,
})

const announce = defineTool({
  name: 'announce',
  description: 'Tells who asked for it that a resource has changed.',
  input: z.strictObject({ uri: z.string() }),
  scope: 'write',
  run: ({ uri }, ctx) => {
    ctx.notify.resourceUpdated(uri)
    return uri
  },
})

export default [echo, announce]
