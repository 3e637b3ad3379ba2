import type { AuditLog } from '../audit/audit-log.ts'
import type { Clock } from '../call.ts'
import { withdrawnEntry } from '../dispatch/session-record.ts'
import type { ChangePoll } from '../identity/change-poll.ts'
import { type Changes, type InstallationStore, presentRevision } from '../identity/installation-store.ts'
import { subjectId } from '../identity/subject-store.ts'
import type { SessionStore, Withdrawals } from '../session/session-store.ts'

export interface EndWithdrawnParts {
  readonly installation: {
    readonly identity: {
      readonly poll: Pick<ChangePoll, 'follow'>
      readonly stores: { readonly installation: Pick<InstallationStore, 'changesSince'> }
    }
    readonly audit: Pick<AuditLog, 'append'>
  }
  readonly sessions: Pick<SessionStore, 'endWithdrawn' | 'withdrawnUpTo'>
  readonly clock: Clock
}

/**
 * Ends the sessions of who may call no more, from now on, and first those that nobody came to end: a process may have been
 * killed between the two. Rejects where the stores are out of reach. Every process does it for itself, so that what one of
 * them was just opening ends as well.
 */
export async function endWithdrawn({ installation, sessions, clock }: EndWithdrawnParts): Promise<void> {
  const { identity, audit } = installation
  let endedUpTo = (await sessions.withdrawnUpTo()) ?? presentRevision
  const catchUp = async (): Promise<void> => {
    const changes = await identity.stores.installation.changesSince(endedUpTo)
    const ended = await sessions.endWithdrawn(withdrawalsOf(changes), clock())
    endedUpTo = changes.revision
    if (ended > 0) audit.append(withdrawnEntry(ended))
  }
  identity.poll.follow(({ revision }) => async () => {
    if (revision !== endedUpTo) await catchUp()
  })
  await catchUp()
}

function withdrawalsOf({ revision, keys, signIns, subjects, suspended, disabled }: Changes): Withdrawals {
  const withdrawn = [...keys, ...signIns].filter((each) => each.withdrawn)
  return {
    credentials: [
      ...withdrawn.map(({ id }) => ({ credential: id })),
      ...subjects.map((subject) => ({ credential: subjectId(subject), tenant: subject.tenant })),
    ],
    principals: disabled,
    tenants: suspended,
    upTo: revision,
  }
}
