import { dataKeyStoreContract } from '../../sealing/data-key-store.contract.ts'
import { MemoryDataKeyStore } from './data-key-store.ts'

dataKeyStoreContract('memory', async () => ({ store: new MemoryDataKeyStore(), close: async () => undefined }))
