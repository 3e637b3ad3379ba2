import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { untilStopped } from './server-command.ts'

function stage(close: () => Promise<void> = async () => {}) {
  const signals = new EventEmitter()
  const said: string[] = []
  const failures: unknown[] = []
  const left: number[] = []
  const stopped = untilStopped({ close }, signals, {
    say: (text) => said.push(text),
    fail: (error) => failures.push(error),
    leave: (exitCode) => left.push(exitCode),
  })
  return { signals, said, failures, left, stopped }
}

describe('a running server', () => {
  test.each(['SIGINT', 'SIGTERM'])('%s drains it and leaves with 0', async (signal) => {
    let closed = 0
    const { signals, said, stopped } = stage(async () => void closed++)
    signals.emit(signal)
    expect(await stopped).toBe(0)
    expect(closed).toBe(1)
    expect(said).toEqual(['merlon: finishing what is under way; a second signal stops at once'])
    expect(signals.eventNames()).toEqual([])
  })

  test('a second signal leaves at once', () => {
    const { signals, left } = stage(() => new Promise(() => {}))
    signals.emit('SIGTERM')
    expect(left).toEqual([])
    signals.emit('SIGINT')
    expect(left).toEqual([1])
  })

  test.each(['uncaughtException', 'unhandledRejection'])(
    '%s is logged once, drains, and leaves with 1',
    async (event) => {
      const { signals, failures, stopped, left } = stage()
      signals.emit(event, new Error('first'))
      signals.emit(event, new Error('second'))
      expect(await stopped).toBe(1)
      expect(failures).toEqual([new Error('first')])
      expect(left).toEqual([])
    },
  )

  test('a close that fails is logged, and leaves with 1', async () => {
    const { signals, failures, stopped } = stage(async () => {
      throw new Error('disk')
    })
    signals.emit('SIGTERM')
    expect(await stopped).toBe(1)
    expect(failures).toEqual([new Error('disk')])
  })
})
