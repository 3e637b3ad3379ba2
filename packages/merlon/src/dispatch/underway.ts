import { Fault } from '../errors.ts'

/** How many calls may be under way at once. */
export interface CallCaps {
  readonly perPrincipal: number
  readonly perTenant: number
  /** Of one tool that names no number of its own. */
  readonly perTool: number
}

/** Whose a call is, as far as caps ask. */
export interface Caller {
  /** Sets its principal apart: an external subject may have a namesake in another tenant. */
  readonly binding: string
  readonly tenant: string
  /** The tool that is called, if one is. */
  readonly tool: { readonly name?: string; readonly concurrency?: number } | undefined
}

/** Of a tool's places, the part that one tenant may hold where there is another. */
const tenantShare = 3 / 4

/**
 * Counts calls under way by principal, tenant and tool. Each holds memory for as long as it takes, and what nobody bounds
 * one takes from all the others.
 */
export class Underway {
  private total = 0
  private readonly principals = new Map<string, number>()
  private readonly tenants = new Map<string, number>()
  /** By tool, then by tenant. */
  private readonly tools = new Map<string, Map<string, number>>()
  private firstTenant: string | undefined
  private severalTenants = false

  add({ binding, tenant, tool }: Caller): void {
    this.total++
    count(this.principals, binding, 1)
    count(this.tenants, tenant, 1)
    if (tool?.name === undefined) return
    const held = this.tools.get(tool.name) ?? new Map<string, number>()
    this.tools.set(tool.name, held)
    count(held, tenant, 1)
  }

  remove({ binding, tenant, tool }: Caller): void {
    this.total--
    count(this.principals, binding, -1)
    count(this.tenants, tenant, -1)
    const held = tool?.name === undefined ? undefined : this.tools.get(tool.name)
    if (held === undefined) return
    count(held, tenant, -1)
    if (held.size === 0) this.tools.delete(tool!.name!)
  }

  /** Refuses one more call where a cap is reached. */
  checkRoom({ binding, tenant, tool }: Caller, caps: CallCaps): void {
    if (tenant !== this.firstTenant) {
      if (this.firstTenant === undefined) this.firstTenant = tenant
      else this.severalTenants = true
    }
    const perTool = tool === undefined ? Number.POSITIVE_INFINITY : (tool.concurrency ?? caps.perTool)
    const tenantsPart = this.severalTenants ? Math.ceil(perTool * tenantShare) : perTool
    // No part can have reached what all of it together has not.
    const least = Math.min(caps.perPrincipal, caps.perTenant, tenantsPart)
    if (this.total < least) return
    if ((this.principals.get(binding) ?? 0) >= caps.perPrincipal) throw full('calls')
    if ((this.tenants.get(tenant) ?? 0) >= caps.perTenant) throw full('calls-of-tenant')
    const held = tool?.name === undefined ? undefined : this.tools.get(tool.name)
    if (held === undefined) return
    if ((held.get(tenant) ?? 0) >= tenantsPart) throw full('calls-of-tool')
    let all = 0
    for (const calls of held.values()) all += calls
    if (all >= perTool) throw full('calls-of-tool')
  }
}

function count(counts: Map<string, number>, key: string, change: number): void {
  const calls = (counts.get(key) ?? 0) + change
  if (calls <= 0) counts.delete(key)
  else counts.set(key, calls)
}

function full(reason: string): Fault {
  return new Fault('capacity.exceeded', { reason, retryAfterMs: 1_000 })
}
