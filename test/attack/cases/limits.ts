import { expect } from 'vitest'
import type { AttackCase } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import type { Target } from '../harness.ts'
import { call, initialize, type Person, type Request, tool } from '../request.ts'

const area = 'Rate limits'
const tenMinutes = 600_000

const list = (as: Person): Request => call('tools/list', {}, { as })
const echo = (as: Person): Request => tool('echo', { text: 'x' }, { as })
const note = (as: Person): Request => tool('write_note', { text: 'x' }, { as })
const guess = (at: number | string): Request =>
  call('tools/list', {}, { headers: { Authorization: `Bearer guess-${at}` } })

/** Sends the same again and again, and answers how often it was let in and the first refusal. */
async function drain(target: Target, request: Request): Promise<{ admitted: number; refusal: Answer }> {
  for (let admitted = 0; ; admitted++) {
    const answer = await target.send(request)
    if (answer.status === 429) return { admitted, refusal: answer }
    expect(admitted, 'calls without end').toBeLessThan(50)
  }
}

const limited = { status: 429, code: 'RATE_LIMITED', headers: { 'Retry-After': /^[1-9]\d*$/ } } as const

export const limitCases: readonly AttackCase[] = [
  {
    id: 'X-361',
    area,
    requirement: ['RL-01'],
    title: 'a hundred calls at once that are held to three limits are let in as often as the least of them says',
    alone: true,
    config: {
      rateLimit: {
        rules: [
          { name: 'reads', per: ['key'], scopes: ['read'], callsMax: 30, windowMs: tenMinutes },
          { name: 'echoes', per: ['tenant', 'tool'], tools: ['echo'], callsMax: 20, windowMs: tenMinutes },
        ],
      },
    },
    send: async (target) => {
      const answers = await Promise.all(Array.from({ length: 100 }, () => target.send(echo('A.read'))))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
      // What the least refused was not taken from the others.
      expect(await drain(target, list('A.read'))).toMatchObject({ admitted: 10 })
      return answers.filter(({ status }) => status !== 200)
    },
    expect: { ...limited, audit: { type: 'rate_limit', success: false, reason: 'echoes', tool: 'echo' } },
  },
  {
    id: 'X-362',
    area,
    requirement: ['RL-03'],
    title: 'one scope that is used up leaves the others, and another key has its own',
    alone: true,
    config: {
      rateLimit: {
        rules: [
          { name: 'read', per: ['key'], scopes: ['read'], callsMax: 6, windowMs: tenMinutes },
          { name: 'write', per: ['key'], scopes: ['write'], callsMax: 3, windowMs: tenMinutes },
        ],
      },
    },
    send: async (target) => {
      const { admitted, refusal } = await drain(target, note('A.write'))
      expect(admitted).toBe(3)
      expect(await drain(target, list('A.write'))).toMatchObject({ admitted: 6 })
      expect((await target.send(note('B.write'))).status).toBe(200)
      return refusal
    },
    expect: {
      ...limited,
      notes: 4,
      headers: { 'RateLimit-Policy': '"write";q=3;w=600', RateLimit: /^"write";r=0;t=\d+$/ },
      audit: { type: 'rate_limit', success: false, reason: 'write', tool: 'write_note' },
    },
  },
  {
    id: 'X-363',
    area,
    requirement: ['RL-06'],
    title: 'a dear tool takes what it costs, and what is left is too little for it and enough for others',
    alone: true,
    config: {
      rateLimit: {
        callsMax: 100,
        windowMs: tenMinutes,
        rules: [
          { name: 'dear', per: ['principal'], tools: ['write_note'], cost: 4, callsMax: 10, windowMs: tenMinutes },
        ],
      },
    },
    send: async (target) => {
      const { admitted, refusal } = await drain(target, note('A.write'))
      expect(admitted).toBe(2)
      expect((await target.send(list('A.write'))).status).toBe(200)
      return refusal
    },
    expect: { ...limited, notes: 2, audit: { reason: 'dear' } },
  },
  {
    id: 'X-364',
    area,
    requirement: ['RL-05'],
    title: 'every answer of a limited call tells what is left, truly, and nothing of what others use',
    alone: true,
    config: {
      rateLimit: {
        headers: ['standard', 'legacy', 'x'],
        rules: [
          { name: 'mine', per: ['key'], callsMax: 5, windowMs: tenMinutes },
          { name: 'all', per: ['everyone'], tools: ['echo', 'write_note'], callsMax: 3, windowMs: tenMinutes },
        ],
      },
    },
    send: async (target) => {
      for (const left of [4, 3]) {
        const answer = await target.send(echo('A.read'))
        expect(answer.header('ratelimit')).toMatch(new RegExp(`^"mine";r=${left};t=1(?:19|20)$`))
        expect(answer.header('ratelimit-policy')).toBe('"mine";q=5;w=600')
        expect(answer.header('ratelimit-remaining')).toBe(String(left))
        expect(answer.header('x-ratelimit-limit')).toBe('5')
      }
      // One that is refused for what it asks counts too, and is told so.
      const unknown = await target.send(tool('nothing', {}, { as: 'A.read' }))
      expect(unknown.header('ratelimit')).toMatch(/^"mine";r=2;/)
      const other = await target.send(echo('B.read'))
      expect(other.header('ratelimit')).toMatch(/^"mine";r=4;/)
      return await target.send(echo('B.read'))
    },
    expect: {
      ...limited,
      headers: {
        'Retry-After': /^(?:19\d|200)$/,
        RateLimit: null,
        'RateLimit-Policy': null,
        'X-RateLimit-Limit': null,
      },
      audit: { type: 'rate_limit', reason: 'all' },
    },
  },
  {
    id: 'X-365',
    area,
    requirement: ['RL-04', 'RL-03'],
    title: 'guesses that wait as they are told wait twice as long after each level, and nobody is locked out',
    alone: true,
    config: { rateLimit: { failuresMax: 4 } },
    send: async (target) => {
      const waits = new Set<number>()
      let refusal: Answer | undefined
      for (let at = 0; at < 60; at++) {
        const answer = await target.send(guess(at))
        if (answer.status === 401) continue
        refusal = answer
        const seconds = Number(answer.header('retry-after'))
        waits.add(seconds)
        target.advance(seconds * 1_000)
      }
      expect(
        [15, 30, 60].every((wait) => waits.has(wait)),
        [...waits].join(' '),
      ).toBe(true)
      expect((await target.send(list('A.read'))).status).toBe(200)
      return refusal
    },
    expect: { ...limited, audit: { type: 'rate_limit', success: false, reason: 'failed-authentication' } },
  },
  {
    id: 'X-366',
    area,
    requirement: ['RL-03'],
    title: 'a session has a limit of its own, and to open another is counted where all are',
    alone: true,
    config: {
      rateLimit: {
        callsMax: 12,
        windowMs: tenMinutes,
        rules: [{ name: 'session', per: ['session'], callsMax: 4, windowMs: tenMinutes }],
      },
    },
    send: async (target) => {
      const session = await target.openSession('A.read')
      const { refusal } = await drain(target, session.request('tools/list'))
      expect(refusal.header('ratelimit-policy')).toBe('"session";q=4;w=600')
      const { refusal: another } = await drain(target, initialize('A.read'))
      expect(another.header('ratelimit-policy')).toBe('"calls";q=12;w=600')
      return [refusal, another]
    },
    expect: limited,
  },
  {
    id: 'X-367',
    area,
    requirement: ['RL-04'],
    title: 'a limit on failures lets what goes well through, and stops who probes',
    alone: true,
    config: {
      rateLimit: { rules: [{ name: 'probes', per: ['key'], callsMax: 5, windowMs: tenMinutes, count: 'failures' }] },
    },
    send: async (target) => {
      for (let good = 0; good < 12; good++) expect((await target.send(echo('A.read'))).status).toBe(200)
      for (let probe = 0; probe < 5; probe++) {
        const answer = await target.send(tool(`hidden-${probe}`, {}, { as: 'A.read' }))
        expect(answer.code).toBe('UNKNOWN_TOOL')
      }
      return [await target.send(tool('hidden', {}, { as: 'A.read' })), await target.send(echo('A.read'))]
    },
    expect: { ...limited, audit: { type: 'rate_limit', reason: 'probes' } },
  },
  {
    id: 'X-368',
    area,
    requirement: ['RL-03'],
    title: 'a flood from one address is turned away before it is asked who sends it',
    alone: true,
    config: {
      rateLimit: { rules: [{ name: 'flood', per: ['address'], callsMax: 6, windowMs: 60_000 }] },
    },
    send: async (target) => {
      const answers: Answer[] = []
      for (let at = 0; at < 9; at++) answers.push(await target.send(call('tools/list', {}, {})))
      expect(answers.slice(0, 6).map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 401])
      target.advance(60_000)
      return answers.slice(6)
    },
    expect: { ...limited, headers: { RateLimit: null }, audit: { type: 'rate_limit', reason: 'flood' } },
  },
  {
    id: 'X-369',
    area,
    requirement: ['RL-06'],
    title: 'a tenant that holds all the calls it may leaves the others theirs',
    alone: true,
    config: { limits: { callsPerTenantMax: 3 } },
    may: ['slow'],
    send: async (target) => {
      const held = []
      for (const as of ['A.read', 'A.write', 'A.admin'] as const)
        held.push(await target.begin(tool('slow', {}, { as, meta: { progressToken: 'p' } })))
      for (const connection of held) await connection.begun()
      const refused = await target.send(tool('slow', {}, { as: 'A.clerk' }))
      const other = await target.begin(tool('slow', {}, { as: 'B.read', meta: { progressToken: 'p' } }))
      await other.begun()
      return refused
    },
    expect: {
      status: 503,
      code: 'OVERLOADED',
      ours: [503],
      headers: { 'Retry-After': '1' },
      audit: { success: false, code: 'OVERLOADED', reason: 'calls-of-tenant' },
    },
  },
  {
    id: 'X-370',
    area,
    requirement: ['RL-06'],
    title: 'a tool has so many calls under way and no more, and other tools go on',
    alone: true,
    config: { limits: { callsPerToolMax: 2 } },
    may: ['slow'],
    send: async (target) => {
      const held = []
      for (const as of ['A.read', 'B.read'] as const)
        held.push(await target.begin(tool('slow', {}, { as, meta: { progressToken: 'p' } })))
      for (const connection of held) await connection.begun()
      const refused = await target.send(tool('slow', {}, { as: 'A.write' }))
      expect((await target.send(echo('A.write'))).status).toBe(200)
      return refused
    },
    expect: {
      status: 503,
      code: 'OVERLOADED',
      ours: [503],
      audit: { success: false, code: 'OVERLOADED', reason: 'calls-of-tool' },
    },
  },
]
