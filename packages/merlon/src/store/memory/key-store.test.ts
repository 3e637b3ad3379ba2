import { keyStoreContract } from '../../identity/key-store.contract.ts'
import { memoryIdentity } from './identity-stores.ts'

keyStoreContract('in memory', async () => ({ stores: memoryIdentity(), another: undefined }))
