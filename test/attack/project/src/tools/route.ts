import { defineTool } from 'merlon'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'route',
  description: 'Has parameters that a client of 2026-07-28 repeats in headers.',
  input: {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      level: { type: 'integer', minimum: 0, maximum: 9, 'x-mcp-header': 'Level' },
    },
    required: ['region'],
    additionalProperties: false,
  },
  scope: 'read',
  run: ({ region }) => {
    ledger().ran.push('route')
    return `to ${String(region)}`
  },
})
