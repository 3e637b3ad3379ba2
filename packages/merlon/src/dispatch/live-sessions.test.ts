import { describe, expect, test } from 'vitest'
import { principalWith } from '../guard/arrival.fixture.ts'
import type { Session } from '../session/session-store.ts'
import { LiveSessions } from './live-sessions.ts'
import type { Resumption } from './resumption.ts'

const principal = principalWith(['read'])
const dropped: string[] = []
const cuts: (() => void)[] = []
const resumption = {
  history: { drop: async (id: string) => void dropped.push(id) },
  replicas: { onCut: (listener: () => void) => void cuts.push(listener) },
} as unknown as Resumption
const sessionOf = (id: string) => ({ id, binding: principal.binding }) as Session

describe('a session of one connection', () => {
  test('has nothing kept for a resume, and another beside it has', () => {
    const live = new LiveSessions(resumption)
    live.bindToConnection('socket')
    expect(live.of(sessionOf('socket'), principal).canResume).toBeUndefined()
    expect(live.of(sessionOf('http'), principal).canResume).toBe(resumption)
    const streams = ['socket', 'http'].map((id) => live.of(sessionOf(id), principal).openStandalone())
    for (const cut of cuts) cut()
    expect(streams.map(({ isBroken }) => isBroken)).toEqual([false, true])
    live.end('socket')
    live.end('http')
    expect(dropped).toEqual(['http'])
    expect(live.of(sessionOf('socket'), principal).canResume).toBe(resumption)
  })
})
