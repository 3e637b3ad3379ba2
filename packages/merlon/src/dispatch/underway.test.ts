import { describe, expect, test } from 'vitest'
import { type CallCaps, type Caller, Underway } from './underway.ts'

const caps: CallCaps = { perPrincipal: 4, perTenant: 6, perTool: 8 }
const caller = (tenant: string, binding: string, tool?: Caller['tool']): Caller => ({
  tenant,
  binding: `${tenant} ${binding}`,
  tool,
})

/** Begins as many calls as it is let, up to a hundred, and says what the next was refused for. */
function fill(underway: Underway, each: Caller, limits = caps): [number, string | undefined] {
  for (let begun = 0; begun < 100; begun++) {
    try {
      underway.checkRoom(each, limits)
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'capacity.exceeded', detail: { retryAfterMs: 1_000 } })
      return [begun, (thrown as { detail: { reason: string } }).detail.reason]
    }
    underway.add(each)
  }
  return [100, undefined]
}

describe('calls under way', () => {
  test('RL-06: are bounded for a principal, and all principals of a tenant together', () => {
    const underway = new Underway()
    expect(fill(underway, caller('t1', 'a'))).toEqual([4, 'calls'])
    expect(fill(underway, caller('t1', 'b'))).toEqual([2, 'calls-of-tenant'])
    expect(fill(underway, caller('t2', 'a'))).toEqual([4, 'calls'])
  })

  test('make room when they end', () => {
    const underway = new Underway()
    const each = caller('t1', 'a', { name: 'slow', concurrency: 3 })
    expect(fill(underway, each)).toEqual([3, 'calls-of-tool'])
    for (let call = 0; call < 3; call++) underway.remove(each)
    expect(fill(underway, each)).toEqual([3, 'calls-of-tool'])
  })

  test('RL-06: are bounded for a tool, by its own number or the one for all', () => {
    const wide = { ...caps, perPrincipal: 50, perTenant: 50 }
    expect(fill(new Underway(), caller('t1', 'a', { name: 'slow', concurrency: 3 }), wide)).toEqual([
      3,
      'calls-of-tool',
    ])
    expect(fill(new Underway(), caller('t1', 'a', { name: 'quick' }), wide)).toEqual([8, 'calls-of-tool'])
    expect(fill(new Underway(), caller('t1', 'a'), wide)).toEqual([50, 'calls'])
  })

  test('RL-06: one tool that is full leaves the others', () => {
    const underway = new Underway()
    fill(underway, caller('t1', 'a', { name: 'slow', concurrency: 1 }))
    expect(fill(underway, caller('t1', 'a', { name: 'quick' }))).toEqual([3, 'calls'])
  })

  test('RL-06: where there are several tenants, one of them cannot hold all places of a tool', () => {
    const underway = new Underway()
    const wide = { perPrincipal: 50, perTenant: 50, perTool: 8 }
    const tool = { name: 'slow', concurrency: 8 }
    underway.checkRoom(caller('t2', 'b', tool), wide)
    expect(fill(underway, caller('t1', 'a', tool), wide)).toEqual([6, 'calls-of-tool'])
    expect(fill(underway, caller('t2', 'b', tool), wide)).toEqual([2, 'calls-of-tool'])
  })
})
