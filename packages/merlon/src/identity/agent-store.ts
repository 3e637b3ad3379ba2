import type { Instant } from '../call.ts'
import type { PageQuery, TenantReach, Updated } from './reach.ts'

/** Where agents are kept. For what every verb promises, see `key-store.ts`. A removed agent is as if it had never been. */
export interface AgentStore {
  /** The owner must be in the agent's tenant, and stays the owner for good: their role bounds what the agent may do. */
  createAgent(agent: NewAgent, now: Instant): Promise<'created' | 'owner-unknown' | 'name-taken'>
  findAgent(tenant: TenantReach, id: string): Promise<Agent | undefined>
  listAgents(query: AgentQuery): Promise<readonly Agent[]>
  updateAgent(
    tenant: TenantReach,
    id: string,
    change: AgentChange,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<Agent, 'name-taken'>>
  /** Takes the agent away for good and revokes its keys. */
  removeAgent(tenant: TenantReach, id: string, expected: number | undefined, now: Instant): Promise<Updated<Agent>>
}

/** Keys of an agent are good only while it is `active`. */
export type AgentStatus = 'active' | 'inactive' | 'error'

/** A value that JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

export interface NewAgent {
  readonly id: string
  readonly tenant: string
  /** The id of the user it belongs to. */
  readonly owner: string
  /** Unique within the tenant. */
  readonly name: string
  readonly type: string
  /** What it says it can do: for people and programs to read, never a ground for a decision about rights. */
  readonly capabilities: readonly string[]
  readonly metadata: { readonly [name: string]: Json }
  readonly status: AgentStatus
}

export interface Agent extends NewAgent {
  readonly createdAt: Instant
  readonly updatedAt: Instant
  /** Counts its changes. */
  readonly version: number
}

/** What is absent stays. */
export type AgentChange = Partial<Pick<NewAgent, 'name' | 'type' | 'capabilities' | 'metadata' | 'status'>>

export interface AgentQuery extends PageQuery {
  /** The id of the owner. */
  readonly owner?: string
}
