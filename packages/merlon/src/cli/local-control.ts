import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { Control } from '../admin/control.ts'
import { inProcessControl } from '../admin/in-process-control.ts'
import { openLocal } from '../app.ts'
import type { Config } from '../config/schema.ts'
import type { Secrets } from '../config/secrets.ts'
import { localOperator } from '../identity/actor.ts'
import { makeDataFolder } from '../private-file.ts'
import { controlParts, sessionsOf } from '../serve/control-parts.ts'
import { takeServingLock } from '../serving-lock.ts'

/**
 * The control plane of an installation that no server has, for the time of a command. It holds the lock that a server holds,
 * so that one process at a time writes to the data folder. `undefined` while another has it.
 */
export async function openLocalControl(
  project: string,
  config: Config,
  secrets: Secrets,
): Promise<Control | undefined> {
  const folder = resolve(project, config.store.folder)
  makeDataFolder(folder)
  const lock = takeServingLock(folder)
  if (lock === undefined) return undefined
  try {
    const installation = await openLocal(project, config, secrets)
    try {
      // The operator of a new installation comes with a first key. Nobody has seen this one, so it must not stand.
      const first = await installation.makeFirstKey()
      if (first !== undefined) await installation.keys.revokeKey(first.key.id, localOperator)
      const { encryptionKeys, rootChange, sessions } = installation
      const common = { installation, encryptionKeys, rootChange, clock: Date.now, random: randomBytes }
      const parts = controlParts({ ...common, sessions: sessions && sessionsOf(sessions, common.clock) })
      return inProcessControl(parts, async () => {
        await installation.close()
        lock.release()
      })
    } catch (error) {
      await installation.close()
      throw error
    }
  } catch (error) {
    lock.release()
    throw error
  }
}
