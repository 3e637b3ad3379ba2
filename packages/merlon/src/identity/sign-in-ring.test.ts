import { beforeEach, describe, expect, it } from 'vitest'
import { Fault } from '../errors.ts'
import { hour, openPeople, type People, password, roles, start } from './people.fixture.ts'
import { SignInRing } from './sign-in-ring.ts'

describe('the ring of sign-ins', () => {
  let people: People
  let id: string
  let ring: SignInRing
  let lookUps: number
  let down: boolean

  beforeEach(async () => {
    people = await openPeople()
    const opened = await people.signIns.signIn({ email: 'uma@example.com', password, address: '192.0.2.1' })
    id = opened.signIn.id
    lookUps = 0
    down = false
    const store = {
      findSignIn: async (asked: string) => {
        lookUps++
        if (down) throw new Error('out of reach')
        return people.stores.signIns.findSignIn(asked)
      },
    }
    ring = new SignInRing({ store, poll: people.poll, roles, clock: () => people.state.now })
    await people.poll.refresh()
  })

  const reason = async (asked = id) => {
    const verdict = await ring.standing(asked, people.state.now)
    return verdict.ok ? 'ok' : verdict.reason
  }

  it('says who signed in, with all that they may do', async () => {
    const verdict = await ring.standing(id, start)
    expect(verdict).toEqual({
      ok: true,
      principal: {
        ...{ id: 'usr_uma', kind: 'user', tenant: 'a', credential: id, role: 'user', expiresAt: start + 12 * hour },
        ...{ granted: roles.get('user'), effective: roles.get('user'), binding: 'a\nuser\nusr_uma\nsign-in' },
      },
    })
  })

  it('answers at once from memory, while a poll vouches for it', async () => {
    expect(await reason()).toBe('ok')
    expect(ring.standing(id, start)).not.toBeInstanceOf(Promise)
    expect(lookUps).toBe(1)
    people.state.now += 1_001
    expect(await reason()).toBe('ok')
    expect(lookUps).toBe(2)
  })

  it('AD-04: refuses one that is not there, that has ended, and that was signed out', async () => {
    expect(await reason('sgn_0000000000000000000000')).toBe('unknown')
    expect(await reason('constructor')).toBe('unknown')
    expect(await reason()).toBe('ok')
    people.state.now += 12 * hour
    await people.poll.refresh()
    expect(await reason()).toBe('expired')
    people.state.now = start
    await people.signIns.revoke(id, people.by.uma)
    await people.poll.refresh()
    expect(await reason()).toBe('revoked')
  })

  it('AU-09: tells what is good no longer from what is not as it was', async () => {
    const told: string[] = []
    ring.news.onWithdrawn((credential) => told.push(`withdrawn ${credential}`))
    ring.news.onChanged((credential) => told.push(`changed ${credential}`))
    expect(await reason()).toBe('ok')
    await people.users.update('usr_uma', { name: 'una' }, people.by.uma)
    await people.poll.refresh()
    expect(told).toEqual([])
    expect(await reason()).toBe('ok')
    await people.users.update('usr_uma', { role: 'auditor' }, people.by.ann)
    await people.poll.refresh()
    expect(told).toEqual([`changed ${id}`])
    await people.users.update('usr_uma', { status: 'disabled' }, people.by.ann)
    await people.poll.refresh()
    expect(told).toEqual([`changed ${id}`, `withdrawn ${id}`])
    expect(await reason()).toBe('revoked')
  })

  it('answers unavailable, and never that it is bad, while the store is out of reach', async () => {
    down = true
    await expect(ring.standing(id, start)).rejects.toBeInstanceOf(Fault)
    await expect(ring.standing(id, start)).rejects.toMatchObject({ code: 'store.unavailable' })
  })

  it('does not remember what it read before a change that it has already been told of', async () => {
    const { findSignIn } = people.stores.signIns
    const slow = new SignInRing({
      ...{ poll: people.poll, roles, clock: () => people.state.now },
      store: {
        async findSignIn(asked) {
          const record = await findSignIn.call(people.stores.signIns, asked)
          await people.signIns.revoke(id, people.by.uma)
          await people.poll.refresh()
          return record
        },
      },
    })
    expect(await slow.standing(id, start)).toMatchObject({ ok: true })
    expect(slow.standing(id, start)).toBeInstanceOf(Promise)
  })
})
