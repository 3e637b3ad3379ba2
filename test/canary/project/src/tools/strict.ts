import { defineTool } from 'merlon'

export default defineTool({
  name: 'strict',
  description: 'Takes a number and nothing else.',
  input: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'], additionalProperties: false },
  scope: 'read',
  run: () => 'x',
})
