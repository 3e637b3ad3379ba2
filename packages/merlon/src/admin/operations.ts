import type { Operation } from './operation.ts'
import { userOperations } from './users.ts'

/** Everything that the control plane does. The HTTP API, the OpenAPI document, the page and the command line are made from it. */
export const operations: readonly Operation[] = [...userOperations]

export const operationsByName: ReadonlyMap<string, Operation> = new Map(operations.map((each) => [each.name, each]))
