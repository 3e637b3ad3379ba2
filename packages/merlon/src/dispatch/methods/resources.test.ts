import { expect, test } from 'vitest'
import { defineResource } from '../../catalog/define.ts'
import { serverWith } from '../server.fixture.ts'

const notes = defineResource({ name: 'note', uriTemplate: 'note:///{id}', read: () => 'text' })

test('RL-17: what a session subscribes to has a bound in number and in length', async () => {
  const server = serverWith([notes])
  const session = server.openSession()
  const subscribe = (id: string) => server.send('resources/subscribe', { uri: `note:///${id}` }, { session })
  for (let kept = 0; kept < 8; kept++)
    expect((await subscribe(`${kept}${'x'.repeat(8_000)}`)).messages[0]).toHaveProperty('result')
  expect((await subscribe(`8${'x'.repeat(8_000)}`)).messages[0]).toMatchObject({
    error: { data: { code: 'OVERLOADED' } },
  })
  expect((await subscribe('short')).messages[0]).toHaveProperty('result')
  expect(session.subscriptions?.size).toBe(9)
})
