import { expect, test } from 'vitest'
import { silentContext } from './silent-context.fixture.ts'
import { openControl } from './which-control.ts'

const context = silentContext({ env: { MERLON_TOKEN: 'ey' } })

test.each([
  ['nonsense', '--server does not take that'],
  ['ftp://mcp.example', '--server does not take that'],
  ['https://ann:secret@mcp.example', '--server takes a scheme, a host and a port'],
  ['https://mcp.example/mcp', '--server takes a scheme, a host and a port'],
  ['https://mcp.example/?key=x', '--server takes a scheme, a host and a port'],
  ['http://mcp.example:4001', 'a credential would go to mcp.example:4001 for all to read'],
  ['http://127.0.0.1.example', 'a credential would go to 127.0.0.1.example for all to read'],
  ['http://10.0.0.1', 'a credential would go to 10.0.0.1 for all to read'],
])('--server %s: %s', async (server, message) => {
  await expect(openControl(context, { server })).rejects.toMatchObject({ message, exitCode: 2 })
})

test.each([
  'https://mcp.example',
  'https://mcp.example:4001/',
  'http://localhost:4001',
  'http://127.0.0.1:1',
  'http://[::1]:1',
])('--server %s is taken', async (server) => {
  const { local, serving, config } = await openControl(context, { server })
  expect({ local, serving, config }).toEqual({ local: false, serving: true, config: undefined })
})

test('two places at once are none', async () => {
  const server = 'https://mcp.example'
  await expect(openControl(context, { server, project: '.' })).rejects.toMatchObject({ exitCode: 2 })
  await expect(openControl(context, { credentialFile: 'x' })).rejects.toMatchObject({
    message: '--credential-file goes with --server',
    exitCode: 2,
  })
})
