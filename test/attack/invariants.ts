import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Expected } from './attack-case.ts'
import type { Answer } from './connection.ts'
import { type AuditLine, catalogFolder, type Target } from './harness.ts'
import { bytesOf, canary, ledger } from './project/src/ledger.ts'
import { call, people } from './request.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Tools that change something or that few may reach: they run where a case says so, and nowhere else. */
const guarded = ['write_note', 'admin_status', 'files_write', 'vault']

const stackFrame = /\n\s+at .+:[0-9]+:[0-9]+/

/** Where everything stood before a case. */
export interface Before {
  readonly auditBytes: number
  readonly answers: number
  readonly heard: number
  readonly logged: number
  readonly notes: number
  readonly ran: number
}

export function before(target: Target): Before {
  const { notes, ran } = ledger()
  return {
    auditBytes: target.auditBytes().length,
    answers: target.answers.length,
    heard: target.heard.length,
    logged: target.log.length,
    notes: notes.length,
    ran: ran.length,
  }
}

/** What holds after every case, whatever it did: the global invariants of the corpus. */
export async function holdInvariants(
  target: Target,
  was: Before,
  expected: Expected,
  may: readonly string[],
  strays: readonly unknown[],
): Promise<void> {
  const answers = target.answers.slice(was.answers)
  holdHeads(answers, expected.ours ?? [])
  holdSideEffects(was, expected.notes ?? 0, may)
  await holdAudit(target, was, answers, expected)
  holdSecrets(target, was)
  expect(strays, 'failures that nobody caught').toEqual([])

  target.hangUp()
  await target.settled(async () => {
    const honest = await target.send(call('tools/list', {}, { as: 'A.honest' }))
    expect(honest.status, 'an honest call after the attack').toBe(200)
    expect(honest.message.result?.tools?.length).toBeGreaterThan(0)
  })
}

/** No failure of ours, and the headers that every answer carries, on every status. */
function holdHeads(answers: readonly Answer[], ours: readonly number[]): void {
  for (const answer of answers) {
    const { status } = answer
    if (status >= 500) expect(ours, `a failure of ours: ${status} ${answer.text}`).toContain(status)
    expect(answer.header('x-content-type-options'), `nosniff on ${status}`).toBe('nosniff')
    expect(answer.header('cache-control'), `no-store on ${status}`).toBe('no-store')
    expect(answer.header('content-security-policy'), `a policy on ${status}`).toContain("frame-ancestors 'none'")
    expect(answer.header('server'), `Server on ${status}`).toBeUndefined()
    expect(answer.header('x-powered-by'), `X-Powered-By on ${status}`).toBeUndefined()
    expect(answer.header('access-control-allow-credentials'), `CORS on ${status}`).toBeUndefined()
    expect(answer.header('vary'), `Vary on ${status}`).toMatch(/^Origin(?:, Accept-Encoding)?$/)
    if (answer.body.length > 0) expect(answer.header('content-type')).toMatch(/; charset=utf-8$/)
  }
}

function holdSideEffects(was: Before, notes: number, may: readonly string[]): void {
  expect(ledger().notes.length - was.notes, 'notes that were written').toBe(notes)
  const allowed = new Set([...may, ...(notes > 0 ? ['write_note'] : [])])
  const ran = ledger().ran.slice(was.ran)
  const wrong = ran.filter((name) => guarded.includes(name) && !allowed.has(name))
  expect(wrong, 'tools that ran and must not').toEqual([])
}

/** A record for each refusal, and those that the case names. */
async function holdAudit(
  target: Target,
  was: Before,
  answers: readonly Answer[],
  { audit = [] }: Expected,
): Promise<void> {
  const refusals = answers.filter(({ status }) => status >= 400).length
  const wanted: readonly AuditLine[] = Array.isArray(audit) ? audit : [audit]
  await target.settled(() => {
    const lines = target.audit(was.auditBytes)
    const failures = lines.filter(({ success }) => success === false).length
    expect(failures, 'records of what was refused').toBeGreaterThanOrEqual(refusals)
    for (const each of wanted) expect(lines).toContainEqual(expect.objectContaining(each))
  })
}

/** Nothing secret in what clients heard, in the audit log or in the program log; nothing of one tenant at the other. */
function holdSecrets(target: Target, was: Before): void {
  const heard = target.heard.slice(was.heard)
  const all = Buffer.concat(heard.map(({ bytes }) => bytes)).toString('latin1')
  const audit = target.auditBytes().subarray(was.auditBytes).toString('utf8')
  const log = target.log.slice(was.logged).join('\n')
  const secrets = people.map((person) => target.key(person).text.slice('mrl_000000000000_'.length))

  const places = [
    ['an answer', all],
    ['the audit log', audit],
  ] as const
  for (const [place, text] of places) {
    expect(stackFrame.test(text), `a stack in ${place}`).toBe(false)
    // A client may be told its own words again, and one of the cases asks for a file.
    for (const hidden of [canary, root, target.folder, catalogFolder, 'node:internal', 'file://'])
      if (hidden !== 'file://' || place === 'the audit log') expect(text, `${hidden} in ${place}`).not.toContain(hidden)
  }
  for (const secret of secrets) {
    expect(all, 'a key in an answer').not.toContain(secret)
    expect(audit, 'a key in the audit log').not.toContain(secret)
    expect(log, 'a key in the program log').not.toContain(secret)
  }
  for (const id of target.sessions) {
    expect(audit, 'a session id in the audit log').not.toContain(id)
    expect(log, 'a session id in the program log').not.toContain(id)
  }
  expect(audit, 'an argument in the audit log').not.toContain(planted)
  expect(log, 'an argument in the program log').not.toContain(planted)

  const heardBy = (tenant: 'A' | 'B') =>
    Buffer.concat(heard.filter(({ as }) => as?.startsWith(tenant)).map(({ bytes }) => bytes)).toString('latin1')
  expect(heardBy('B'), "A's bytes at B").not.toContain(bytesOf('tenant-a'))
  expect(heardBy('A'), "B's bytes at A").not.toContain(bytesOf('tenant-b'))
}

/** Planted in arguments and headers; may come back to whoever sent it, and must be in no log. */
export const planted = 'canary-c0ffee-argument'
