/** Calls of `wait` by label: each promise is kept when the call is cancelled. */
const cancelled = new Map<string, PromiseWithResolvers<void>>()

export function cancellationOf(label: string): PromiseWithResolvers<void> {
  let found = cancelled.get(label)
  if (found === undefined) {
    found = Promise.withResolvers<void>()
    cancelled.set(label, found)
  }
  return found
}
