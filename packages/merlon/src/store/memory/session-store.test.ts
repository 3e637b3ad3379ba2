import { sessionStoreContract } from '../../session/session-store.contract.ts'
import { MemorySessionStore } from './session-store.ts'

sessionStoreContract('in memory', async (idleMs) => ({ store: new MemorySessionStore(idleMs) }))
