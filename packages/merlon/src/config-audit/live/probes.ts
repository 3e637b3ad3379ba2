import { accessProbes } from './access.ts'
import { connectionProbes } from './connection.ts'
import { messageProbes } from './messages.ts'
import type { Probe } from './probe.ts'
import { surfaceProbes } from './surface.ts'

/** All probes, by what they are about. */
export const probeGroups: ReadonlyMap<string, readonly Probe[]> = new Map([
  ['Who may call', accessProbes],
  ['Hosts, origins and the forms of a request', connectionProbes],
  ['Messages', messageProbes],
  ['What else it shows', surfaceProbes],
])

export const probes: readonly Probe[] = Object.freeze([...probeGroups.values()].flat())
