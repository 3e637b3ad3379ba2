import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AttackCase, Expected } from './attack-case.ts'
import { cases } from './cases/cases.ts'
import type { Answer } from './connection.ts'
import { Target } from './harness.ts'
import { before, holdInvariants } from './invariants.ts'

const strays: unknown[] = []
const note = (reason: unknown) => strays.push(reason)
const targets = new Map<string, Promise<Target>>()

beforeAll(() => {
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
})

afterAll(async () => {
  for (const target of targets.values()) await (await target).close()
  process.off('unhandledRejection', note)
  process.off('uncaughtException', note)
})

/** The server that cases with these settings share. */
function shared(config: AttackCase['config']): Promise<Target> {
  const name = JSON.stringify(config ?? {})
  let target = targets.get(name)
  if (target === undefined) {
    target = Target.open(config)
    targets.set(name, target)
  }
  return target
}

function hold(answer: Answer, { status, code, rpc, headers = {} }: Expected): void {
  if (status !== undefined) expect(answer.status, answer.text).toBe(status)
  if (code !== undefined) expect(answer.code, answer.text).toBe(code)
  if (rpc !== undefined) expect(answer.rpc, answer.text).toBe(rpc)
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) expect(answer.header(name), name).toBeUndefined()
    else if (typeof value === 'string') expect(answer.header(name), name).toBe(value)
    else expect(answer.header(name), name).toMatch(value)
  }
}

for (const area of new Set(cases.map((each) => each.area))) {
  describe(area, () => {
    for (const attack of cases.filter((each) => each.area === area)) {
      const name = attack.sub === undefined ? attack.id : `${attack.id} ${attack.sub}`
      test(`${name}: ${attack.title} (${attack.requirement.join(', ')})`, async () => {
        const target = attack.alone ? await Target.open(attack.config) : await shared(attack.config)
        try {
          strays.length = 0
          const was = before(target)
          const expected = attack.expect ?? {}
          const answered = (await attack.send(target)) ?? []
          for (const answer of Array.isArray(answered) ? answered : [answered]) hold(answer, expected)
          await holdInvariants(target, was, expected, attack.may ?? [], strays)
        } finally {
          if (attack.alone) await target.close()
          else target.hangUp()
        }
      })
    }
  })
}
