import type { Kysely, Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import type { Agent, AgentChange, AgentQuery, AgentStore, NewAgent } from '../../identity/agent-store.ts'
import { checkReach, everyTenant, type TenantReach, type Updated } from '../../identity/reach.ts'
import { type Act, Acts, Refused } from './acts.ts'
import type { SqlDatabase } from './database.ts'
import type { Tables } from './tables.ts'

export class SqlAgentStore implements AgentStore {
  readonly #acts: Acts

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
  }

  async createAgent(agent: NewAgent, now: Instant): Promise<'created' | 'owner-unknown' | 'name-taken'> {
    checkReach(agent.tenant)
    return this.#acts.change<'created' | 'owner-unknown' | 'name-taken'>(agent.tenant, async (act, changed) => {
      const { id, tenant, owner, name, type, status } = agent
      const user = await act
        .selectFrom('users')
        .select('id')
        .where('id', '=', owner)
        .where('tenant', '=', tenant)
        .where('removed_at', 'is', null)
        .executeTakeFirst()
      if (user === undefined) throw new Refused('owner-unknown')
      if (await isTaken(act, agent)) throw new Refused('name-taken')
      const capabilities = JSON.stringify(agent.capabilities)
      const metadata = JSON.stringify(agent.metadata)
      await act
        .insertInto('agents')
        .values({
          ...{ id, tenant, owner, name, type, status, capabilities, metadata, changed },
          ...{ created_at: now, updated_at: now, version: 1, removed_at: null },
        })
        .execute()
      return 'created'
    })
  }

  async findAgent(tenant: TenantReach, id: string): Promise<Agent | undefined> {
    checkReach(tenant)
    return this.#acts.read(tenant, (db) => agentWithin(db, tenant, id))
  }

  async listAgents({ tenant, owner, after, limit }: AgentQuery): Promise<readonly Agent[]> {
    checkReach(tenant)
    return this.#acts.read(tenant, async (db) => {
      let agents = db.selectFrom('agents').selectAll().where('removed_at', 'is', null)
      if (tenant !== everyTenant) agents = agents.where('tenant', '=', tenant)
      if (owner !== undefined) agents = agents.where('owner', '=', owner)
      if (after !== undefined) agents = agents.where('id', '>', after)
      return (await agents.orderBy('id').limit(limit).execute()).map(agentOf)
    })
  }

  async updateAgent(
    tenant: TenantReach,
    id: string,
    change: AgentChange,
    version: number | undefined,
    now: Instant,
  ): Promise<Updated<Agent, 'name-taken'>> {
    checkReach(tenant)
    return this.#acts.change<Updated<Agent, 'name-taken'>>(tenant, async (act, changed) => {
      const before = await expected(act, tenant, id, version)
      const { name, type, capabilities, metadata, status } = change
      if (name !== undefined && (await isTaken(act, { ...before, name }))) throw new Refused({ outcome: 'name-taken' })
      await act
        .updateTable('agents')
        .set({
          ...(name === undefined ? {} : { name }),
          ...(type === undefined ? {} : { type }),
          ...(capabilities === undefined ? {} : { capabilities: JSON.stringify(capabilities) }),
          ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
          ...(status === undefined ? {} : { status }),
          updated_at: now,
          version: before.version + 1,
          changed,
        })
        .where('id', '=', id)
        .execute()
      return { outcome: 'updated', value: (await agentWithin(act, tenant, id))! }
    })
  }

  async removeAgent(
    tenant: TenantReach,
    id: string,
    version: number | undefined,
    now: Instant,
  ): Promise<Updated<Agent>> {
    checkReach(tenant)
    return this.#acts.change<Updated<Agent>>(tenant, async (act, changed) => {
      const before = await expected(act, tenant, id, version)
      await act
        .updateTable('agents')
        .set({ removed_at: now, updated_at: now, status: 'inactive', version: before.version + 1, changed })
        .where('id', '=', id)
        .execute()
      await act
        .updateTable('api_keys')
        .set({ revoked_at: now, changed })
        .where('agent', '=', id)
        .where('revoked_at', 'is', null)
        .execute()
      return { outcome: 'updated', value: before }
    })
  }
}

async function isTaken(act: Act, { id, tenant, name }: Pick<Agent, 'id' | 'tenant' | 'name'>): Promise<boolean> {
  const row = await act
    .selectFrom('agents')
    .select('id')
    .where('tenant', '=', tenant)
    .where('name', '=', name)
    .where('id', '!=', id)
    .where('removed_at', 'is', null)
    .executeTakeFirst()
  return row !== undefined
}

async function agentWithin(db: Kysely<Tables>, tenant: TenantReach, id: string): Promise<Agent | undefined> {
  let agents = db.selectFrom('agents').selectAll().where('id', '=', id).where('removed_at', 'is', null)
  if (tenant !== everyTenant) agents = agents.where('tenant', '=', tenant)
  const row = await agents.executeTakeFirst()
  return row && agentOf(row)
}

async function expected(act: Act, tenant: TenantReach, id: string, version: number | undefined): Promise<Agent> {
  const agent = await agentWithin(act, tenant, id)
  if (agent === undefined) throw new Refused({ outcome: 'unknown' })
  if (version !== undefined && version !== agent.version) throw new Refused({ outcome: 'changed' })
  return agent
}

function agentOf(row: Selectable<Tables['agents']>): Agent {
  const { id, tenant, owner, name, type, status, version } = row
  return {
    ...{ id, tenant, owner, name, type, status },
    capabilities: JSON.parse(row.capabilities) as Agent['capabilities'],
    metadata: JSON.parse(row.metadata) as Agent['metadata'],
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version,
  }
}
