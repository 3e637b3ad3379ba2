/** Deadlock, serialization failure, and a lock that was not to be had in time: nothing of the transaction was kept. */
const undone: ReadonlySet<unknown> = new Set(['40P01', '40001', '55P03'])

/** Runs an act of one transaction, and once more where PostgreSQL says that it undid it for the sake of another. */
export async function repeatOnce<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && undone.has(cause.code))) throw cause
    return act()
  }
}
