import { MCPTool } from 'mcp-framework'
import { z } from 'zod'

export default class Echo extends MCPTool {
  name = 'echo'
  description = 'Repeats the text.'
  schema = z.object({ text: z.string().describe('The text to repeat.') })

  async execute({ text }) {
    return text
  }
}
