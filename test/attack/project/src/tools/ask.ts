import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

const color = z.object({ color: z.string() })

const ask = (name: string, scope: string) =>
  defineTool({
    name,
    description: 'Asks the user for a color.',
    input: z.strictObject({ about: z.string().default('it') }),
    scope,
    run: async ({ about }, ctx) => {
      const answer = await ctx.elicit({ message: `Which color is ${about}?`, schema: color })
      ledger().ran.push(name)
      return answer.action === 'accept' ? `${about} is ${answer.content.color}` : answer.action
    },
  })

export default [ask('ask', 'read'), ask('ask_too', 'read')]
