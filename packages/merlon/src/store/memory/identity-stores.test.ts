import { keyStoreContract } from '../../identity/key-store.contract.ts'
import { peopleContract } from '../../identity/people.contract.ts'
import { subjectStoreContract } from '../../identity/subject-store.contract.ts'
import { memoryIdentity } from './identity-stores.ts'

const open = async () => ({ stores: memoryIdentity(), another: undefined })
keyStoreContract('in memory', open)
peopleContract('in memory', open)
subjectStoreContract('in memory', open)
