import { keyStoreContract } from '../../identity/key-store.contract.ts'
import { MemoryKeyStore } from './key-store.ts'

keyStoreContract('in memory', async () => ({ store: new MemoryKeyStore(), another: undefined }))
