import { createSecretKey, randomBytes } from 'node:crypto'
import type { Params, Principal, RequestId, Trace } from '../call.ts'
import { compileCatalog } from '../catalog/compile.ts'
import type { Fault } from '../errors.ts'
import type { HistoryStore } from '../history/history-store.ts'
import { scopeSet } from '../policy/scopes.ts'
import { type Bus, OwnBus } from '../replica/bus.ts'
import { type Replicas, SingleReplica } from '../replica/replicas.ts'
import { openSealer } from '../sealing/seal.ts'
import type { Session } from '../session/session-store.ts'
import { MemoryHistoryStore } from '../store/memory/history-store.ts'
import { MemorySessionStore } from '../store/memory/session-store.ts'
import { statefulRevision, statefulVersions } from '../wire/revision-2025-11-25.ts'
import { statelessRevision } from '../wire/revision-2026-07-28.ts'
import { Changes } from './changes.ts'
import { createDispatch } from './dispatch.ts'
import { handlersFor } from './handlers.ts'
import { LiveSessions } from './live-sessions.ts'
import type { Admitted, Request } from './ready.ts'
import { FakeReply } from './reply.fixture.ts'
import { AllRunning } from './running.ts'
import type { Services } from './services.ts'
import { StreamWakes } from './stream-wakes.ts'

export const alice: Principal = Object.freeze({
  id: 'alice',
  kind: 'user',
  tenant: 't1',
  credential: 'key_alice',
  role: 'user',
  granted: scopeSet(['read', 'write']),
  effective: scopeSet(['read', 'write']),
  expiresAt: Number.MAX_SAFE_INTEGER,
  binding: 't1 user alice key_alice',
})

export interface Asked {
  readonly id?: RequestId
  readonly principal?: Principal
  /** Of a stateful revision; without one the call is of 2026-07-28. */
  readonly session?: Session
  readonly capabilities?: Params
  readonly progressToken?: RequestId
  readonly logLevel?: 'debug' | 'info' | 'error'
  readonly trace?: Trace
  readonly reply?: FakeReply
}

/** Everything behind the guards, in memory, with a clock that moves when told. */
export function serverWith(
  definitions: readonly object[],
  change: Partial<Services> & {
    readonly history?: HistoryStore
    readonly replicas?: Replicas
    readonly bus?: Bus
  } = {},
) {
  const clock = { now: 1_800_000_000_000 }
  const logged: string[] = []
  const log = (_fields: unknown, message: string) => void logged.push(message)
  const catalog = { now: compileCatalog(definitions.map((definition) => ({ file: import.meta.filename, definition }))) }
  const seal = (fill: number) => openSealer(createSecretKey(Buffer.alloc(32, fill)), randomBytes)
  const resumption = {
    history: change.history ?? new MemoryHistoryStore({ eventsMax: 100, historyMs: 60_000 }),
    key: createSecretKey(Buffer.alloc(32, 3)),
    clock: () => clock.now,
    replicas: change.replicas ?? new SingleReplica(),
    wakes: new StreamWakes(change.bus ?? new OwnBus(), (session) => session),
  }
  const handlers = handlersFor(() => catalog.now)
  const services: Services = {
    clock: () => clock.now,
    random: randomBytes,
    catalog: () => catalog.now,
    server: { name: 's', version: '1', instructions: undefined },
    revisions: {
      stateless: statelessRevision({ name: 's', version: '1' }),
      stateful: new Map(statefulVersions.map((version) => [version as string, statefulRevision(version)])),
    },
    methods: handlers.stateful,
    responseMode: 'auto',
    callTimeoutMs: 30_000,
    listTtlMs: 0,
    pageSize: 10,
    callCaps: { perPrincipal: 8, perTenant: 16, perTool: 16 },
    streamsPerPrincipalMax: 4,
    sealer: { requestState: seal(1), cursor: seal(2) },
    sessions: new MemorySessionStore(1_000_000),
    sessionHeader: 'Mcp-Session-Id',
    sessionCaps: { perPrincipal: 10, perTenant: 10, total: 10 },
    sessionDurationMs: 1_000_000,
    live: new LiveSessions(resumption),
    running: new AllRunning(),
    changes: new Changes(),
    mail: undefined,
    log: { info: log, warn: log, error: log },
    describeFailure: () => ({}),
    ...change,
  }
  const records: { method: string; code: string | undefined; outcome: string }[] = []
  const dispatch = createDispatch(services, handlers, ({ message }, fault: Fault | undefined, outcome) => {
    records.push({ method: message.kind === 'response' ? 'response' : message.method, code: fault?.code, outcome })
  })
  let requests = 0

  const admitted = (message: Admitted['message'], asked: Asked): Admitted => {
    const { session } = asked
    const revision =
      session === undefined ? services.revisions.stateless : services.revisions.stateful.get(session.version)!
    return {
      requestId: `r${++requests}`,
      startedAt: clock.now,
      address: '192.0.2.1',
      principal: asked.principal ?? alice,
      message,
      envelope: {
        revision,
        client: { name: 'c', version: '1', capabilities: asked.capabilities ?? {} },
        progressToken: asked.progressToken,
        logLevel: asked.logLevel,
        trace: asked.trace,
      },
      session,
      target: undefined,
      input: undefined,
    }
  }

  return {
    services,
    clock,
    catalog,
    logged,
    records,
    resumption,
    dispatch,
    admitted,
    /** Sends a request past the guards: what it is about is found, and its arguments are what their check answers. */
    async send(method: string, params: Params = {}, asked: Asked = {}): Promise<FakeReply> {
      const { session, reply = new FakeReply() } = asked
      const message: Request = { kind: 'request', id: asked.id ?? 1, method, params }
      const target = (session === undefined ? handlers.stateless : handlers.stateful).get(method)?.target(params)
      const checked = await target?.check?.(params)
      const input = checked?.ok ? checked.value : undefined
      await dispatch({ ...admitted(message, asked), target, input }, reply)
      return reply
    },
    /** Sends a notification or a response. */
    tell(message: Exclude<Admitted['message'], Request>, asked: Asked): FakeReply {
      const reply = new FakeReply()
      void dispatch(admitted(message, asked), reply)
      return reply
    },
    /** Opens a session for the principal. */
    openSession(change: Partial<Session> = {}, principal = alice): Session {
      const session: Session = {
        id: randomBytes(8).toString('hex'),
        tenant: principal.tenant,
        binding: principal.binding,
        principal: principal.id,
        credential: principal.credential,
        version: '2025-11-25',
        client: { name: 'c', version: '1', capabilities: {} },
        openedAt: clock.now,
        expiresAt: clock.now + 1_000_000,
        logLevel: undefined,
        subscriptions: undefined,
        ...change,
      }
      void services.sessions?.open(session, services.sessionCaps, clock.now)
      return session
    },
  }
}
