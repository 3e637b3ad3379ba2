import { expect, test } from 'vitest'
import { exposure } from './inspection.ts'

const closed = { flags: [], nodeOptions: undefined, inspector: undefined }

test.each([
  ['--inspect', '--inspect'],
  ['--inspect=0', '--inspect'],
  ['--inspect=0.0.0.0:9229', '--inspect'],
  ['--inspect-brk', '--inspect-brk'],
  ['--inspect_wait=0', '--inspect-wait'],
  ['--heapsnapshot-signal=SIGUSR2', '--heapsnapshot-signal'],
  ['--heapsnapshot-near-heap-limit=1', '--heapsnapshot-near-heap-limit'],
  ['--abort-on-uncaught-exception', '--abort-on-uncaught-exception'],
])('%s exposes the memory, given directly or by NODE_OPTIONS (SC-05)', (flag, name) => {
  expect(exposure({ ...closed, flags: ['--enable-source-maps', flag] })).toBe(name)
  expect(exposure({ ...closed, nodeOptions: `--enable-source-maps  ${flag} --no-warnings` })).toBe(name)
  expect(exposure({ ...closed, nodeOptions: `"${flag}"` })).toBe(name)
})

test('an inspector that something else opened exposes it', () => {
  expect(exposure({ ...closed, inspector: 'ws://127.0.0.1:9229/x' })).toBe('an open inspector')
})

test('options that open nothing are let be', () => {
  const flags = ['--inspect-port=0', '--max-old-space-size=512', '--no-inspect', '--import=./inspect.ts']
  expect(exposure(closed)).toBeUndefined()
  expect(exposure({ ...closed, flags, nodeOptions: flags.join(' ') })).toBeUndefined()
})
