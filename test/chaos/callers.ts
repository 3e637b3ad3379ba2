import { setTimeout as pause } from 'node:timers/promises'
import type { Answer } from '../attack/connection.ts'
import { call, tool } from '../attack/request.ts'
import { type Address, ask, type ClientSession, inSession, insist, openSession, streamOf } from './client.ts'
import type { Ledger, Run } from './ledger.ts'

let made = 0

/** Whether it was answered with its own text; what else may be said while parts are down is counted, and the rest told. */
function judge(answer: Answer | undefined, text: string, ledger: Ledger): void {
  if (answer === undefined) ledger.unanswered++
  else if (answer.status === 503 || answer.status === 504) {
    ledger.refused++
    ledger.note(`call, ${answer.status} ${answer.code}`)
  } else if (answer.status !== 200 || answer.said !== text)
    ledger.violation(`${text} was answered with ${answer.status} ${answer.text}`)
  else ledger.calls++
}

/** Plain calls with a good key, of either revision, at a steady pace. */
export async function callPlainly(
  address: Address,
  key: string,
  ledger: Ledger,
  run: Run,
  everyMs: number,
): Promise<void> {
  const session = await openSession(address, key, ledger)
  for (let next = performance.now(); run.goesOn && session !== undefined; next += everyMs) {
    const text = `plain-${++made}`
    const params = { name: 'echo', arguments: { text } }
    const request = made % 2 === 0 ? tool('echo', { text }) : inSession(session, 'tools/call', params, 7)
    const began = performance.now()
    judge(await ask(address, request, key, ledger), text, ledger)
    ledger.callMs.push(performance.now() - began)
    if (performance.now() < next) await run.wait(next - performance.now())
  }
}

/** Calls that must never be admitted: with nothing, with something made up, with a key that was taken back. */
export async function callAsStranger(
  address: Address,
  keys: readonly (string | undefined)[],
  ledger: Ledger,
  run: Run,
): Promise<void> {
  while (run.goesOn) {
    const key = keys[++made % keys.length]
    const request = made % 3 === 0 ? call('tools/list') : tool('echo', { text: 'stranger' })
    const answer = await ask(address, request, key, ledger)
    ledger.strangers++
    if (answer !== undefined && ![401, 503, 504].includes(answer.status)) {
      ledger.admitted++
      ledger.violation(`a stranger was answered with ${answer.status} ${answer.text}`)
    }
    await run.wait(40)
  }
}

/** What AK-07 promises: no call with a key that was taken back goes well later than this. */
export const revokedWithinMs = 5_000

/** Keys that are made, used and taken back. From then on, and a little, they must be refused at every server. */
export async function takeBack(
  address: Address,
  keys: { make(): Promise<{ readonly id: string; readonly text: string }>; revoke(id: string): Promise<void> },
  ledger: Ledger,
  run: Run,
): Promise<readonly string[]> {
  const gone: string[] = []
  while (run.goesOn) {
    const { id, text } = await keys.make()
    const said = `taken-back-${++made}`
    judge(await insist(address, tool('echo', { text: said }), text, ledger), said, ledger)
    await keys.revoke(id)
    const revoked = performance.now()
    ledger.revoked++
    let last = revoked
    while (performance.now() - revoked < 2 * revokedWithinMs) {
      const began = performance.now()
      const answer = await ask(address, call('tools/list'), text, ledger)
      ledger.strangers++
      if (answer?.status === 200) {
        last = performance.now()
        if (began - revoked > revokedWithinMs) {
          ledger.admitted++
          ledger.violation(`a key was good ${Math.round(began - revoked)} ms after it was taken back`)
        }
      } else if (answer !== undefined && ![401, 503, 504].includes(answer.status))
        ledger.violation(`a key that was taken back was answered with ${answer.status} ${answer.text}`)
      await pause(100)
    }
    ledger.revokeMs.push(last - revoked)
    gone.push(text)
  }
  return gone
}

/** How long another server may not have heard that a session was ended. */
const endedWithinMs = 2_000

/** Sessions that are opened, used and ended. They stay ended. */
export async function comeAndGo(
  address: Address,
  key: string,
  ledger: Ledger,
  run: Run,
): Promise<readonly ClientSession[]> {
  const ended: { session: ClientSession; at: number }[] = []
  while (run.goesOn) {
    const session = await openSession(address, key, ledger)
    if (session === undefined) break
    const ping = await insist(address, inSession(session, 'ping', {}, 1), key, ledger)
    if (ping !== undefined && ping.status !== 200) ledger.violation(`a new session was answered with ${ping.status}`)
    const end = await insist(address, { ...streamOf(session), verb: 'DELETE' }, key, ledger)
    if (end !== undefined && ![204, 404].includes(end.status))
      ledger.violation(`DELETE was answered with ${end.status}`)
    ended.push({ session, at: performance.now() })
    ledger.ended++
    const old = ended[++made % ended.length]!
    const again = await ask(address, inSession(old.session, 'ping', {}, 1), key, ledger)
    if (again?.status === 200 && performance.now() - old.at > 2 * endedWithinMs)
      ledger.violation(`a session answered ${Math.round(performance.now() - old.at)} ms after its end`)
    await run.wait(60)
  }
  return ended.map(({ session }) => session)
}
