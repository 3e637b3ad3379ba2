import { defineTool } from 'merlon'

export default defineTool({
  name: 'test_x_mcp_header',
  description: 'Takes an argument that is repeated in a request header (SEP-2243).',
  input: {
    type: 'object',
    properties: {
      region: { type: 'string', description: 'Where to run.', 'x-mcp-header': 'Region' },
      level: { type: 'integer', description: 'How hard to try.' },
    },
    required: ['region'],
    additionalProperties: false,
  },
  run: ({ region, level }) => `Ran in ${region} at level ${level ?? 1}`,
})
