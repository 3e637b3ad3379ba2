import { expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import { OwnBus } from './bus.ts'
import type { Arrived, Letter, Mailbox, Received } from './mailbox.ts'
import { Mailroom } from './mailroom.ts'

/** No test asks as often, unless it never ends. */
const askedMax = 5_000

/** Letters in memory, which can be out of reach. */
class MemoryMailbox implements Mailbox {
  letters: Received[] = []
  down = false
  lost = false
  readonly asked: ('changes' | undefined)[] = []
  readonly nameOf = (session: string) => `name of ${session}`

  async leave(letters: readonly Letter[]): Promise<void> {
    this.check()
    for (const { news } of letters) this.letters.push({ revision: this.letters.length + 1, news } as Received)
  }

  async after(revision: number, only?: 'changes'): Promise<Arrived> {
    this.check()
    this.asked.push(only)
    if (this.asked.length > askedMax) throw new Error('asked for ever')
    if (revision > this.letters.length) return { letters: [], revision: this.letters.length, lost: true, more: false }
    const letters = this.letters.slice(revision, revision + 2)
    const upTo = revision + letters.length
    return { letters, revision: upTo, lost: this.lost, more: upTo < this.letters.length }
  }

  async revision(): Promise<number> {
    return this.letters.length
  }

  async sweep(): Promise<number> {
    return 0
  }

  private check(): void {
    if (this.down) throw new Fault('store.unavailable')
  }
}

const opening = async (mailbox = new MemoryMailbox()) => {
  const clock = { now: 0 }
  const bus = new OwnBus()
  const reports: string[] = []
  const open = async () => {
    const room = new Mailroom({ mailbox, bus, clock: () => clock.now, report: (what) => reports.push(what) })
    const read: string[] = []
    room.onLetter((letter) => void read.push(textOf(letter)))
    await room.start()
    return { room, read }
  }
  return { mailbox, bus, clock, reports, open }
}

const textOf = ({ news }: Received) =>
  news.kind === 'change' ? (news.change.kind === 'resource' ? news.change.uri : news.change.kind) : news.kind
const changed = (uri: string) => ({ kind: 'resource', uri }) as const

test('all read all that is left after they started, in one order, each letter once, the sender too', async () => {
  const { mailbox, open } = await opening()
  await mailbox.leave([{ news: { kind: 'change', change: changed('before') } }])
  const [one, other] = [await open(), await open()]
  for (const text of ['a', 'b', 'c', 'd', 'e']) {
    one.room.announce(changed(text))
    other.room.announce(changed(`${text}'`))
  }
  for (const { read } of [one, other]) await expect.poll(() => read.length).toBe(10)
  expect(one.read).toEqual(other.read)
  expect([...one.read].sort()).toEqual(['a', "a'", 'b', "b'", 'c', "c'", 'd', "d'", 'e', "e'"])
  for (const { room } of [one, other]) await room.poll()
  expect(one.read).toHaveLength(10)
})

test('what no wake told of is found by looking', async () => {
  const { mailbox, open } = await opening()
  const { room, read } = await open()
  await mailbox.leave([{ news: { kind: 'change', change: { kind: 'tools' } } }])
  expect(read).toEqual([])
  await room.poll()
  expect(read).toEqual(['tools'])
})

test('a change that waits already is sent once; after it was sent it is news again', async () => {
  const { open, mailbox } = await opening()
  const { room, read } = await open()
  for (let at = 0; at < 5; at++) room.announce(changed('note://x'))
  room.announce({ kind: 'tools' })
  await expect.poll(() => read).toEqual(['note://x', 'tools'])
  room.announce(changed('note://x'))
  await expect.poll(() => read).toEqual(['note://x', 'tools', 'note://x'])
  expect(mailbox.letters).toHaveLength(3)
})

test('what could not be sent is sent when the store is back, for a minute', async () => {
  const { open, mailbox, clock, reports } = await opening()
  const { room, read } = await open()
  mailbox.down = true
  room.announce(changed('early'))
  await expect.poll(() => reports).toEqual(['telling other servers of a change'])
  clock.now = 30_000
  room.announce(changed('late'))
  await expect(room.poll()).rejects.toMatchObject({ code: 'store.unavailable' })
  clock.now = 60_001
  mailbox.down = false
  await room.poll()
  expect(read).toEqual(['late'])
})

test('RL-17: so many changes wait and no more', async () => {
  const { open, mailbox, reports } = await opening()
  const { room } = await open()
  mailbox.down = true
  for (let at = 0; at < 1_200; at++) room.announce(changed(`${at}`))
  expect(reports.filter((what) => what === 'telling other servers of a change').length).toBeGreaterThanOrEqual(200)
  mailbox.down = false
  await room.poll()
  expect(mailbox.letters).toHaveLength(1_000)
})

test('a letter that cannot be taken is told of, and the next is taken', async () => {
  const { open, reports } = await opening()
  const { room, read } = await open()
  room.onLetter((letter) => {
    if (textOf(letter) === 'bad') throw new Error('bad')
  })
  for (const text of ['bad', 'good']) room.announce(changed(text))
  await expect.poll(() => read).toEqual(['bad', 'good'])
  expect(reports).toEqual(['taking a letter'])
})

test('the next letter waits for the one before, and later looks wait for both', async () => {
  const { open } = await opening()
  const { room } = await open()
  const slow = Promise.withResolvers<void>()
  const order: string[] = []
  room.onLetter(async (letter) => {
    order.push(`begin ${textOf(letter)}`)
    if (textOf(letter) === 'a') await slow.promise
    order.push(`end ${textOf(letter)}`)
  })
  for (const text of ['a', 'b']) room.announce(changed(text))
  await expect.poll(() => order).toEqual(['begin a'])
  const looks = [room.poll(), room.poll()]
  slow.resolve()
  await Promise.all(looks)
  expect(order).toEqual(['begin a', 'end a', 'begin b', 'end b'])
})

test('says so where letters were missed, and closes with nothing left to send', async () => {
  const { open, mailbox } = await opening()
  const { room, read } = await open()
  let lost = 0
  room.onLost(() => lost++)
  mailbox.lost = true
  await room.poll()
  expect(lost).toBe(1)
  mailbox.lost = false
  room.announce(changed('last'))
  await room.close()
  expect(mailbox.letters).toHaveLength(1)
  expect(read).toEqual([])
})

test('who catches up is given what was read already, and then what comes, each letter once and in order', async () => {
  const { open, mailbox } = await opening()
  const { room } = await open()
  const leave = (text: string) => mailbox.leave([{ news: { kind: 'change', change: changed(text) } }])
  for (const text of ['a', 'b', 'c']) await leave(text)
  await room.poll()
  await leave('not read yet')
  const taken: string[] = []
  let there = false
  room.onLetter((letter) => void (there && taken.push(textOf(letter))))
  const caughtUp = room.catchUp(
    1,
    async (letter) => void taken.push(`again ${textOf(letter)}`),
    () => {
      there = true
    },
  )
  mailbox.asked.length = 0
  const looked = room.poll()
  await Promise.all([caughtUp, looked])
  expect(mailbox.asked).toEqual(['changes', undefined])
  expect(taken).toEqual(['again b', 'again c', 'not read yet'])
})

test('who catches up with a mailbox that went back is there at once, and what comes is read on', async () => {
  const { open, mailbox } = await opening()
  const { room, read } = await open()
  let lost = 0
  room.onLost(() => lost++)
  const leave = (text: string) => mailbox.leave([{ news: { kind: 'change', change: changed(text) } }])
  for (const text of ['a', 'b', 'c', 'd', 'e']) await leave(text)
  await room.poll()
  // Put back from a backup.
  mailbox.letters = mailbox.letters.slice(0, 2)
  for (const since of [1, 2, 4]) {
    const taken: string[] = []
    let there = false
    await room.catchUp(
      since,
      (letter) => void taken.push(textOf(letter)),
      () => {
        there = true
      },
    )
    expect([there, taken]).toEqual([true, since === 1 ? ['b'] : []])
  }
  await room.poll()
  expect(lost).toBe(1)
  await leave('f')
  await room.poll()
  expect(read).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

test('who cannot catch up is told so, and the next letter comes all the same', async () => {
  const { open, mailbox } = await opening()
  const { room, read } = await open()
  await mailbox.leave([{ news: { kind: 'change', change: changed('a') } }])
  await room.poll()
  mailbox.down = true
  await expect(
    room.catchUp(
      0,
      () => undefined,
      () => expect.unreachable(),
    ),
  ).rejects.toThrow()
  mailbox.down = false
  room.announce(changed('b'))
  await expect.poll(() => read).toEqual(['a', 'b'])
})
