import { expect, test } from 'vitest'
import { type AlertRule, Alerts, type Transition } from './alerts.ts'

const rule: AlertRule = {
  name: 'hot',
  severity: 'warning',
  says: 'It is hot.',
  fix: 'Open a window.',
  threshold: 10,
  forMs: 0,
  keepMs: 60_000,
  read: () => 0,
}

function watching(change: Partial<AlertRule> = {}) {
  const state = { now: 1_000, value: 0, bytes: 0 }
  const told: string[] = []
  const alerts = new Alerts({
    rules: [{ ...rule, read: () => state.value, ...change }],
    clock: () => 1_800_000_000_000 + state.now,
    steadyClock: () => state.now,
    random: (size) => Buffer.alloc(size, ++state.bytes),
    onTransition: (alert, transition: Transition) => void told.push(`${alert.id} ${transition}`),
  })
  /** The value from now on, judged, and then time passes. */
  const at = (value: number, forMs = 0) => {
    state.value = value
    alerts.evaluate()
    state.now += forMs
  }
  return { alerts, told, at }
}

test('fires where the threshold is reached, and is told once however often it is judged', () => {
  const { alerts, told, at } = watching()
  at(9)
  expect(alerts.list()).toEqual([])
  at(10, 500)
  at(12, 500)
  at(11, 500)
  expect(told).toEqual(['alert_010101010101 firing'])
  expect(alerts.list()).toEqual([
    {
      id: 'alert_010101010101',
      rule: 'hot',
      severity: 'warning',
      state: 'firing',
      says: 'It is hot.',
      fix: 'Open a window.',
      threshold: 10,
      value: 12,
      startedAt: 1_800_000_001_000,
      firedAt: 1_800_000_001_000,
    },
  ])
})

test('is over when it has been well for long enough, and the next time is another alert', () => {
  const { alerts, told, at } = watching()
  at(10, 1_000)
  at(0, 59_999)
  at(10, 1_000)
  at(0, 59_999)
  at(0, 1)
  expect(told).toEqual(['alert_010101010101 firing'])
  at(0)
  expect(told).toEqual(['alert_010101010101 firing', 'alert_010101010101 resolved'])
  expect(alerts.list()).toMatchObject([
    { state: 'resolved', firedAt: 1_800_000_001_000, resolvedAt: 1_800_000_122_999 },
  ])
  at(10)
  expect(alerts.list()).toMatchObject([
    { id: 'alert_020202020202', state: 'firing' },
    { id: 'alert_010101010101', state: 'resolved' },
  ])
})

test('waits where a rule asks to be sure, and what passes meanwhile is no alert', () => {
  const { alerts, told, at } = watching({ forMs: 5_000 })
  at(10, 4_999)
  at(10)
  expect(alerts.list()).toMatchObject([{ state: 'pending' }])
  at(0, 1)
  expect(alerts.list()).toEqual([])
  at(10, 5_000)
  at(10)
  expect(told).toEqual(['alert_020202020202 firing'])
})

test('stays with the first who took it on', () => {
  const { alerts, told, at } = watching()
  at(10, 1_000)
  expect(alerts.acknowledge('alert_010101010101', 'usr_ann')).toMatchObject({
    acknowledgedBy: 'usr_ann',
    acknowledgedAt: 1_800_000_002_000,
  })
  expect(alerts.acknowledge('alert_010101010101', 'usr_bob')).toMatchObject({ acknowledgedBy: 'usr_ann' })
  expect(told).toEqual(['alert_010101010101 firing', 'alert_010101010101 acknowledged'])
  expect(alerts.acknowledge('alert_unknown', 'usr_ann')).toBeUndefined()
  expect(alerts.acknowledge('constructor', 'usr_ann')).toBeUndefined()
  // What was read since is added, and who took it on stays.
  at(20)
  expect(alerts.find('alert_010101010101')).toMatchObject({ value: 20, acknowledgedBy: 'usr_ann' })
})

test('one that is over can still be found, and taking it on changes nothing', () => {
  const { alerts, at } = watching({ keepMs: 0 })
  at(10, 1)
  at(0)
  const over = alerts.acknowledge('alert_010101010101', 'usr_ann')
  expect(over).toMatchObject({ state: 'resolved' })
  expect(over).not.toHaveProperty('acknowledgedBy')
})

test('remembers 200 that are over', () => {
  const { alerts, told, at } = watching({ keepMs: 0 })
  for (let times = 0; times < 205; times++) {
    at(10, 1)
    at(0, 1)
  }
  expect(told).toHaveLength(410)
  expect(alerts.list()).toHaveLength(200)
})
