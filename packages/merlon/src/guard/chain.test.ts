import { describe, expect, test } from 'vitest'
import type { Awaitable } from '../call.ts'
import { Fault } from '../errors.ts'
import { chain, type Guard, proved } from './chain.ts'

type Start = { readonly ran: string[] }

const step =
  <Proof extends object>(name: string, proof: () => Awaitable<Proof>): Guard<Start, Proof> =>
  ({ ran }) => {
    ran.push(name)
    return proof()
  }
const refuse = (): object => {
  throw new Fault('host.refused')
}

describe('a chain of guards', () => {
  test('runs them in their order on one call, which gains what they prove', () => {
    const call: Start = { ran: [] }
    const passed = chain<Start>()
      .and(step('a', () => ({ one: 1 })))
      .and(step('b', () => proved))
      .and(({ ran, one }: Start & { one: number }) => {
        ran.push('c')
        return { two: one + 1 }
      })
      .run(call)
    expect(passed).toBe(call)
    expect(passed).toEqual({ ran: ['a', 'b', 'c'], one: 1, two: 2 })
  })

  test('waits for a guard that needs time, and only then goes on', async () => {
    const call: Start = { ran: [] }
    let admit = (_proof: { who: string }) => {}
    const running = chain<Start>()
      .and(step('slow', () => new Promise<{ who: string }>((resolve) => (admit = resolve))))
      .and(({ ran, who }: Start & { who: string }) => {
        ran.push(`after ${who}`)
        return proved
      })
      .run(call)
    expect(running).toBeInstanceOf(Promise)
    await Promise.resolve()
    expect(call.ran).toEqual(['slow'])
    admit({ who: 'alice' })
    expect(await running).toBe(call)
    expect(call.ran).toEqual(['slow', 'after alice'])
  })

  test.each<[string, () => object]>([
    ['throws a Fault', refuse],
    ['answers with a rejected promise', () => Promise.reject(new Fault('host.refused'))],
    ['throws anything else', () => new URL('no url')],
    ['answers with a promise rejected with anything else', () => Promise.reject('x')],
  ])('is refused where a guard %s: no later guard runs', async (_, proof) => {
    const call: Start = { ran: [] }
    const guards = chain<Start>()
      .and(step('first', () => proved))
      .and(step('refusing', proof))
      .and(step('later', () => proved))
    await expect((async () => guards.run(call))()).rejects.toBeDefined()
    expect(call.ran).toEqual(['first', 'refusing'])
  })

  test('a guard that throws behind one that needed time refuses too', async () => {
    const call: Start = { ran: [] }
    const guards = chain<Start>()
      .and(step('slow', async () => proved))
      .and(step('refusing', refuse))
      .and(step('later', () => proved))
    await expect(guards.run(call)).rejects.toMatchObject({ code: 'host.refused' })
    expect(call.ran).toEqual(['slow', 'refusing'])
  })

  test('adding a guard leaves the shorter chain as it was', () => {
    const short = chain<Start>().and(step('a', () => proved))
    short.and(step('b', refuse))
    const call: Start = { ran: [] }
    short.run(call)
    expect(call.ran).toEqual(['a'])
  })
})
