import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { copyProject, home, type Prepared } from './work-folder.ts'

export const main = join(home, '..', 'packages', 'merlon', 'dist', 'main.js')
/** How the server writes its keys; so much is public. */
export const keyPattern = /\bmrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b/g

/** A project of its own for one row, with its store, a key to call with, and as many more keys and tools as asked for. */
export async function prepareMerlon(name: string, more: { keys?: number; tools?: number }): Promise<Prepared> {
  if (!existsSync(main)) throw new Error('packages/merlon is not built; run: npm run build')
  const project = copyProject(join(home, 'projects', 'echo'), name)
  if (more.tools !== undefined) writeTools(project, more.tools)
  const key = makeKey(project)
  if (more.keys !== undefined) addKeys(project, more.keys)
  return { argv: [main, 'start', '--project', project], cwd: project, key }
}

/** The same, called with an access token of an issuer that this process plays. */
export async function prepareMerlonToken(name: string): Promise<Prepared> {
  const prepared = await prepareMerlon(name, {})
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256' }] })
  const server = createServer((_, answer) => answer.writeHead(200, { 'Content-Type': 'application/json' }).end(keys))
  server.unref()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const file = join(prepared.cwd, 'merlon.config.json')
  const trusted = { issuer, audience: 'bench', jwksUri: `${issuer}/keys`, tenant: { value: 'default' } }
  const identity = { issuers: [{ ...trusted, allowPrivateNetwork: true, dangerouslyAllowHttp: true }] }
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), identity }))
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const iat = Math.floor(Date.now() / 1_000)
  // As long as issuers make them: about 800 characters.
  const claims = { iss: issuer, aud: 'bench', sub: 'bench', iat, exp: iat + 86_000, scope: 'read write' }
  const text = `${encode({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' })}.${encode({ ...claims, filler: 'x'.repeat(350) })}`
  const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return { ...prepared, key: `${text}.${signature.toString('base64url')}` }
}

/** The same, counting in a Redis of its own on the core of the load generator, as several servers would. */
export async function prepareMerlonRedis(name: string, port: number): Promise<Prepared> {
  const prepared = await prepareMerlon(name, {})
  const redis = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    {
      stdio: 'ignore',
    },
  )
  process.once('exit', () => redis.kill('SIGKILL'))
  // It is not what the run waits for.
  redis.unref()
  await new Promise<void>((started, failed) => {
    redis.once('error', () => failed(new Error('there is no redis-server on this machine')))
    redis.once('spawn', started)
  })
  return { ...prepared, env: { REDIS_URL: `redis://127.0.0.1:${port}` } }
}

function makeKey(project: string): string {
  const out = execFileSync(process.execPath, [main, 'generate-keys', '--project', project], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const key = out.match(keyPattern)?.[0]
  if (key === undefined) throw new Error('generate-keys printed no key')
  return key
}

/** Writes one file that defines `count` tools, each with a schema of its own, beside the two that are called. */
function writeTools(project: string, count: number): void {
  const file = `import { defineTool } from 'merlon'
import * as z from 'zod'

export default Array.from({ length: ${count} }, (_, n) =>
  defineTool({
    name: \`tool-\${n}\`,
    description: \`Repeats the text, as the tool of number \${n}.\`,
    input: z.strictObject({ text: z.string().max(1_000), ['value' + n]: z.number().optional() }),
    run: (input) => input.text,
  }),
)
`
  writeFileSync(join(project, 'src', 'tools', 'many.ts'), file)
}

/**
 * Writes keys straight into the store, as copies of the first under other ids: nobody calls with them, they only have to
 * be there, and a million acts of the key store would take most of an hour.
 */
function addKeys(project: string, count: number): void {
  const database = new DatabaseSync(databaseFile(join(project, '.merlon')))
  try {
    const columns = database.prepare("select name from pragma_table_info('api_keys')").all() as { name: string }[]
    const values = columns.map(({ name }) => {
      if (name === 'id') return "'key_' || printf('%012d', n)"
      return name === 'name' ? "'bench ' || n" : `model.${name}`
    })
    const insert = `
      with recursive number(n) as (select 1 union all select n + 1 from number where n < ${count})
      insert into api_keys (${columns.map(({ name }) => name).join(', ')})
      select ${values.join(', ')} from number cross join (select * from api_keys limit 1) as model`
    database.exec(`begin; ${insert}; commit`)
  } finally {
    database.close()
  }
}

/** The one SQLite database in a data folder. */
function databaseFile(folder: string): string {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    const handle = openSync(file, 'r')
    const start = Buffer.alloc(15)
    readSync(handle, start)
    closeSync(handle)
    if (start.toString('latin1') === 'SQLite format 3') return file
  }
  throw new Error('there is no database in the data folder')
}
