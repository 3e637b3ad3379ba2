import { open } from 'node:fs/promises'

/** Makes names in a folder last: a file that was made or renamed is found again after a loss of power. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
