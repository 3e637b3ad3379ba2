import { setTimeout as pause } from 'node:timers/promises'
import { defineTool } from 'merlon'
import * as z from 'zod'

const echo = defineTool({
  name: 'echo',
  description: 'Answers with the text it was given.',
  input: z.strictObject({ text: z.string() }),
  scope: 'read',
  run: ({ text }) => text,
})

const count = defineTool({
  name: 'count',
  description: 'Counts aloud, in its time.',
  input: z.strictObject({ label: z.string(), to: z.int(), everyMs: z.int() }),
  scope: 'read',
  run: async ({ label, to, everyMs }, ctx) => {
    for (let step = 1; step <= to && !ctx.signal.aborted; step++) {
      ctx.progress(step, to, `${label}#${step}`)
      await pause(everyMs, undefined, { signal: ctx.signal }).catch(() => undefined)
    }
    return `${label} counted to ${to}`
  },
})

const color = z.object({ color: z.string() })

const ask = defineTool({
  name: 'ask',
  description: 'Asks for a color.',
  input: z.strictObject({ label: z.string() }),
  scope: 'read',
  run: async ({ label }, ctx) => {
    const answer = await ctx.elicit({ message: label, schema: color })
    return answer.action === 'accept' ? `${label} is ${answer.content.color}` : `${label}: ${answer.action}`
  },
})

const announce = defineTool({
  name: 'announce',
  description: 'Tells who asked for it that a thing has changed.',
  input: z.strictObject({ uri: z.string() }),
  scope: 'write',
  run: ({ uri }, ctx) => {
    ctx.notify.resourceUpdated(uri)
    return uri
  },
})

export default [echo, count, ask, announce]
