import type { Revision } from './revision.ts'

/** The stateful revisions, newest first. One of these is negotiated by `initialize` and pinned for the session. */
export const statefulVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const
export type StatefulVersion = (typeof statefulVersions)[number]

const resourceNotFound = -32002

/** The revisions with `initialize` and sessions. They share one wire form; they differ in what a client understands. */
export function statefulRevision(version: StatefulVersion): Revision {
  return {
    version,
    stateful: true,
    primesStreams: version === '2025-11-25',
    result: (members) => `{${members}}`,
    rpcCode: (fault) => (fault.code === 'resource.unknown' ? resourceNotFound : fault.spec.rpc),
    // Here 404 tells a client that its session is gone, so that faults of the protocol travel inside a 200.
    status: (fault) => (fault.code === 'method.unknown' || fault.code === 'capability.missing' ? 200 : fault.spec.http),
  }
}

/** The revision to answer `initialize` with: the client's where we speak it, else our newest. */
export function negotiate(requested: unknown): StatefulVersion {
  return statefulVersions.find((version) => version === requested) ?? statefulVersions[0]
}
