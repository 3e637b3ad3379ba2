import { gzipSync } from 'node:zlib'
import { isAnswer, json, listTools, type Outside, type Probe, seen, status } from './probe.ts'

const defaultBytesMax = 1_048_576

/**
 * With a key the message is looked at; without one the refusal may come first. Both are right, and an answer that lets it
 * pass is wrong.
 */
const wanted = (outside: Outside, statuses: readonly number[]): readonly number[] =>
  outside.key === undefined ? [401, ...statuses] : statuses

const credential = (outside: Outside): readonly (readonly [string, string])[] =>
  outside.key === undefined ? [] : [['Authorization', `Bearer ${outside.key}`]]

const send = (outside: Outside, body: string | Buffer, headers = json) =>
  outside.send({ headers: [...headers, ...credential(outside)], body })

/** Messages that no client sends by accident. */
export const messageProbes: readonly Probe[] = [
  {
    id: 'LP-201',
    title: 'A body beyond the limit is refused.',
    severity: 'medium',
    why: 'A body without a limit fills the memory.',
    fix: 'Count bytes while reading, and answer 413.',
    source: ['ASVS 5.0 V15.2.2', 'ASVS 5.0 V2.4.1'],
    run: async (outside) =>
      status(
        await send(outside, `{"jsonrpc":"2.0","id":1,"method":"${'a'.repeat(67_108_864 / 8 + defaultBytesMax)}"}`),
        wanted(outside, [413]),
        true,
      ),
  },
  {
    id: 'LP-202',
    title: 'A message of great depth is refused.',
    severity: 'medium',
    why: 'Code that walks it runs out of stack, and the process ends.',
    fix: 'Bound the depth before anything walks the message.',
    source: ['ASVS 5.0 V15.2.2'],
    run: async (outside) =>
      status(
        await send(
          outside,
          `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`,
        ),
        wanted(outside, [400, 413]),
        true,
      ),
  },
  {
    id: 'LP-203',
    title: 'A message that says a key twice is refused.',
    severity: 'medium',
    why: 'One part takes the first and another the last.',
    fix: 'Read JSON with a parser that refuses duplicate keys.',
    source: ['ASVS 5.0 V15.3.7'],
    run: async (outside) =>
      status(
        await send(outside, '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}'),
        wanted(outside, [400]),
      ),
  },
  {
    id: 'LP-204',
    title: 'What is not JSON by its type is refused.',
    severity: 'medium',
    why: 'A page may send text/plain across origins without asking first.',
    fix: 'Take application/json alone; answer 415.',
    source: ['ASVS 5.0 V3.5.2', 'ASVS 5.0 V4.1.1'],
    run: async (outside) =>
      status(
        await send(outside, listTools, [['Content-Type', 'text/plain'], ...json.slice(1)]),
        wanted(outside, [415]),
      ),
  },
  {
    id: 'LP-205',
    title: 'A compressed body is refused.',
    severity: 'medium',
    why: 'A few bytes unpack to gigabytes.',
    fix: 'Answer 415 to Content-Encoding.',
    source: ['CVE-2026-22036', 'ASVS 5.0 V15.2.2'],
    run: async (outside) =>
      status(await send(outside, gzipSync(listTools), [...json, ['Content-Encoding', 'gzip']]), wanted(outside, [415])),
  },
  {
    id: 'LP-206',
    title: 'A body that is not JSON is refused, and told nothing more.',
    severity: 'low',
    why: 'Stacks, paths and names of libraries show where to look for a hole.',
    fix: 'Answer with a code and a sentence of your own.',
    source: ['ASVS 5.0 V16.5.1'],
    async run(outside) {
      const found = await send(outside, '{"jsonrpc":')
      if (!isAnswer(found)) return status(found, wanted(outside, [400]))
      const tells = /\bat [\w.<>]+ \(|node_modules|\/src\/|\.(?:js|ts|py|go):[0-9]+|Traceback|SyntaxError/.test(
        found.body,
      )
      const ok = !tells && wanted(outside, [400]).includes(found.status)
      return {
        expected: `${wanted(outside, [400]).join(' or ')} without the inside`,
        got: tells ? 'the inside of the server' : seen(found),
        ok,
      }
    },
  },
  {
    id: 'LP-207',
    title: 'A head beyond the limit is refused.',
    severity: 'medium',
    why: 'A head without a limit fills the memory before anybody is asked who they are.',
    fix: 'Bound lines and bytes of the head; answer 431.',
    source: ['ASVS 5.0 V15.2.2'],
    run: async (outside) =>
      status(
        await outside.send({
          headers: [...json, ...Array.from({ length: 200 }, (_, at) => [`X-Probe-${at}`, 'a'] as const)],
          body: listTools,
        }),
        [400, 431],
        true,
      ),
  },
  {
    id: 'LP-208',
    title: 'A list of messages is refused.',
    severity: 'low',
    why: 'Many calls in one pass a limit that counts requests.',
    fix: 'Take one message in one request.',
    source: ['MCP transports', 'ASVS 5.0 V2.4.1'],
    run: async (outside) => status(await send(outside, `[${listTools},${listTools}]`), wanted(outside, [400])),
  },
]
