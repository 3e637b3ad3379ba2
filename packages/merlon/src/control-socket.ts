import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  unlinkSync,
} from 'node:fs'
import { connect, type Server } from 'node:net'
import { basename, dirname, join } from 'node:path'

/** What fits in the address of a socket, its closing zero left out: 108 bytes on Linux, 104 elsewhere (unix(7), unix(4)). */
const pathBytesMax = process.platform === 'linux' ? 107 : 103

/** Where the control plane of a data folder listens: whoever can open it owns the folder. */
export function controlSocketOf(folder: string): string {
  return join(folder, 'control.sock')
}

/** A socket that is listened on, and how to leave it. */
export interface BoundSocket {
  readonly path: string
  /** Takes the file away, if it is still this one. */
  release(): void
}

/**
 * Listens on a socket that its owner alone can open. It is made in a folder that nobody else can enter, given its mode, and
 * only then moved to its place, so that at no moment others can connect; the move replaces what a killed process left there.
 * On Linux the folder is named by its descriptor, because the address of a socket holds no long path. Throws, in words for
 * the operator, where the system can listen on no such path.
 */
export async function listenOnSocket(server: Server, path: string, folder: string): Promise<BoundSocket> {
  const aside = mkdtempSync(join(folder, '.control-'))
  const descriptor = process.platform === 'linux' ? openSync(aside, 'r') : undefined
  try {
    const made = descriptor === undefined ? join(aside, 's') : `/proc/self/fd/${descriptor}/s`
    if (Buffer.byteLength(made) > pathBytesMax)
      throw new Error(`the path ${path} is too long for a socket of this system; choose a shorter store.folder`)
    await new Promise<void>((listening, failed) => {
      server.once('error', failed)
      server.listen({ path: made }, () => {
        server.removeListener('error', failed)
        listening()
      })
    })
    chmodSync(join(aside, 's'), 0o600)
    renameSync(join(aside, 's'), path)
    const own = lstatSync(path)
    return {
      path,
      release() {
        if (isSame(own, statOf(path))) unlinkSync(path)
      },
    }
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
    rmSync(aside, { recursive: true, force: true })
  }
}

/** Whether a process listens on the socket. One that a process left behind when it was killed is still a file. */
export function listens(path: string): Promise<boolean> {
  if (!existsSync(path)) return Promise.resolve(false)
  const socket = reachable(path)
  return new Promise<boolean>((answer) => {
    const connection = connect(socket.path)
    connection.once('error', () => answer(false))
    connection.once('connect', () => {
      connection.destroy()
      answer(true)
    })
  }).finally(() => socket.release())
}

/** A path that is too long for the address of a socket is shortened by way of its open folder, where the system can. */
export function reachable(path: string): { readonly path: string; release(): void } {
  if (Buffer.byteLength(path) <= pathBytesMax || process.platform !== 'linux') return { path, release() {} }
  const folder = openSync(dirname(path), 'r')
  return { path: `/proc/self/fd/${folder}/${basename(path)}`, release: () => closeSync(folder) }
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

function isSame(own: Stats, there: Stats | undefined): boolean {
  return there !== undefined && there.ino === own.ino && there.dev === own.dev
}
