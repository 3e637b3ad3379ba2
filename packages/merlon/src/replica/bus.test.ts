import { expect, test } from 'vitest'
import { OwnBus } from './bus.ts'

test('a wake reaches every listener until it stops listening', () => {
  const bus = new OwnBus()
  const heard: string[] = []
  const stop = bus.onWake((text) => heard.push(`one ${text}`))
  bus.onWake((text) => heard.push(`two ${text}`))
  bus.wake('mail')
  stop()
  stop()
  bus.wake('sessions')
  expect(heard).toEqual(['one mail', 'two mail', 'two sessions'])
})

test('who listens twice is told twice, and stops once', () => {
  const bus = new OwnBus()
  const heard: string[] = []
  const listener = (text: string) => void heard.push(text)
  const stop = bus.onWake(listener)
  bus.onWake(listener)
  stop()
  bus.wake('mail')
  expect(heard).toEqual(['mail'])
})
