import { describe, expect, test } from 'vitest'
import { failureOf } from './explain-failure.ts'

const refusedBy = (code: string, syscall: string) =>
  Object.assign(new Error(`${code}: no such file or directory, ${syscall} '/ro/data'`), {
    code,
    syscall,
    path: '/ro/data',
  })

describe('what the system refused', () => {
  test('a data folder that cannot be made is told with what to do', () => {
    expect(failureOf(refusedBy('ENOENT', 'mkdir'), 'merlon start')).toEqual({
      says: 'the folder /ro/data cannot be made there',
      hint: 'name a data folder that can be written in store.folder',
      exitCode: 1,
    })
  })

  test('a file that is not there is not taken for one', () => {
    expect(failureOf(refusedBy('ENOENT', 'open'), 'merlon start').says).toBe(
      "ENOENT: no such file or directory, open '/ro/data'",
    )
  })
})
