import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { vi } from 'vitest'
import { openServer, type Server } from '../../packages/merlon/src/app.ts'
import { verifyAudit } from '../../packages/merlon/src/audit/verify.ts'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import { localOperator } from '../../packages/merlon/src/identity/actor.ts'
import type { IdentityStores } from '../../packages/merlon/src/identity/identity-store.ts'
import { openSqlIdentity } from '../../packages/merlon/src/store/sql/identity-stores.ts'
import { type OpenOptions, RawSocket } from '../socket/raw-socket.ts'
import { type Answer, Connection, patienceMs } from './connection.ts'
import { encode, initialize, message, type Params, type Person, people, type Request } from './request.ts'

export const catalogFolder = join(import.meta.dirname, 'project', 'src')

/** Settings of the server under attack. Limits are out of the way where a case is not about them. */
const usual: ConfigInput = {
  name: 'attacked',
  server: { port: 0 },
  catalog: { folder: catalogFolder },
  cors: { allowedOrigins: ['https://app.example'] },
  scopes: ['files:write', 'vault:open'],
  roles: {
    user: ['read', 'write'],
    admin: ['read', 'write', 'admin'],
    operator: ['read', 'write', 'admin'],
    clerk: ['read', 'files:write'],
    nobody: [],
  },
  rateLimit: { callsMax: 1_000_000, failuresMax: 1_000_000, rules: [] },
  audit: { flushMs: 1 },
}

const who: Readonly<Record<Person, { readonly role: string; readonly scopes: readonly string[] }>> = {
  'A.read': { role: 'user', scopes: ['read'] },
  'A.write': { role: 'user', scopes: ['read', 'write'] },
  'A.admin': { role: 'admin', scopes: ['read', 'write', 'admin'] },
  'A.limited': { role: 'admin', scopes: ['read'] },
  'A.clerk': { role: 'clerk', scopes: ['read', 'files:write'] },
  'A.none': { role: 'nobody', scopes: ['read', 'write', 'admin'] },
  'A.honest': { role: 'user', scopes: ['read'] },
  'B.read': { role: 'user', scopes: ['read'] },
  'B.write': { role: 'user', scopes: ['read', 'write'] },
  'B.admin': { role: 'admin', scopes: ['read', 'write', 'admin'] },
}

export interface IssuedKey {
  /** The public id. */
  readonly id: string
  readonly text: string
}

/** One line of the audit log. */
export type AuditLine = Readonly<Record<string, unknown>>

/** A session of a stateful revision, as its client knows it. */
export interface Session {
  readonly id: string
  /** A request in the session; `as` says that somebody else sends it. */
  request(method: string, params?: Params, options?: { id?: string | number; as?: Person | undefined }): Request
  notify(method: string, params?: Params): Request
  /** A GET for the session's stream, or for the rest of the stream that the event belongs to. */
  stream(lastEventId?: string, as?: Person): Request
  end(as?: Person): Request
}

/** A server in this process with two tenants, and all that it said. */
export class Target {
  server: Server
  readonly stores: IdentityStores
  readonly folder: string
  readonly keys: ReadonlyMap<Person, IssuedKey>
  port: number
  /** All that the server under attack wrote to its program log. */
  readonly log: string[]
  /** All bytes that clients received, by who asked. */
  readonly heard: { as: Person | undefined; bytes: Buffer }[] = []
  readonly answers: Answer[] = []
  /** Ids that were handed out, for the search through the logs. */
  readonly sessions: string[] = []
  /** Set by a case that tampers with the log of the server itself. */
  knownTampering = false
  readonly #clock: { offset: number }
  readonly #connections = new Set<Connection | RawSocket>()

  private constructor(parts: {
    server: Server
    stores: IdentityStores
    folder: string
    keys: ReadonlyMap<Person, IssuedKey>
    log: string[]
    clock: { offset: number }
  }) {
    this.server = parts.server
    this.stores = parts.stores
    this.folder = parts.folder
    this.keys = parts.keys
    this.log = parts.log
    this.port = Number(new URL(parts.server.url).port)
    this.#clock = parts.clock
  }

  static async open(config: ConfigInput = {}): Promise<Target> {
    const folder = mkdtempSync(join(tmpdir(), 'merlon-attack-'))
    writeFileSync(join(folder, 'merlon.config.json'), JSON.stringify(merged(usual, config)))
    const clock = { offset: 0 }
    const log: string[] = []
    const server = await start(folder, clock, log)
    const stores = await openSqlIdentity({ file: join(folder, '.merlon', 'merlon.db') })
    return new Target({ server, stores, folder, keys: await enrol(server, stores), log, clock })
  }

  get host(): string {
    return `127.0.0.1:${this.port}`
  }

  key(person: Person): IssuedKey {
    const key = this.keys.get(person)
    if (key === undefined) throw new Error(`nobody is called ${person}`)
    return key
  }

  now(): number {
    return Date.now() + this.#clock.offset
  }

  /** Sets the server's clock forward. */
  advance(ms: number): void {
    this.#clock.offset += ms
  }

  /** A connection whose bytes are remembered as heard by this person. */
  async connect(as?: Person): Promise<Connection> {
    const connection = await Connection.open(this.port, (bytes, answer) => {
      if (bytes.length > 0) this.heard.push({ as, bytes })
      if (answer !== undefined) this.answers.push(answer)
    })
    this.#connections.add(connection)
    return connection
  }

  bytesOf(request: Request): Buffer {
    return encode(request, {
      host: this.host,
      key: request.as === undefined ? undefined : this.key(request.as).text,
    })
  }

  /** Sends a request on a connection of its own and gives that back at once. */
  async begin(request: Request): Promise<Connection> {
    const connection = await this.connect(request.as)
    connection.write(this.bytesOf(request), request.verb ?? 'POST')
    return connection
  }

  /** Sends a request and answers with the whole answer. */
  async send(request: Request): Promise<Answer> {
    const connection = await this.begin(request)
    const answer = await connection.answer()
    connection.destroy()
    if (answer === undefined) throw new Error('the connection was closed without an answer')
    return answer
  }

  /** Sends bytes as they are and answers with what came before the server closed, or the first whole answer. */
  async raw(bytes: string | Buffer, verb = 'POST'): Promise<{ answers: readonly Answer[]; connection: Connection }> {
    const connection = await this.connect()
    connection.write(bytes, verb)
    await connection.answer()
    return { answers: connection.answers, connection }
  }

  /** Opens a WebSocket with somebody's key, or as the headers say. Rejects where it is not opened. */
  async openSocket(as: Person | undefined, options: Omit<OpenOptions, 'heard'> = {}): Promise<RawSocket> {
    const key = as === undefined ? undefined : this.key(as).text
    const heard = (bytes: Buffer) => void this.heard.push({ as, bytes })
    const socket = await RawSocket.open(this.port, key, { ...options, heard })
    this.#connections.add(socket)
    return socket
  }

  async openSession(
    as: Person,
    options: { readonly version?: string; readonly capabilities?: Params } = {},
  ): Promise<Session> {
    const answer = await this.send(initialize(as, options))
    const id = answer.header('mcp-session-id')
    if (id === undefined) throw new Error(`no session was opened: ${answer.text}`)
    this.sessions.push(id)
    const session: Session = {
      id,
      request: (method, params = {}, { id: number = 1, as: sender = as } = {}) =>
        message(method, params, { as: sender, id: number, session: id }),
      notify: (method, params) => message(method, params, { as, session: id }),
      stream: (last, sender = as) => ({
        as: sender,
        verb: 'GET',
        headers: { 'Mcp-Session-Id': id, ...(last === undefined ? {} : { 'Last-Event-ID': last }) },
      }),
      end: (sender = as) => ({ as: sender, verb: 'DELETE', headers: { 'Mcp-Session-Id': id } }),
    }
    await this.send(session.notify('notifications/initialized'))
    return session
  }

  /** The files of the audit log, oldest first. */
  auditFiles(): readonly string[] {
    const folder = join(this.folder, '.merlon')
    const closed = readdirSync(folder).filter((name) => /^audit-[0-9]+\.jsonl$/.test(name))
    return [...closed.sort(), 'audit.jsonl'].map((name) => join(folder, name))
  }

  /** All bytes of the audit log. */
  auditBytes(): Buffer {
    return Buffer.concat(this.auditFiles().map((file) => readFileSync(file)))
  }

  /** The complete lines of the audit log after this many bytes. */
  audit(after = 0): readonly AuditLine[] {
    const text = this.auditBytes().subarray(after).toString('utf8')
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditLine)
  }

  /** Waits for something to become true, as a record that is about to be written. */
  async settled(look: () => void | Promise<void>): Promise<void> {
    await vi.waitFor(look, { timeout: patienceMs, interval: 5 })
  }

  /** Stops the server and starts it again over the same data folder; meanwhile something may be done to it. */
  async restart(meanwhile?: () => Promise<void>): Promise<void> {
    this.hangUp()
    await this.server.close()
    await meanwhile?.()
    this.server = await start(this.folder, this.#clock, this.log)
    this.port = Number(new URL(this.server.url).port)
  }

  /** Ends the connections of the clients. */
  hangUp(): void {
    for (const connection of this.#connections) connection.destroy()
    this.#connections.clear()
  }

  async close(): Promise<void> {
    this.hangUp()
    await this.stores.close()
    await this.server.close()
    await this.#verifyAudit()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Whatever was done to the server, its audit log is as it was written. */
  async #verifyAudit(): Promise<void> {
    const folder = join(this.folder, '.merlon')
    const { ok, problems } = await verifyAudit({
      files: this.auditFiles(),
      publicKey: readFileSync(join(folder, 'audit-key.pem'), 'utf8'),
      headFiles: [join(folder, 'audit-heads.jsonl')],
    })
    const known = (kind: string) => this.knownTampering && kind === 'found-tampered'
    if (!ok && !problems.every(({ kind }) => known(kind)))
      throw new Error(`the audit log does not verify: ${JSON.stringify(problems)}`)
  }
}

function start(folder: string, clock: { offset: number }, log: string[]): Promise<Server> {
  const keep =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, text: string): void => {
      log.push(`${level} ${text} ${inspect(fields, { depth: 8 })}`)
    }
  return openServer({
    project: folder,
    clock: () => Date.now() + clock.offset,
    log: { info: keep('info'), warn: keep('warn'), error: keep('error') },
  })
}

/** Makes the people of both tenants, and a key for each. */
async function enrol(server: Server, { tenants, users }: IdentityStores): Promise<ReadonlyMap<Person, IssuedKey>> {
  const keys = new Map<Person, IssuedKey>()
  for (const person of people) {
    const tenant = person.startsWith('A.') ? 'tenant-a' : 'tenant-b'
    const { role, scopes } = who[person]
    await tenants.ensureTenant(tenant, Date.now())
    const id = `usr_${tenant}_${role}`
    // Some share a user and have a key each.
    if ((await users.findUserById(tenant, id)) === undefined)
      await users.createUser({ id, tenant, name: role, role, status: 'active' }, Date.now())
    keys.set(person, await issue(server, { tenant, user: role, name: person, scopes }))
  }
  return keys
}

/** Makes a key as the operator of the installation. */
export async function issue(server: Server, request: Parameters<Server['keys']['createKey']>[0]): Promise<IssuedKey> {
  const issued = await server.keys.createKey(request, localOperator)
  if (!issued.ok) throw new Error(`no key was made: ${issued.reason}`)
  return { id: issued.key.id, text: issued.text }
}

/** Settings over settings, section by section. */
export function merged(under: ConfigInput, over: ConfigInput): ConfigInput {
  const both: Record<string, unknown> = { ...under }
  for (const [section, value] of Object.entries(over)) {
    const below = both[section]
    both[section] = isSection(below) && isSection(value) ? { ...below, ...value } : value
  }
  return both
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
