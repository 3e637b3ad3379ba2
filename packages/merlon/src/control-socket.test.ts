import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlSocketOf, listenOnSocket, listens } from './control-socket.ts'

let folder: string
let servers: Server[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'merlon-socket-'))
  servers = []
})
afterEach(async () => {
  for (const server of servers) await new Promise((closed) => server.close(closed))
  rmSync(folder, { recursive: true, force: true })
})

function serverSaying(word: string): Server {
  // Who only looks whether somebody listens hangs up at once.
  const server = createServer((socket) => socket.on('error', () => undefined).end(word))
  servers.push(server)
  return server
}

const heard = (path: string) =>
  new Promise<string>((answered, failed) => {
    let text = ''
    const socket = connect(path)
    socket.on('data', (piece) => {
      text += piece
    })
    socket.on('end', () => answered(text))
    socket.on('error', failed)
  })

describe.skipIf(process.platform === 'win32')('the control socket', () => {
  test('AD-01: only its owner can open it, and nothing else is left in the folder', async () => {
    const path = controlSocketOf(folder)
    const before = process.umask(0)
    try {
      await listenOnSocket(serverSaying('here'), path, folder)
    } finally {
      process.umask(before)
    }
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(path).isSocket()).toBe(true)
    expect(readdirSync(folder)).toEqual(['control.sock'])
    expect(await heard(path)).toBe('here')
  })

  test('what a killed server left is replaced, whatever it is', async () => {
    const path = join(folder, 'control.sock')
    writeFileSync(path, 'left behind')
    await listenOnSocket(serverSaying('new'), path, folder)
    expect(await heard(path)).toBe('new')
  })

  test('it is taken away by its own server alone', async () => {
    const path = join(folder, 'control.sock')
    const first = await listenOnSocket(serverSaying('first'), path, folder)
    const second = await listenOnSocket(serverSaying('second'), path, folder)
    first.release()
    expect(await heard(path)).toBe('second')
    second.release()
    expect(existsSync(path)).toBe(false)
    second.release()
  })

  test.runIf(process.platform === 'linux')('a folder may be deeper than the address of a socket is long', async () => {
    const deep = join(folder, ...Array.from({ length: 6 }, () => 'a-folder-with-a-long-name-indeed'))
    mkdirSync(deep, { recursive: true })
    const path = join(deep, 'control.sock')
    expect(Buffer.byteLength(path)).toBeGreaterThan(150)
    await listenOnSocket(serverSaying('deep'), path, deep)
    expect(statSync(path).isSocket()).toBe(true)
    expect(await listens(path)).toBe(true)
  })

  test('a file of its name, or none, is nobody', async () => {
    const path = controlSocketOf(folder)
    expect(await listens(path)).toBe(false)
    writeFileSync(path, '')
    expect(await listens(path)).toBe(false)
    await listenOnSocket(serverSaying('here'), path, folder)
    expect(await listens(path)).toBe(true)
  })
})
