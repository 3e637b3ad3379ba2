/**
 * Does something again and again, and tells it how late it comes. What fails is told and done again the next time: a store
 * that is out of reach while nobody waits for it must not end the server. Does not keep the process alive.
 */
export function every(ms: number, work: (lateMs: number) => unknown, failed: (cause: unknown) => void): NodeJS.Timeout {
  let due = performance.now() + ms
  return setInterval(() => {
    const late = performance.now() - due
    due = performance.now() + ms
    void (async () => work(late))().catch(failed)
  }, ms).unref()
}
