import { defineTool } from 'merlon'

export default defineTool({
  name: 'locate',
  description: 'Takes an argument that the client repeats in a header where the revision asks for it.',
  input: {
    type: 'object',
    properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
    required: ['region'],
    additionalProperties: false,
  },
  run: ({ region }) => `in ${region}`,
})
