import type { Clock, RandomBytes } from '../call.ts'
import { adminScope, holds } from '../policy/scopes.ts'
import { type Actor, administers, operates } from './actor.ts'
import type { Agent, AgentChange, AgentStatus, AgentStore, Json, NewAgent } from './agent-store.ts'
import { base62 } from './key-format.ts'
import { namePattern } from './names.ts'
import type { Recorder } from './recorded.ts'
import { type Refusal, type RefusedBecause, refused } from './refusal.ts'
import { operatorRole, type UserStore } from './user-store.ts'
import { type Listing, pageOf, reachOf } from './users.ts'

export interface AgentsParts {
  readonly store: AgentStore
  readonly users: Pick<UserStore, 'findUserById'>
  readonly random: RandomBytes
  readonly clock: Clock
  readonly recorder: Recorder
}

export interface AgentRequest {
  readonly name: string
  readonly type: string
  readonly capabilities?: readonly string[] | undefined
  readonly metadata?: { readonly [name: string]: Json } | undefined
  readonly status?: AgentStatus | undefined
  /** The id of the user it belongs to. Default: who asks. */
  readonly owner?: string | undefined
}

export interface AgentListing extends Listing {
  readonly owner?: string | undefined
}

type Done = { readonly ok: true; readonly agent: Agent }

const typePattern = /^[a-z][a-z0-9._-]{0,63}$/
const capabilityPattern = /^[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,127}$/
const capabilitiesMax = 100
const metadataBytesMax = 8_192

/**
 * What may be done with agents: each belongs to a user, who manages it, as does an administrator of the tenant. An agent is a
 * principal: its keys act in its name, and never further than the role of its owner.
 */
export class Agents {
  readonly #parts: AgentsParts

  constructor(parts: AgentsParts) {
    this.#parts = parts
  }

  async create(request: AgentRequest, by: Actor): Promise<Done | Refusal> {
    const { store, users, random, clock, recorder } = this.#parts
    const { name, type, capabilities = [], metadata = {}, status = 'active', owner = by.id } = request
    const malformed = malformation({ name, type, capabilities, metadata })
    if (malformed !== undefined) return refused(malformed)
    const user = await users.findUserById(by.tenant, owner)
    if (user === undefined) return refused('user-unknown')
    if (user.id !== by.id) {
      if (!administers(by, user.tenant)) return refused('user-unknown')
      if (user.role === operatorRole && !operates(by)) return refused('not-yours')
    }
    const id = `agt_${base62(random, 12)}`
    const agent: NewAgent = { id, tenant: user.tenant, owner, name, type, capabilities, metadata, status }
    const outcome = await recorder.change(
      { action: 'agent.create', by: by.id, tenant: user.tenant, detail: { agent: id, name, owner } },
      () => store.createAgent(agent, clock()),
      {
        done: (created) => created === 'created',
        undo: () => store.removeAgent(agent.tenant, id, undefined, clock()),
      },
    )
    if (outcome === 'owner-unknown') return refused('user-unknown')
    if (outcome === 'name-taken') return refused('name-taken')
    return this.get(id, by)
  }

  async get(id: string, by: Actor): Promise<Done | Refusal<'agent-unknown'>> {
    const agent = await this.#parts.store.findAgent(by.tenant, id)
    const known = agent !== undefined && (isOwn(agent, by) || administers(by, agent.tenant))
    return known ? { ok: true, agent } : refused('agent-unknown')
  }

  /** A page of the agents within reach. Who is not an administrator sees their own. */
  async list(query: AgentListing, by: Actor): Promise<readonly Agent[]> {
    const tenant = reachOf(query, by)
    const owner = holds(by.scopes, adminScope) ? query.owner : by.id
    if (tenant === undefined || (query.owner !== undefined && query.owner !== owner)) return []
    return this.#parts.store.listAgents({ tenant, ...pageOf(query), ...(owner === undefined ? {} : { owner }) })
  }

  /** An agent that is not `active` is refused from its next call on. */
  async update(id: string, change: AgentChange, by: Actor, expected?: number): Promise<Done | Refusal> {
    const { store, clock, recorder } = this.#parts
    const found = await this.#managed(id, by, expected)
    if (!found.ok) return found
    const { agent } = found
    const malformed = malformation(change)
    if (malformed !== undefined) return refused(malformed)
    const { name, type, capabilities, metadata, status } = change
    const fields = {
      ...(name === undefined ? {} : { name }),
      ...(type === undefined ? {} : { type }),
      ...(capabilities === undefined ? {} : { capabilities }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(status === undefined ? {} : { status }),
    }
    const detail = { agent: id, name: agent.name, fields: Object.keys(fields), ...(status && { status }) }
    const updated = await recorder.change(
      { action: 'agent.update', by: by.id, tenant: agent.tenant, detail },
      () => store.updateAgent(agent.tenant, id, fields, agent.version, clock()),
      { done: ({ outcome }) => outcome === 'updated' },
    )
    if (updated.outcome === 'updated') return { ok: true, agent: updated.value }
    return refused(updated.outcome === 'unknown' ? 'agent-unknown' : updated.outcome)
  }

  /** Takes the agent away for good, with its keys. */
  async remove(id: string, by: Actor, expected?: number): Promise<Done | Refusal> {
    const { store, clock, recorder } = this.#parts
    const found = await this.#managed(id, by, expected)
    if (!found.ok) return found
    const { agent } = found
    const removed = await recorder.change(
      { action: 'agent.remove', by: by.id, tenant: agent.tenant, detail: { agent: id, name: agent.name } },
      () => store.removeAgent(agent.tenant, id, agent.version, clock()),
      { done: ({ outcome }) => outcome === 'updated' },
    )
    if (removed.outcome === 'updated') return { ok: true, agent: removed.value }
    return refused(removed.outcome === 'unknown' ? 'agent-unknown' : removed.outcome)
  }

  async #managed(id: string, by: Actor, expected: number | undefined): Promise<Done | Refusal> {
    const found = await this.get(id, by)
    if (!found.ok) return found
    if (found.agent.owner !== by.id) {
      const owner = await this.#parts.users.findUserById(found.agent.tenant, found.agent.owner)
      // An agent does not change itself, and an operator's is managed by operators.
      if (!administers(by, found.agent.tenant) || found.agent.id === by.id) return refused('not-yours')
      if (owner?.role === operatorRole && !operates(by)) return refused('not-yours')
    }
    return expected !== undefined && expected !== found.agent.version ? refused('changed') : found
  }
}

function isOwn(agent: Agent, by: Actor): boolean {
  return agent.owner === by.id || agent.id === by.id
}

function malformation({ name, type, capabilities, metadata }: AgentChange): RefusedBecause | undefined {
  if (name !== undefined && !namePattern.test(name)) return 'name-malformed'
  if (type !== undefined && !typePattern.test(type)) return 'type-malformed'
  if (
    capabilities !== undefined &&
    (capabilities.length > capabilitiesMax || !capabilities.every((one) => capabilityPattern.test(one)))
  ) {
    return 'capabilities-malformed'
  }
  if (metadata !== undefined && Buffer.byteLength(JSON.stringify(metadata)) > metadataBytesMax) {
    return 'metadata-malformed'
  }
  return undefined
}
