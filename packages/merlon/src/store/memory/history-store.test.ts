import { historyStoreContract } from '../../history/history-store.contract.ts'
import { MemoryHistoryStore } from './history-store.ts'

historyStoreContract('in memory', async (bounds) => ({ store: new MemoryHistoryStore(bounds) }))
