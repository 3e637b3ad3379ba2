/**
 * Runs the work one run at a time. Whoever asks while a run goes on waits for the next, which all of them share: what they ask
 * for begins after they asked. Rejects as the run does.
 */
export function oneAtATime(work: () => Promise<unknown>): () => Promise<unknown> {
  let running: Promise<unknown> | undefined
  let next: Promise<unknown> | undefined
  const begin = (): Promise<unknown> => {
    const run = work().finally(() => {
      if (running === run) running = undefined
    })
    running = run
    return run
  }
  return () => {
    if (running === undefined) return begin()
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return begin()
      })
    return next
  }
}
