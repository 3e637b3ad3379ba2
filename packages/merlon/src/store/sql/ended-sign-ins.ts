import type { Instant } from '../../call.ts'
import type { Act } from './acts.ts'

/** Ends the sign-ins of a user but `keep`, in the act that is the reason. */
export async function endSignIns(
  act: Act,
  user: string,
  keep: string | undefined,
  changed: number,
  now: Instant,
): Promise<void> {
  let open = act.updateTable('sign_ins').set({ revoked_at: now, changed }).where('user_id', '=', user)
  if (keep !== undefined) open = open.where('id', '!=', keep)
  await open.where('revoked_at', 'is', null).execute()
}
