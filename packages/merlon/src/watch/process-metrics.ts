import { performance } from 'node:perf_hooks'
import type { Registry } from './registry.ts'

/** What the process uses, under the names that dashboards of Prometheus know. */
export function processMetrics(registry: Registry): void {
  const startedAt = Math.round(performance.timeOrigin) / 1_000
  registry.gauge('process_start_time_seconds', 'When the process started, in seconds since the epoch.', () => startedAt)
  registry.reading('process_cpu_seconds_total', 'Processor time that was used.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  registry.gauge('process_resident_memory_bytes', 'Memory that the process holds.', () => process.memoryUsage.rss())
  registry.gauge('nodejs_heap_size_used_bytes', 'Memory that objects take.', () => process.memoryUsage().heapUsed)
  registry.reading(
    'nodejs_eventloop_active_seconds_total',
    'Time that the event loop was at work and did not wait.',
    () => performance.eventLoopUtilization().active / 1_000,
  )
}
