import { defineTool } from 'merlon'

export default defineTool({
  name: 'echo',
  description: 'Answers what it is given.',
  input: { type: 'object' },
  scope: 'read',
  run(input, ctx) {
    ctx.log('info', { input })
    ctx.progress(1, 2, JSON.stringify(input))
    return { input, trace: ctx.trace }
  },
})
