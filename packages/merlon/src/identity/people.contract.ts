import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { NewAgent } from './agent-store.ts'
import type { IdentityStores } from './identity-store.ts'
import type { IdentityOpened } from './key-store.contract.ts'
import type { NewKey } from './key-store.ts'
import { everyTenant } from './reach.ts'
import { signInKeptMs, signInsKeptMax, signInsMax } from './sign-in-store.ts'
import type { NewUser } from './user-store.ts'

const now = 1_800_000_000_000
const hour = 3_600_000

const ann: NewUser = { id: 'usr_ann', tenant: 'a', name: 'ann', role: 'admin', status: 'active' }
const olga: NewUser = { id: 'usr_olga', tenant: 'a', name: 'olga', role: 'operator', status: 'active' }
const otto: NewUser = { id: 'usr_otto', tenant: 'b', name: 'otto', role: 'operator', status: 'active' }
const bea: NewUser = { id: 'usr_bea', tenant: 'b', name: 'bea', role: 'user', status: 'active' }
const administrators = ['admin', 'operator']

/** What the stores of tenants, users, agents, sign-ins and signing keys are, whatever they are made of. */
export function peopleContract(name: string, open: () => Promise<IdentityOpened>): void {
  describe(`the people of ${name}`, () => {
    let opened: IdentityOpened
    let all: IdentityStores
    const others: IdentityStores[] = []

    beforeEach(async () => {
      opened = await open()
      all = opened.stores
      for (const tenant of ['a', 'b']) await all.tenants.ensureTenant(tenant, now)
      for (const user of [ann, olga, otto, bea]) await all.users.createUser(user, now)
    })
    afterEach(async () => {
      await Promise.all([all, ...others.splice(0)].map((each) => each.close()))
    })

    const another = async () => {
      if (opened.another === undefined) return all
      others.push(await opened.another())
      return others.at(-1)!
    }
    /** Two servers at the same store, where there can be two. */
    const both = async () => [all, await another()] as const
    const revision = async () => (await all.installation.changesSince(0)).revision
    const changes = async (since: number) => {
      const { keys, signIns } = await all.installation.changesSince(since)
      return [...keys, ...signIns].map(({ id, withdrawn }) => `${id} ${withdrawn ? 'withdrawn' : 'changed'}`).sort()
    }
    const keyOf = (user: NewUser, over: Partial<NewKey> = {}): NewKey => ({
      ...{ id: `key_${user.name}`, tenant: user.tenant, owner: user.id, name: 'laptop', scopes: ['read'] },
      ...{ digest: Buffer.alloc(32, 1), pepper: 'p', last4: 'abcd', expiresAt: now + hour },
      ...over,
    })
    const signIn = (user: NewUser, id = `sgn_${user.name}`, at = now, address: string | undefined = undefined) =>
      all.signIns.createSignIn({ id, tenant: user.tenant, user: user.id, expiresAt: at + hour, address }, undefined, at)
    const bot: NewAgent = {
      ...{ id: 'agt_bot', tenant: 'a', owner: ann.id, name: 'bot', type: 'assistant', status: 'active' },
      ...{ capabilities: ['search'], metadata: { model: { name: 'm', sizes: [1, 2] } } },
    }

    describe('tenants', () => {
      it('are made once, with a limit or without', async () => {
        const limited = { id: 'c', name: 'Company C', scopes: ['read'] }
        expect(await all.tenants.createTenant(limited, now)).toBe('created')
        expect(await all.tenants.createTenant(limited, now)).toBe('taken')
        const made = { status: 'active', createdAt: now, updatedAt: now, version: 1 }
        expect(await all.tenants.findTenant('c', 'c')).toEqual({ ...limited, ...made })
        expect(await all.tenants.findTenant(everyTenant, 'a')).toEqual({
          id: 'a',
          name: 'a',
          scopes: undefined,
          ...made,
        })
        await all.tenants.createTenant({ id: 'd', name: 'd', scopes: [] }, now)
        expect((await all.tenants.findTenant(everyTenant, 'd'))?.scopes).toEqual([])
      })

      it('AU-04: are seen each by itself, and all by who reaches all', async () => {
        expect(await all.tenants.findTenant('a', 'b')).toBeUndefined()
        expect((await all.tenants.listTenants({ tenant: 'a', limit: 10 })).map(({ id }) => id)).toEqual(['a'])
        expect((await all.tenants.listTenants({ tenant: everyTenant, limit: 10 })).map(({ id }) => id)).toEqual([
          'a',
          'b',
        ])
        const next = await all.tenants.listTenants({ tenant: everyTenant, after: 'a', limit: 1 })
        expect(next.map(({ id }) => id)).toEqual(['b'])
      })

      it('change from the version that was decided on, and from no other', async () => {
        const changed = await all.tenants.updateTenant('a', { name: 'A', scopes: ['read'] }, 1, now + 1)
        expect(changed).toMatchObject({
          outcome: 'updated',
          value: { name: 'A', scopes: ['read'], updatedAt: now + 1, version: 2 },
        })
        expect(await all.tenants.updateTenant('a', { name: 'B' }, 1, now)).toEqual({ outcome: 'changed' })
        expect(await all.tenants.updateTenant('nowhere', { name: 'B' }, undefined, now)).toEqual({ outcome: 'unknown' })
        await all.tenants.updateTenant('a', { scopes: null }, undefined, now)
        expect(await all.tenants.findTenant('a', 'a')).toMatchObject({ name: 'A', scopes: undefined, version: 3 })
      })

      it('AK-07: withdraw the credentials of all their people when they are suspended', async () => {
        await all.keys.createKey(keyOf(ann), now)
        await all.keys.createKey(keyOf(bea), now)
        await signIn(ann)
        const before = await revision()
        await all.tenants.updateTenant('a', { status: 'suspended' }, undefined, now)
        expect(await changes(before)).toEqual(['key_ann withdrawn', 'sgn_ann withdrawn'])
        expect(await all.keys.findKey('key_ann')).toMatchObject({ tenantStatus: 'suspended' })
        expect(await signIn(ann, 'sgn_2')).toBe('user-unknown')
        const suspended = await revision()
        await all.tenants.updateTenant('a', { name: 'A' }, undefined, now)
        expect(await changes(suspended)).toEqual([])
        await all.tenants.updateTenant('a', { status: 'active' }, undefined, now)
        expect(await changes(suspended)).toEqual(['key_ann changed', 'sgn_ann changed'])
      })

      it('AU-11: are not suspended where the last operator is in them', async () => {
        await all.users.updateUser('b', otto.id, { status: 'disabled' }, {}, now)
        const before = await revision()
        expect(await all.tenants.updateTenant('a', { status: 'suspended' }, undefined, now)).toEqual({
          outcome: 'last-operator',
        })
        expect(await all.tenants.findTenant('a', 'a')).toMatchObject({ status: 'active', version: 1 })
        expect(await revision()).toBe(before)
        expect(await all.tenants.updateTenant('b', { status: 'suspended' }, undefined, now)).toMatchObject({
          outcome: 'updated',
        })
      })

      it('AU-11: are not limited to less than the last operator needs', async () => {
        for (const scopes of [[], ['read'], ['read', 'administer', 'own:admin']])
          expect(await all.tenants.updateTenant('b', { scopes }, undefined, now)).toMatchObject({ outcome: 'updated' })
        for (const scopes of [[], ['read'], ['read', 'administer', 'own:admin']])
          expect(await all.tenants.updateTenant('a', { scopes }, undefined, now)).toEqual({ outcome: 'last-operator' })
        expect(await all.tenants.findTenant('a', 'a')).toMatchObject({ scopes: undefined, version: 1 })
        for (const scopes of [['admin'], ['admin', 'read'], null])
          expect(await all.tenants.updateTenant('a', { scopes }, undefined, now)).toMatchObject({ outcome: 'updated' })
      })
    })

    describe('users', () => {
      it('are found by id, name and e-mail, with what a sign-in needs', async () => {
        const made = await all.users.createUser(
          { ...ann, id: 'usr_eva', name: 'eva', email: 'eva@example.com', password: '$digest' },
          now,
        )
        expect(made).toBe('created')
        const eva = {
          ...{ id: 'usr_eva', tenant: 'a', name: 'eva', role: 'admin', status: 'active', email: 'eva@example.com' },
          ...{ hasPassword: true, hasSecondFactor: false, createdAt: now, updatedAt: now, version: 1 },
        }
        expect(await all.users.findUserById('a', 'usr_eva')).toEqual(eva)
        expect(await all.users.findUserById(everyTenant, 'usr_eva')).toEqual(eva)
        const login = { user: eva, tenantStatus: 'active', password: '$digest' }
        expect(await all.users.findLogin({ email: 'eva@example.com' })).toEqual(login)
        expect(await all.users.findLogin({ tenant: 'a', name: 'eva' })).toEqual(login)
        expect(await all.users.findLogin({ id: 'usr_eva' })).toEqual(login)
        for (const nobody of [{ email: 'eva@example.org' }, { tenant: 'b', name: 'eva' }, { id: 'constructor' }])
          expect(await all.users.findLogin(nobody)).toBeUndefined()
      })

      it('AU-04: of another tenant are neither found nor changed', async () => {
        expect(await all.users.findUserById('a', bea.id)).toBeUndefined()
        expect(await all.users.updateUser('a', bea.id, { name: 'x' }, {}, now)).toEqual({ outcome: 'unknown' })
        expect(await all.users.removeUser('a', bea.id, {}, now)).toEqual({ outcome: 'unknown' })
        expect(await all.users.setPassword('a', bea.id, { digest: '$' }, now)).toBe('unknown')
        expect((await all.users.listUsers({ tenant: 'a', limit: 10 })).map(({ name: each }) => each)).toEqual([
          'ann',
          'olga',
        ])
        for (const lost of [undefined, '', null] as unknown as string[]) {
          await expect(all.users.listUsers({ tenant: lost, limit: 1 })).rejects.toThrow('no tenant was named')
          await expect(all.users.findUserById(lost, ann.id)).rejects.toThrow('no tenant was named')
          await expect(all.users.updateUser(lost, ann.id, {}, {}, now)).rejects.toThrow('no tenant was named')
        }
      })

      it('have one e-mail in the whole installation, whoever comes first of fifty', async () => {
        const stores = await both()
        const made = await Promise.all(
          Array.from({ length: 50 }, (_, i) => {
            const user = {
              ...ann,
              id: `usr_${i}`,
              name: `user ${i}`,
              tenant: i % 2 === 0 ? 'a' : 'b',
              email: 'x@example.com',
            }
            return stores[i % 2]!.users.createUser(user, now)
          }),
        )
        expect(made.filter((outcome) => outcome === 'created')).toHaveLength(1)
        expect(made.filter((outcome) => outcome === 'email-taken')).toHaveLength(49)
        expect(await all.users.updateUser('a', ann.id, { email: 'x@example.com' }, {}, now)).toEqual({
          outcome: 'email-taken',
        })
        const { user } = (await all.users.findLogin({ email: 'x@example.com' }))!
        await all.users.updateUser(user.tenant, user.id, { email: null }, {}, now)
        expect(await all.users.updateUser('a', ann.id, { email: 'x@example.com' }, {}, now)).toMatchObject({
          outcome: 'updated',
          value: { email: 'x@example.com' },
        })
      })

      it('change from the version that was decided on: one of fifty at once', async () => {
        const stores = await both()
        const updated = await Promise.all(
          Array.from({ length: 50 }, (_, i) =>
            stores[i % 2]!.users.updateUser('a', ann.id, { name: `ann ${i}` }, { expected: 1 }, now + 1),
          ),
        )
        expect(updated.filter(({ outcome }) => outcome === 'updated')).toHaveLength(1)
        expect(updated.filter(({ outcome }) => outcome === 'changed')).toHaveLength(49)
        expect(await all.users.findUserById('a', ann.id)).toMatchObject({ version: 2, updatedAt: now + 1 })
        expect(await all.users.updateUser('a', ann.id, { name: 'olga' }, {}, now)).toEqual({ outcome: 'name-taken' })
      })

      it('are listed page by page, and by name', async () => {
        const page = (after?: string) =>
          all.users.listUsers({ tenant: everyTenant, limit: 3, ...(after === undefined ? {} : { after }) })
        const first = await page()
        expect(first.map(({ id }) => id)).toEqual(['usr_ann', 'usr_bea', 'usr_olga'])
        expect((await page(first.at(-1)!.id)).map(({ id }) => id)).toEqual(['usr_otto'])
        expect((await all.users.listUsers({ tenant: 'b', name: 'bea', limit: 9 })).map(({ id }) => id)).toEqual([
          'usr_bea',
        ])
        expect(await all.users.listUsers({ tenant: 'a', name: 'bea', limit: 9 })).toEqual([])
      })

      it('AU-11: keep one operator, however many are demoted, disabled and removed at once', async () => {
        const stores = await both()
        const outcomes = await Promise.all(
          Array.from({ length: 50 }, (_, i) => {
            const { users } = stores[i % 2]!
            const user = i % 2 === 0 ? olga : otto
            if (i % 3 === 0) return users.updateUser(user.tenant, user.id, { role: 'user' }, {}, now)
            if (i % 3 === 1) return users.updateUser(user.tenant, user.id, { status: 'disabled' }, {}, now)
            return users.removeUser(user.tenant, user.id, {}, now)
          }),
        )
        expect(outcomes.some(({ outcome }) => outcome === 'last-operator')).toBe(true)
        const users = await all.users.listUsers({ tenant: everyTenant, limit: 10 })
        const left = users.filter(({ role, status }) => role === 'operator' && status === 'active')
        expect(left).toHaveLength(1)
      })

      it('AU-11: keep nothing that others may have when they become operators: no key, no sign-in, no password', async () => {
        await all.users.setPassword('a', ann.id, { digest: '$1' }, now)
        await all.agents.createAgent(bot, now)
        await all.keys.createKey(keyOf(ann), now)
        await all.keys.createKey(keyOf(ann, { id: 'key_bot', name: 'bot', agent: bot.id }), now)
        await signIn(ann)
        const before = await revision()
        const { value: user } = (await all.users.updateUser('a', ann.id, { role: 'operator' }, {}, now + 1)) as {
          value: object
        }
        expect(user).toMatchObject({ role: 'operator', hasPassword: false, version: 3 })
        expect(await changes(before)).toEqual(['key_ann withdrawn', 'key_bot changed', 'sgn_ann withdrawn'])
        expect((await all.users.findLogin({ id: ann.id }))?.password).toBeUndefined()
        expect((await all.keys.findKey('key_ann'))?.revokedAt).toBe(now + 1)
        // What an operator is given since stays theirs.
        await all.users.setPassword('a', ann.id, { digest: '$2' }, now)
        await all.keys.createKey(keyOf(ann, { id: 'key_new', name: 'new' }), now)
        // Nor are they given what was decided on before.
        expect(await all.users.setPassword('a', ann.id, { digest: '$3', expected: 2 }, now)).toBe('changed')
        expect(await all.keys.createKey(keyOf(ann, { id: 'key_late', name: 'late' }), now, 'admin')).toBe(
          'owner-unknown',
        )
        await all.users.updateUser('a', ann.id, { role: 'operator', name: 'anna' }, {}, now + 2)
        expect((await all.users.findLogin({ id: ann.id }))?.password).toBe('$2')
        expect((await all.keys.findKey('key_new'))?.revokedAt).toBeUndefined()
      })

      it('AU-11: keep one administrator of a tenant, where that is asked for', async () => {
        const only = { administrators }
        await all.users.updateUser('a', olga.id, { role: 'user' }, {}, now)
        expect(await all.users.updateUser('a', ann.id, { role: 'user' }, only, now)).toEqual({
          outcome: 'last-administrator',
        })
        expect(await all.users.removeUser('a', ann.id, only, now)).toEqual({ outcome: 'last-administrator' })
        expect(await all.users.findUserById('a', ann.id)).toMatchObject({ role: 'admin', version: 1 })
        expect(await all.users.updateUser('a', ann.id, { name: 'anna' }, only, now)).toMatchObject({
          outcome: 'updated',
        })
        expect(await all.users.updateUser('b', bea.id, { status: 'disabled' }, only, now)).toMatchObject({
          outcome: 'updated',
        })
        expect(await all.users.updateUser('a', ann.id, { role: 'user' }, {}, now)).toMatchObject({ outcome: 'updated' })
      })

      it('withdraw keys and sign-ins when they are disabled, and tell of every change of their rights', async () => {
        await all.keys.createKey(keyOf(ann), now)
        await all.keys.createKey(keyOf(bea), now)
        await signIn(ann)
        const first = await revision()
        await all.users.updateUser('a', ann.id, { role: 'user' }, {}, now)
        expect(await changes(first)).toEqual(['key_ann changed', 'sgn_ann changed'])
        const second = await revision()
        await all.users.updateUser('a', ann.id, { status: 'disabled' }, {}, now)
        expect(await changes(second)).toEqual(['key_ann withdrawn', 'sgn_ann withdrawn'])
        expect(await signIn(ann, 'sgn_2')).toBe('user-unknown')
        const third = await revision()
        await all.users.updateUser('a', ann.id, { status: 'active' }, {}, now + 1)
        expect(await changes(third)).toEqual(['key_ann changed', 'sgn_ann withdrawn'])
        expect((await all.signIns.findSignIn('sgn_ann'))?.revokedAt).toBe(now)
      })

      it('change a password once from the one that was shown, and end the other sign-ins', async () => {
        for (const id of ['sgn_1', 'sgn_2', 'sgn_3']) await signIn(ann, id)
        const set = (digest: string, present?: string, keep?: string) =>
          all.users.setPassword('a', ann.id, { digest, present, keep }, now + 1)
        expect(await set('$1')).toBe('set')
        for (const id of ['sgn_4', 'sgn_5']) await signIn(ann, id)
        const before = await revision()
        const raced = await Promise.all([set('$2', '$1', 'sgn_4'), set('$3', '$1', 'sgn_4')])
        expect(raced.sort()).toEqual(['changed', 'set'])
        expect(await changes(before)).toContain('sgn_5 withdrawn')
        expect((await all.signIns.findSignIn('sgn_4'))?.revokedAt).toBeUndefined()
        expect((await all.signIns.findSignIn('sgn_1'))?.revokedAt).toBe(now + 1)
        const { password } = (await all.users.findLogin({ id: ann.id }))!
        const unmoved = await revision()
        expect(await all.users.rehashPassword(ann.id, 'another', '$9')).toBe(false)
        expect(await all.users.rehashPassword(ann.id, password!, '$9')).toBe(true)
        expect((await all.users.findLogin({ id: ann.id }))?.password).toBe('$9')
        expect(await revision()).toBe(unmoved)
      })

      it('are gone once removed, with all that was theirs; name and e-mail are free again', async () => {
        await all.users.updateUser('a', ann.id, { email: 'ann@example.com' }, {}, now)
        await all.agents.createAgent(bot, now)
        await all.keys.createKey(keyOf(ann), now)
        await all.keys.createKey(keyOf(ann, { id: 'key_bot', name: 'bot', agent: bot.id }), now)
        await signIn(ann)
        const before = await revision()
        expect(await all.users.removeUser('a', ann.id, { expected: 1 }, now + 1)).toEqual({ outcome: 'changed' })
        expect(await all.users.removeUser('a', ann.id, { expected: 2 }, now + 1)).toMatchObject({
          outcome: 'updated',
          value: { id: ann.id, name: 'ann' },
        })
        expect(await changes(before)).toEqual(['key_ann withdrawn', 'key_bot withdrawn', 'sgn_ann withdrawn'])
        expect(await all.users.findUserById('a', ann.id)).toBeUndefined()
        expect(await all.users.findLogin({ email: 'ann@example.com' })).toBeUndefined()
        expect(await all.agents.findAgent('a', bot.id)).toBeUndefined()
        expect((await all.keys.findKey('key_ann'))?.revokedAt).toBe(now + 1)
        expect(await all.keys.createKey(keyOf(ann, { id: 'key_2', name: 'two' }), now)).toBe('owner-unknown')
        expect(await signIn(ann, 'sgn_2')).toBe('user-unknown')
        const again = { ...ann, id: 'usr_ann2', email: 'ann@example.com' }
        expect(await all.users.createUser(again, now)).toBe('created')
      })
    })

    describe('second factors', () => {
      const confirmed = { sealed: 'sealed', step: 7, recoveryCodes: ['one', 'two'], keep: 'sgn_kept' }
      const turnOn = async (user: NewUser = ann) => {
        expect(await all.secondFactors.beginSecondFactor(user.tenant, user.id, 'sealed')).toBe(true)
        expect(await all.secondFactors.confirmSecondFactor(user.tenant, user.id, confirmed, now)).toBe('on')
      }
      const factorOf = async (user: NewUser) => (await all.users.findLogin({ id: user.id }))?.secondFactor

      it('AD-06: are asked for once they are confirmed, and one that is on is not begun anew', async () => {
        expect(await factorOf(ann)).toBeUndefined()
        expect(await all.secondFactors.beginSecondFactor('a', ann.id, 'first')).toBe(true)
        expect(await all.secondFactors.beginSecondFactor('a', ann.id, 'sealed')).toBe(true)
        expect(await factorOf(ann)).toEqual({ sealed: 'sealed', since: undefined, step: 0, recoveryCodes: [] })
        expect(await all.users.findUserById('a', ann.id)).toMatchObject({ hasSecondFactor: false, version: 1 })
        const confirm = (sealed: string, tenant = 'a') =>
          all.secondFactors.confirmSecondFactor(tenant, ann.id, { ...confirmed, sealed }, now + 1)
        expect([await confirm('first'), await confirm('sealed', 'b')]).toEqual(['changed', 'changed'])
        expect(await confirm('sealed')).toBe('on')
        expect(await factorOf(ann)).toEqual({
          ...{ sealed: 'sealed', since: now + 1, step: 7, recoveryCodes: ['one', 'two'] },
        })
        expect(await all.users.findUserById('a', ann.id)).toMatchObject({ hasSecondFactor: true, version: 2 })
        expect(await confirm('sealed')).toBe('changed')
        expect(await all.secondFactors.beginSecondFactor('a', ann.id, 'third')).toBe(false)
        expect(await all.secondFactors.beginSecondFactor('b', olga.id, 'third')).toBe(false)
        expect(await all.secondFactors.beginSecondFactor('a', 'usr_nobody', 'third')).toBe(false)
        expect(await all.secondFactors.listSecondFactors()).toEqual([{ user: ann.id, sealed: 'sealed' }])
      })

      it('AD-06: are confirmed by one of several servers at once', async () => {
        const stores = await both()
        await all.secondFactors.beginSecondFactor('a', ann.id, 'sealed')
        const outcomes = await Promise.all(
          Array.from({ length: 10 }, (_, i) =>
            stores[i % 2]!.secondFactors.confirmSecondFactor(
              'a',
              ann.id,
              { ...confirmed, recoveryCodes: [`${i}`] },
              now,
            ),
          ),
        )
        expect(outcomes.filter((each) => each === 'on')).toHaveLength(1)
        expect((await factorOf(ann))?.recoveryCodes).toEqual([String(outcomes.indexOf('on'))])
      })

      it('AD-06: end the sign-ins that were opened without them, but the one that is kept and confirmed', async () => {
        for (const id of ['sgn_kept', 'sgn_other']) await signIn(ann, id)
        await signIn(olga)
        await turnOn()
        expect(await all.signIns.findSignIn('sgn_kept')).toMatchObject({
          ...{ confirmedAt: now, hasSecondFactor: true, revokedAt: undefined },
        })
        expect((await all.signIns.findSignIn('sgn_other'))?.revokedAt).toBe(now)
        expect(await all.signIns.findSignIn('sgn_olga')).toMatchObject({ hasSecondFactor: false, revokedAt: undefined })
        // Who was judged before it was on signs in again.
        const late = { id: 'sgn_late', tenant: 'a', user: ann.id, expiresAt: now + 1, address: undefined }
        expect(await all.signIns.createSignIn(late, 1, now)).toBe('changed')
        expect(await all.signIns.createSignIn({ ...late, confirmedAt: now }, 2, now)).toBe('created')
        expect((await all.signIns.findSignIn('sgn_late'))?.confirmedAt).toBe(now)
      })

      it('AD-06: take a step once, whichever of two servers it is shown to, and none before it', async () => {
        const stores = await both()
        await turnOn()
        const spend =
          (step: number, sealed = 'sealed', id = ann.id) =>
          (_: unknown, i: number) =>
            stores[i % 2]!.secondFactors.spendStep(id, sealed, step)
        const raced = await Promise.all(Array.from({ length: 50 }, spend(8)))
        expect(raced.filter(Boolean)).toHaveLength(1)
        expect(await spend(8)(0, 0)).toBe(false)
        expect(await spend(7)(0, 1)).toBe(false)
        expect(await spend(9, 'another')(0, 0)).toBe(false)
        expect(await spend(9, 'sealed', olga.id)(0, 0)).toBe(false)
        expect(await spend(9)(0, 1)).toBe(true)
        expect((await factorOf(ann))?.step).toBe(9)
        await all.secondFactors.beginSecondFactor('a', olga.id, 'begun')
        expect(await spend(9, 'begun', olga.id)(0, 0)).toBe(false)
      })

      it('AD-06: take each recovery code once, whichever of two servers it is shown to, and lose no other', async () => {
        const stores = await both()
        await turnOn()
        const spend = (digest: string, i = 0, sealed = 'sealed') =>
          stores[i % 2]!.secondFactors.spendRecoveryCode(ann.id, sealed, digest)
        expect([await spend('three'), await spend(''), await spend('one', 0, 'another')]).toEqual([false, false, false])
        const raced = await Promise.all(Array.from({ length: 20 }, (_, i) => spend(i % 4 < 2 ? 'one' : 'two', i)))
        expect(raced.filter(Boolean)).toHaveLength(2)
        expect((await factorOf(ann))?.recoveryCodes).toEqual([])
        expect(await spend('one')).toBe(false)
        expect((await all.users.findLogin({ id: ann.id }))?.user.version).toBe(2)
      })

      it('AD-06: are taken away from the version that was judged, and end the sign-ins', async () => {
        await turnOn()
        for (const id of ['sgn_kept', 'sgn_other']) await signIn(ann, id)
        const remove = (tenant: string, only: { expected?: number; keep?: string }) =>
          all.secondFactors.removeSecondFactor(tenant, ann.id, only, now + 1)
        expect(await remove('b', {})).toBe('unknown')
        expect(await remove('a', { expected: 1 })).toBe('changed')
        expect(await remove('a', { expected: 2, keep: 'sgn_kept' })).toBe('removed')
        expect(await factorOf(ann)).toBeUndefined()
        expect(await all.users.findUserById('a', ann.id)).toMatchObject({ hasSecondFactor: false, version: 3 })
        expect((await all.signIns.findSignIn('sgn_kept'))?.revokedAt).toBeUndefined()
        expect((await all.signIns.findSignIn('sgn_other'))?.revokedAt).toBe(now + 1)
        expect(await remove('a', {})).toBe('off')
        expect(await all.secondFactors.spendStep(ann.id, 'sealed', 99)).toBe(false)
        expect(await all.secondFactors.spendRecoveryCode(ann.id, 'sealed', 'one')).toBe(false)
      })

      it('AU-11: are gone with the password, when their user becomes an operator or is removed', async () => {
        await turnOn()
        await turnOn(bea)
        await all.users.setPassword('a', ann.id, { digest: '$new' }, now)
        expect(await factorOf(ann)).toBeDefined()
        await all.users.updateUser('a', ann.id, { role: 'operator' }, {}, now)
        expect(await factorOf(ann)).toBeUndefined()
        expect(await all.users.findUserById('a', ann.id)).toMatchObject({ hasSecondFactor: false })
        await all.users.removeUser('b', bea.id, {}, now)
        expect(await all.secondFactors.listSecondFactors()).toEqual([])
      })

      it('AD-06: are confirmed in an open sign-in, within its tenant alone, and nobody is told', async () => {
        await signIn(ann)
        const before = await revision()
        const confirm = (tenant: string, id = 'sgn_ann', at = now + 1) => all.signIns.confirmSignIn(tenant, id, at)
        expect([await confirm('b'), await confirm('a', 'sgn_none'), await confirm('a', 'sgn_ann', now + hour)]).toEqual(
          [...[false, false, false]],
        )
        expect((await all.signIns.findSignIn('sgn_ann'))?.confirmedAt).toBeUndefined()
        expect(await confirm('a')).toBe(true)
        expect((await (await another()).signIns.findSignIn('sgn_ann'))?.confirmedAt).toBe(now + 1)
        expect(await revision()).toBe(before)
        await all.signIns.revokeSignIn('a', 'sgn_ann', now + 2)
        expect(await confirm('a', 'sgn_ann', now + 3)).toBe(false)
      })
    })

    describe('agents', () => {
      it('belong to a user of their tenant, and are read as they were written', async () => {
        expect(await all.agents.createAgent({ ...bot, owner: bea.id }, now)).toBe('owner-unknown')
        expect(await all.agents.createAgent(bot, now)).toBe('created')
        expect(await all.agents.createAgent({ ...bot, id: 'agt_2' }, now)).toBe('name-taken')
        expect(await all.agents.findAgent('a', bot.id)).toEqual({ ...bot, createdAt: now, updatedAt: now, version: 1 })
        expect(await all.agents.findAgent('b', bot.id)).toBeUndefined()
        expect(await all.agents.listAgents({ tenant: 'a', owner: olga.id, limit: 9 })).toEqual([])
        expect(await all.agents.listAgents({ tenant: 'a', owner: ann.id, limit: 9 })).toHaveLength(1)
        expect(await all.agents.listAgents({ tenant: 'b', limit: 9 })).toEqual([])
      })

      it('own keys, which are withdrawn while they are not active', async () => {
        await all.agents.createAgent(bot, now)
        const key = keyOf(ann, { id: 'key_bot', agent: bot.id })
        expect(await all.keys.createKey({ ...key, owner: olga.id }, now)).toBe('owner-unknown')
        expect(await all.keys.createKey({ ...key, agent: 'agt_nobody' }, now)).toBe('owner-unknown')
        expect(await all.keys.createKey(key, now)).toBe('created')
        expect(await all.keys.findKey('key_bot')).toMatchObject({ agent: bot.id, agentStatus: 'active', owner: ann.id })
        expect(await all.keys.listKeys({ tenant: 'a', agent: bot.id, limit: 9 })).toHaveLength(1)
        const before = await revision()
        const change = { status: 'error', metadata: {}, capabilities: [] } as const
        expect(await all.agents.updateAgent('a', bot.id, change, 1, now + 1)).toMatchObject({
          outcome: 'updated',
          value: { ...change, version: 2 },
        })
        expect(await changes(before)).toEqual(['key_bot withdrawn'])
        expect(await all.agents.updateAgent('a', bot.id, { name: 'x' }, 1, now)).toEqual({ outcome: 'changed' })
        expect(await all.agents.updateAgent('b', bot.id, { name: 'x' }, 2, now)).toEqual({ outcome: 'unknown' })
      })

      it('are gone once removed, with their keys', async () => {
        await all.agents.createAgent(bot, now)
        await all.keys.createKey(keyOf(ann, { id: 'key_bot', agent: bot.id }), now)
        expect(await all.agents.removeAgent('b', bot.id, undefined, now)).toEqual({ outcome: 'unknown' })
        expect(await all.agents.removeAgent('a', bot.id, 1, now + 1)).toMatchObject({ outcome: 'updated' })
        expect(await all.agents.findAgent('a', bot.id)).toBeUndefined()
        expect((await all.keys.findKey('key_bot'))?.revokedAt).toBe(now + 1)
        expect(await all.agents.createAgent({ ...bot, id: 'agt_2' }, now)).toBe('created')
      })
    })

    describe('keys', () => {
      it('are changed from the version that was decided on, and not once they are revoked', async () => {
        const ranges = ['10.0.0.0/8']
        await all.keys.createKey(keyOf(ann, { use: 'control', addressRanges: [] }), now)
        expect(await all.keys.findKey('key_ann')).toMatchObject({ use: 'control', addressRanges: [], active: true })
        const change = { name: 'new', scopes: [], active: false, addressRanges: ranges, expiresAt: now + 9 }
        const before = await revision()
        expect(await all.keys.updateKey('a', 'key_ann', change, 1, now + 1)).toMatchObject({
          outcome: 'updated',
          value: { ...change, version: 2, updatedAt: now + 1 },
        })
        expect(await changes(before)).toEqual(['key_ann withdrawn'])
        expect(await all.keys.updateKey('a', 'key_ann', { active: true }, 1, now)).toEqual({ outcome: 'changed' })
        expect(await all.keys.updateKey('b', 'key_ann', { active: true }, 2, now)).toEqual({ outcome: 'unknown' })
        await all.keys.updateKey('a', 'key_ann', { addressRanges: null, active: true }, undefined, now)
        expect(await all.keys.findKey('key_ann')).toMatchObject({ addressRanges: undefined, active: true, scopes: [] })
        await all.keys.createKey(keyOf(ann, { id: 'key_2', name: 'two' }), now)
        expect(await all.keys.updateKey('a', 'key_2', { name: 'new' }, undefined, now)).toEqual({
          outcome: 'name-taken',
        })
        await all.keys.revokeKey('a', 'key_2', now)
        expect(await all.keys.updateKey('a', 'key_2', { active: true }, undefined, now)).toEqual({ outcome: 'revoked' })
      })
    })

    describe('sign-ins', () => {
      it('are found with all that decides whether they are good', async () => {
        await all.tenants.updateTenant('a', { scopes: ['read'] }, undefined, now)
        expect(await signIn(ann, 'sgn_1', now, '192.0.2.1')).toBe('created')
        expect(await all.signIns.findSignIn('sgn_1')).toEqual({
          ...{ id: 'sgn_1', tenant: 'a', user: ann.id, address: '192.0.2.1', createdAt: now, expiresAt: now + hour },
          ...{ revokedAt: undefined, tenantStatus: 'active', tenantScopes: ['read'], holder: ann },
          hasSecondFactor: false,
        })
        expect(await all.signIns.findSignIn('constructor')).toBeUndefined()
        const elsewhere = { id: 'sgn_2', tenant: 'b', user: ann.id, expiresAt: now + 1, address: undefined }
        expect(await all.signIns.createSignIn(elsewhere, undefined, now)).toBe('user-unknown')
      })

      it('AD-04: are opened for the user as they were judged: a password that was set since opens none by the old one', async () => {
        const signIn = { id: 'sgn_1', tenant: 'a', user: ann.id, expiresAt: now + 1, address: undefined }
        await all.users.setPassword('a', ann.id, { digest: '$new' }, now)
        expect(await all.signIns.createSignIn(signIn, 1, now)).toBe('changed')
        expect(await all.signIns.findSignIn('sgn_1')).toBeUndefined()
        expect(await all.signIns.createSignIn(signIn, 2, now)).toBe('created')
      })

      it('end once, and within their tenant alone', async () => {
        await signIn(ann)
        await signIn(bea)
        expect(await all.signIns.revokeSignIn('b', 'sgn_ann', now)).toBeUndefined()
        const before = await revision()
        expect((await all.signIns.revokeSignIn('a', 'sgn_ann', now + 1))?.revokedAt).toBe(now + 1)
        expect(await changes(before)).toEqual(['sgn_ann withdrawn'])
        const after = await revision()
        expect((await all.signIns.revokeSignIn(everyTenant, 'sgn_ann', now + 9))?.revokedAt).toBe(now + 1)
        expect(await revision()).toBe(after)
        expect((await all.signIns.listSignIns({ tenant: 'a', limit: 9 })).map(({ id }) => id)).toEqual(['sgn_ann'])
        expect((await all.signIns.listSignIns({ tenant: everyTenant, user: bea.id, limit: 9 })).length).toBe(1)
      })

      it('end all at once but the one that is kept', async () => {
        for (const id of ['sgn_1', 'sgn_2', 'sgn_3']) await signIn(ann, id)
        expect(await all.signIns.revokeSignIns('b', ann.id, undefined, now)).toBe(0)
        expect(await all.signIns.revokeSignIns('a', ann.id, 'sgn_2', now + 1)).toBe(2)
        expect((await all.signIns.findSignIn('sgn_2'))?.revokedAt).toBeUndefined()
        expect(await all.signIns.revokeSignIns('a', ann.id, 'sgn_2', now + 1)).toBe(0)
      })

      it('are bounded for each user: the oldest end, and old ones are forgotten', async () => {
        const ids = Array.from({ length: signInsKeptMax + 1 }, (_, i) => `sgn_${String(i).padStart(4, '0')}`)
        for (const [i, id] of ids.entries()) await signIn(ann, id, now + i)
        const kept = await all.signIns.listSignIns({ tenant: 'a', limit: 1_000 })
        expect(kept.map(({ id }) => id)).toEqual(ids.slice(1))
        expect(kept.filter((each) => each.revokedAt === undefined).map(({ id }) => id)).toEqual(ids.slice(-signInsMax))
        await signIn(ann, 'sgn_late', now + signInKeptMs + hour)
        expect((await all.signIns.listSignIns({ tenant: 'a', limit: 1_000 })).map(({ id }) => id)).toEqual(['sgn_late'])
      })

      it('tell for a month from where a user has signed in', async () => {
        await signIn(ann, 'sgn_1', now, '192.0.2.1')
        const has = (user: string, address: string, at: number) => all.signIns.hasSignedIn(user, address, at)
        expect(await has(ann.id, '192.0.2.1', now + signInKeptMs - 1)).toBe(true)
        expect(await has(ann.id, '192.0.2.1', now + signInKeptMs)).toBe(false)
        expect(await has(ann.id, '192.0.2.2', now)).toBe(false)
        expect(await has(bea.id, '192.0.2.1', now)).toBe(false)
      })
    })

    describe('signing keys', () => {
      const signing = (id: string) => ({
        ...{ id, alg: 'ES256', publicJwk: '{"kty":"EC"}', sealed: Buffer.from('sealed'), activeFrom: now + 1 },
      })

      it('are added by one of several servers at once, each after the one before', async () => {
        const stores = await both()
        const race = (newest: string | undefined, generation: string) =>
          Promise.all(
            Array.from({ length: 10 }, (_, i) =>
              stores[i % 2]!.signingKeys.addSigningKey(signing(`${generation}${i}`), newest, now),
            ),
          )
        expect((await race(undefined, 'a')).filter(Boolean)).toHaveLength(1)
        const [first] = await all.signingKeys.listSigningKeys()
        expect((await race(first!.id, 'b')).filter(Boolean)).toHaveLength(1)
        expect((await race(first!.id, 'c')).filter(Boolean)).toHaveLength(0)
        const keys = await all.signingKeys.listSigningKeys()
        expect(keys.map(({ id }) => id[0])).toEqual(['a', 'b'])
        expect(keys[0]).toEqual({ ...signing(first!.id), createdAt: now, retiredAt: undefined, destroyedAt: undefined })
      })

      it('are destroyed only when they are retired, and then hold no private part', async () => {
        await all.signingKeys.addSigningKey(signing('one'), undefined, now)
        expect(await all.signingKeys.destroySigningKey('one', now)).toBe(false)
        expect((await all.signingKeys.retireSigningKey('one', now + 1))?.retiredAt).toBe(now + 1)
        expect((await all.signingKeys.retireSigningKey('one', now + 2))?.retiredAt).toBe(now + 1)
        expect(await all.signingKeys.retireSigningKey('two', now)).toBeUndefined()
        expect(await all.signingKeys.destroySigningKey('one', now + 3)).toBe(true)
        expect(await all.signingKeys.destroySigningKey('one', now + 4)).toBe(false)
        const [key] = await all.signingKeys.listSigningKeys()
        expect(key).toMatchObject({ sealed: undefined, destroyedAt: now + 3 })
      })
    })
  })
}
