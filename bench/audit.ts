import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { FileAuditLog } from '../packages/merlon/src/audit/file-log.ts'
import { headSigner } from '../packages/merlon/src/audit/head.ts'
import { verifyAudit } from '../packages/merlon/src/audit/verify.ts'

/*
 * What the audit log costs at ten thousand decisions a second, how far it lags, and how fast a log of a million records is
 * verified and opened. The records are those of tool calls, as long as they are in earnest.
 */

const rate = Number(process.argv[2] ?? 10_000)
const seconds = Number(process.argv[3] ?? 10)
const records = Number(process.argv[4] ?? 1_000_000)
const wantedRate = 100_000

const folder = mkdtempSync(join(tmpdir(), 'merlon-audit-bench-'))
const path = join(folder, 'audit.jsonl')
const signer = headSigner(generateKeyPairSync('ed25519').privateKey)
const open = () =>
  FileAuditLog.open(path, {
    signer,
    clock: Date.now,
    flushMs: 50,
    headMs: 10_000,
    segmentBytes: 33_554_432,
    segmentMs: 86_400_000,
    onTamper: 'refuse',
    lockWaitMs: 0,
    onFailure: (cause) => {
      throw cause
    },
  })

/** The members of the record of one call. */
function record(count: number): string {
  return `"level":"info","type":"tool_access","success":true,"clientId":"key_VMaUTBLhcJ3p","principal":"usr_Ig5sdPUhs6Z5","tenant":"default","ip":"127.0.0.1","requestId":"3f9a1c20b7d4-${count.toString(36)}","method":"tools/call","tool":"echo","scope":"write","outcome":"ok","durationMs":1`
}

const micros = (used: NodeJS.CpuUsage) => used.user + used.system
const sizeOf = () =>
  readdirSync(folder)
    .filter((name) => /^audit(?:-\d+)?\.jsonl$/.test(name))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)

try {
  let log = await open()
  // Paced: so many in each ten milliseconds, as a server under load would make them.
  const perTick = rate / 100
  let count = 0
  let appending = 0n
  let lagMsMost = 0
  for (let tick = 0; tick < 100; tick++) for (let each = 0; each < perTick; each++) log.appendLine(record(count++))
  await log.written()
  count = 0
  const idle = process.cpuUsage()
  await wait(1_000)
  const idleMicros = micros(process.cpuUsage(idle))
  const began = performance.now()
  const cpu = process.cpuUsage()
  for (let tick = 1; tick <= seconds * 100; tick++) {
    const from = process.hrtime.bigint()
    for (let each = 0; each < perTick; each++) log.appendLine(record(count++))
    appending += process.hrtime.bigint() - from
    const due = began + tick * 10
    await wait(Math.max(0, due - performance.now()))
    lagMsMost = Math.max(lagMsMost, log.backlog().lagMs)
  }
  const elapsed = (performance.now() - began) / 1_000
  const used = micros(process.cpuUsage(cpu)) - idleMicros * elapsed
  console.log(
    `${Math.round(count / elapsed)} records a second for ${elapsed.toFixed(1)} s: ${((used / 1e6 / elapsed) * 100).toFixed(1)} % of one CPU, ${(used / count).toFixed(2)} µs a record, of which ${(Number(appending) / 1_000 / count).toFixed(2)} µs on the path of the call; the oldest that waited was ${lagMsMost} ms old`,
  )

  for (; count < records; count++) {
    log.appendLine(record(count))
    if (count % 5_000 === 0) await log.written()
  }
  await log.close()
  const opening = performance.now()
  log = await open()
  const openMs = performance.now() - opening
  await log.close()
  console.log(
    `a log of ${records} records (${Math.round(sizeOf() / 1_048_576)} MiB) is opened in ${openMs.toFixed(0)} ms`,
  )

  const files = readdirSync(folder).filter((name) => /^audit(?:-\d+)?\.jsonl$/.test(name))
  const verifying = performance.now()
  const verdict = await verifyAudit({
    files: files.map((name) => join(folder, name)),
    publicKey: signer.publicKey,
    headFiles: [join(folder, 'audit-heads.jsonl')],
  })
  const verifiedPerSecond = verdict.records / ((performance.now() - verifying) / 1_000)
  console.log(
    `verified: ${verdict.records} records in ${files.length} files, ${Math.round(verifiedPerSecond)} a second (wanted at least ${wantedRate}); ${verdict.ok ? 'sound' : 'NOT SOUND'}`,
  )
  process.exitCode = verdict.ok && verifiedPerSecond >= wantedRate ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
