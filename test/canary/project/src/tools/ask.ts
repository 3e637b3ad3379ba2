import { defineTool } from 'merlon'

export default defineTool({
  name: 'ask',
  description: 'Asks the user, and answers what was said.',
  input: { type: 'object' },
  scope: 'read',
  async run({ text }, ctx) {
    const kept = await ctx.once('kept', () => String(text))
    const schema = { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] }
    return { answer: await ctx.elicit({ message: `Sure of ${kept}?`, schema }), kept }
  },
})
