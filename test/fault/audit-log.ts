import { join } from 'node:path'
import { FileAuditLog } from '../../packages/merlon/src/audit/file-log.ts'
import { headSigner } from '../../packages/merlon/src/audit/head.ts'
import { deriveKey, openRootKey, signingKeyOf } from '../../packages/merlon/src/sealing/root-key.ts'

/** Signs the heads of the log in this folder. */
export function signerOf(folder: string) {
  return headSigner(signingKeyOf(deriveKey(openRootKey({ folder, storeHasData: true }).key, 'audit-head')))
}

/** The audit log of the folder, with small files and many heads, so that a kill finds them at work. */
export function openLog(folder: string, onFailure: (cause: unknown) => void): Promise<FileAuditLog> {
  return FileAuditLog.open(join(folder, 'audit.jsonl'), {
    signer: signerOf(folder),
    clock: Date.now,
    flushMs: 1,
    headMs: 5,
    segmentBytes: 65_536,
    segmentMs: 60_000,
    onTamper: 'refuse',
    lockWaitMs: 0,
    onFailure,
  })
}
