import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keptMs, type Letter, type MailBounds, type Mailbox, type Received } from './mailbox.ts'

export interface MailboxOpened {
  readonly mailbox: Mailbox
  /** Another on the same store, as of another process. */
  readonly beside: Mailbox
  close(): Promise<void>
}

const now = 1_800_000_000_000
const bounds: MailBounds = {
  perSession: 5,
  perPrincipal: { letters: 8, bytes: 8_000 },
  perTenant: { letters: 12, bytes: 12_000 },
  ofSessions: { letters: 16, bytes: 16_000 },
  inAll: { letters: 20, bytes: 20_000 },
}

/** What a `Mailbox` is, whatever it is made of. `open` gives an empty one with these bounds. */
export function mailboxContract(name: string, open: (bounds: MailBounds) => Promise<MailboxOpened>): void {
  describe(`the mailbox ${name}`, () => {
    let opened: MailboxOpened
    let mailbox: Mailbox
    let beside: Mailbox
    beforeEach(async () => {
      opened = await open(bounds)
      ;({ mailbox, beside } = opened)
    })
    afterEach(() => opened.close())

    const session = { id: 's', tenant: 'a', binding: 'alice of a' }
    const answer = (id: string, of = session, text = ''): Letter => ({
      session: of,
      news: { kind: 'answer', id, result: { text } },
    })
    const changed = (uri: string): Letter => ({ news: { kind: 'change', change: { kind: 'resource', uri } } })
    const uriOf = ({ news }: Received) =>
      news.kind === 'change' && news.change.kind === 'resource' ? news.change.uri : undefined
    const uris = async (of: Mailbox, since: number) => (await of.after(since)).letters.map(uriOf)

    test('a letter arrives as it was left, and names its session to those who know it', async () => {
      const from = await mailbox.revision()
      const letters: Letter[] = [
        { session, news: { kind: 'answer', id: 'q', result: { action: 'accept', content: { é: ['世界😀', 1] } } } },
        { session, news: { kind: 'answer', id: 7, error: { code: -1, message: "'; drop table mail; --" } } },
        { session: { ...session, id: 't', tenant: 'b' }, news: { kind: 'cancel', request: 9 } },
        { news: { kind: 'change', change: { kind: 'tools' } } },
        changed('note://x'),
      ]
      await mailbox.leave(letters, now)
      const { letters: arrived, revision, lost, more } = await beside.after(from)
      expect([lost, more, revision]).toEqual([false, false, from + 5])
      expect(arrived).toEqual(
        letters.map((letter, at) => ({
          revision: from + 1 + at,
          ...(letter.session === undefined
            ? {}
            : { session: beside.nameOf(letter.session.id), binding: letter.session.binding }),
          news: letter.news,
        })),
      )
      expect(beside.nameOf('s')).toBe(mailbox.nameOf('s'))
      expect(mailbox.nameOf('s')).not.toBe(mailbox.nameOf('t'))
      expect(await beside.after(revision)).toEqual({ letters: [], revision, lost: false, more: false })
    })

    test('many who leave at once: every reader gets every letter once, in one order, whenever it looks', async () => {
      const from = await mailbox.revision()
      const seen: (string | undefined)[][] = [[], []]
      let done = false
      const readers = [mailbox, beside].map(async (of, at) => {
        for (let since = from; ; ) {
          const last = done
          const { letters, revision, lost } = await of.after(since)
          expect(lost).toBe(false)
          seen[at]!.push(...letters.map(uriOf))
          since = revision
          if (last) return
        }
      })
      const texts = Array.from({ length: 16 }, (_, at) => `note://${at}`)
      await Promise.all(texts.map((uri, at) => (at % 2 === 0 ? mailbox : beside).leave([changed(uri)], now)))
      done = true
      await Promise.all(readers)
      expect(seen[0]).toEqual(seen[1])
      expect([...seen[0]!].sort()).toEqual([...texts].sort())
    })

    test('RL-16: changes can be asked for without the letters of sessions between them', async () => {
      const from = await mailbox.revision()
      await mailbox.leave([changed('note://1'), answer('q'), answer('r'), changed('note://2'), answer('s')], now)
      const { letters, lost, more, revision } = await beside.after(from, 'changes')
      expect(letters.map(uriOf)).toEqual(['note://1', 'note://2'])
      expect(letters.map((letter) => letter.revision - from)).toEqual([1, 4])
      expect([lost, more, revision]).toEqual([false, false, from + 5])
      expect(await beside.after(from + 1, 'changes')).toMatchObject({ revision: from + 5, letters: [{}] })
    })

    test('SE-13: of several answers to one question the first is left, and of several at once one', async () => {
      const from = await mailbox.revision()
      await Promise.all([mailbox, beside, mailbox].map((of, at) => of.leave([answer('q', session, `${at}`)], now)))
      const { letters } = await mailbox.after(from)
      expect(letters).toHaveLength(1)
      await beside.leave([answer('q', session, 'late'), answer('r')], now)
      const after = await mailbox.after(from)
      expect(after.letters.map(({ news }) => news.kind === 'answer' && news.id)).toEqual(['q', 'r'])
      expect([after.lost, after.revision]).toEqual([false, from + 2])
      expect(after.letters[0]).toEqual(letters[0])
      // The same id in another session is another question.
      await mailbox.leave([answer('q', { ...session, id: 't' })], now)
      expect((await mailbox.after(after.revision)).letters).toHaveLength(1)
    })

    test('RL-17: one session has so much room and no more, and leaves room to others', async () => {
      const from = await mailbox.revision()
      for (let at = 0; at < 5; at++) await mailbox.leave([answer(`q${at}`)], now)
      await expect(beside.leave([answer('q5')], now)).rejects.toMatchObject({ code: 'capacity.exceeded' })
      await beside.leave([answer('q5', { ...session, id: 't' })], now)
      expect((await mailbox.after(from)).letters).toHaveLength(6)
    })

    test('RL-17: in all there is so much room, in letters and in bytes', async () => {
      for (let at = 0; at < 20; at++) await mailbox.leave([changed(`note://${at}`)], now)
      await expect(mailbox.leave([changed('note://20')], now)).rejects.toMatchObject({ code: 'capacity.exceeded' })
      await mailbox.sweep(now + keptMs + 1)
      await mailbox.leave([changed(`note://${'x'.repeat(15_000)}`)], now)
      await expect(mailbox.leave([changed(`note://${'y'.repeat(15_000)}`)], now)).rejects.toMatchObject({
        code: 'capacity.exceeded',
      })
      await mailbox.sweep(now + keptMs + 1)
      await mailbox.leave([changed(`note://${'y'.repeat(15_000)}`)], now)
    })

    const of = (tenant: string, who: string, id: string) => ({ id, tenant, binding: `${who} of ${tenant}` })
    /** How many letters of this size find room, each about a session of its own. */
    const fits = async (tenant: string, who: string, text = '') => {
      for (let at = 0; ; at++) {
        try {
          await mailbox.leave([answer('q', of(tenant, who, `${tenant} ${who} ${at}`), text)], now)
        } catch (fault) {
          expect(fault).toMatchObject({ code: 'capacity.exceeded' })
          return at
        }
      }
    }

    test('RL-17: with however many sessions, no principal and no tenant takes the room of another, nor all that of changes', async () => {
      expect(await fits('a', 'alice')).toBe(8)
      expect(await fits('a', 'bob')).toBe(4)
      expect(await fits('a', 'carol')).toBe(0)
      expect(await fits('b', 'alice')).toBe(4)
      for (let at = 0; at < 4; at++) await beside.leave([changed(`note://${at}`)], now)
      await expect(beside.leave([changed('note://4')], now)).rejects.toMatchObject({ code: 'capacity.exceeded' })
      await mailbox.sweep(now + keptMs + 1)
      expect(await fits('a', 'alice')).toBe(8)
    })

    test('RL-17: the same in bytes', async () => {
      const text = 'x'.repeat(1_800)
      expect(await fits('a', 'alice', text)).toBe(4)
      expect(await fits('a', 'bob', text)).toBe(2)
      expect(await fits('b', 'alice', text)).toBe(2)
      await beside.leave([changed(`note://${'x'.repeat(3_000)}`)], now)
    })

    test('letters are left all or none', async () => {
      const from = await mailbox.revision()
      const many = Array.from({ length: 6 }, (_, at) => answer(`q${at}`))
      await expect(mailbox.leave([changed('note://x'), ...many], now)).rejects.toMatchObject({
        code: 'capacity.exceeded',
      })
      expect(await mailbox.after(from)).toEqual({ letters: [], revision: from, lost: false, more: false })
      await mailbox.leave([], now)
      expect(await mailbox.revision()).toBe(from)
    })

    test('a letter is kept for a minute; who comes later is told that something is missing', async () => {
      const from = await mailbox.revision()
      await mailbox.leave([changed('note://1')], now)
      await mailbox.leave([changed('note://2')], now + 1_000)
      expect(await beside.sweep(now + keptMs)).toBe(0)
      expect(await beside.sweep(now + keptMs + 1)).toBe(1)
      expect(await mailbox.after(from)).toMatchObject({ lost: true, revision: from + 2 })
      expect(await uris(mailbox, from)).toEqual(['note://2'])
      expect(await mailbox.after(from + 1)).toMatchObject({ lost: false, revision: from + 2 })
      expect(await beside.sweep(now + 10 * keptMs)).toBe(1)
      expect(await mailbox.after(from + 1)).toEqual({ letters: [], revision: from + 2, lost: true, more: false })
      expect(await mailbox.after(from + 2)).toMatchObject({ lost: false })
    })

    test('a place beyond the last is of a store that was put back: begin anew', async () => {
      await mailbox.leave([changed('note://1')], now)
      const last = await mailbox.revision()
      expect(await mailbox.after(last + 1)).toEqual({ letters: [], revision: last, lost: true, more: false })
    })
  })
}
