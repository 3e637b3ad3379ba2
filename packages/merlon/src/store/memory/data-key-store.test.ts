import { dataKeyStoreContract } from '../../sealing/data-key-store.contract.ts'
import { MemoryDataKeyStore } from './data-key-store.ts'

dataKeyStoreContract('memory', async () => {
  const store = new MemoryDataKeyStore()
  return { store, changeRoot: (root) => store.changeRoot(root), close: async () => undefined }
})
