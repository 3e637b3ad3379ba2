import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig } from '../../packages/merlon/src/config/load.ts'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import { type RouteOptions, routesFor } from '../../packages/merlon/src/serve/routes.ts'
import type { Routes } from '../../packages/merlon/src/transport/routes.ts'
import { Target } from './harness.ts'

/** Every route that these settings make. What is behind a route is not called here. */
function routesOf(settings: ConfigInput): Routes {
  const { config } = loadConfig({
    project: '/project',
    env: {},
    files: {
      read: (path) =>
        path.endsWith('merlon.config.json') ? { text: JSON.stringify(settings), mode: 0o600 } : undefined,
    },
  })
  const unused = {} as RouteOptions['services']
  return routesFor({
    config,
    services: unused,
    dispatch: () => undefined,
    resource: () => 'http://127.0.0.1/mcp',
    ready: () => true,
  })
}

const variants: readonly (readonly [name: string, settings: ConfigInput])[] = [
  ['as they come', {}],
  ['without sessions', { session: { enabled: false } }],
  ['where clients may not end sessions', { session: { clientTermination: false } }],
  ['without health', { health: { enabled: false } }],
  ['with a health that asks for a credential', { health: { authentication: true } }],
  ['at other paths', { server: { endpoint: '/' }, health: { path: '/alive' } }],
]

/** What needs no credential, and why nothing of it tells anything. */
const open = new Map([
  ['OPTIONS', 'a preflight runs no handler'],
  ['GET /health', 'says ok'],
  ['HEAD /health', 'says ok'],
  ['GET /alive', 'says ok'],
  ['HEAD /alive', 'says ok'],
  ['GET /ready', 'says ready'],
  ['HEAD /ready', 'says ready'],
  ['GET /.well-known/oauth-protected-resource', 'is there for whoever has no credential yet'],
  ['HEAD /.well-known/oauth-protected-resource', 'is there for whoever has no credential yet'],
  ['GET /.well-known/oauth-protected-resource/mcp', 'is there for whoever has no credential yet'],
  ['HEAD /.well-known/oauth-protected-resource/mcp', 'is there for whoever has no credential yet'],
])

const entries = (routes: Routes) =>
  [...routes].flatMap(([path, verbs]) => [...verbs].map(([verb, { policy }]) => ({ path, verb, policy })))

test.each(variants)(
  'TR-09: every route says what a caller must show; only the ones we know are open: %s',
  (_, settings) => {
    const all = entries(routesOf(settings))
    expect(all.length).toBeGreaterThan(0)
    for (const { path, verb, policy } of all) {
      expect(['open', 'credential'], `${verb} ${path} has no policy`).toContain(policy)
      if (policy === 'open') expect(open.has(verb) || open.has(`${verb} ${path}`), `${verb} ${path} is open`).toBe(true)
    }
  },
)

test('TR-09: the endpoint asks for a credential on each of its verbs, whatever the settings', () => {
  for (const [name, settings] of variants) {
    const endpoint = settings.server?.endpoint ?? '/mcp'
    const verbs = entries(routesOf(settings)).filter(({ path, verb }) => path === endpoint && verb !== 'OPTIONS')
    expect(verbs.length, name).toBeGreaterThan(0)
    for (const { verb, policy } of verbs) expect(policy, `${name}: ${verb}`).toBe('credential')
  }
})

let target: Target

beforeAll(async () => {
  target = await Target.open({ health: { authentication: true } })
})

afterAll(async () => {
  await target?.close()
})

test('TR-09: every route that asks for a credential refuses without one, over a socket', async () => {
  const asking = entries(routesOf({ health: { authentication: true } })).filter(({ policy }) => policy === 'credential')
  expect(asking.map(({ verb, path }) => `${verb} ${path}`).sort()).toEqual([
    'DELETE /mcp',
    'GET /health',
    'GET /mcp',
    'HEAD /health',
    'POST /mcp',
  ])
  for (const { verb, path } of asking) {
    const answer = await target.send({ verb, path })
    expect(answer.status, `${verb} ${path}`).toBe(401)
    expect(answer.header('www-authenticate'), `${verb} ${path}`).toMatch(/^Bearer resource_metadata="/)
    const wrong = await target.send({ verb, path, headers: { 'X-API-Key': 'constructor' } })
    expect(wrong.status, `${verb} ${path}`).toBe(401)
  }
})

test('AU-04: what is open answers alike, whoever asks', async () => {
  for (const path of ['/ready', '/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp']) {
    const stranger = await target.send({ verb: 'GET', path })
    const known = await target.send({ verb: 'GET', path, as: 'A.admin' })
    expect(stranger.status).toBe(200)
    expect(known.text).toBe(stranger.text)
    expect(stranger.text).not.toContain(target.folder)
  }
  expect((await target.send({ verb: 'GET', path: '/health', as: 'A.read' })).text).toBe('{"status":"ok"}')
})
