import type { Noun } from './control-command.ts'

export const serverNoun: Noun = {
  name: 'server',
  does: 'see how a running server is',
  commands: [
    { name: 'status', operation: 'health.get', does: 'show how its parts are' },
    { name: 'alive', operation: 'health.alive', does: 'ask whether it is there; takes no credential', anonymous: true },
    { name: 'metrics', operation: 'metrics.get', does: 'print its numbers, as Prometheus reads them', raw: true },
    {
      name: 'signals',
      operation: 'metrics.signals',
      does: 'show how often callers were refused, by what it is a sign of',
    },
    { name: 'openapi', operation: 'openapi.get', does: 'print its API as an OpenAPI 3.1 document', raw: true },
    { name: 'docs', operation: 'openapi.page', does: 'print its API as a page for a browser', raw: true },
  ],
}
