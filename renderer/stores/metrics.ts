/**
 * The figures that instruments draw over time, each declared once: its unit, whether it is a level or the
 * rate of a counter, and where a frame holds it.
 */
import type { CpuFrame, DiskFrame, TelemetryFrame } from '../../electron/protocol/frames.ts';

export interface Metric {
  readonly title: string;
  /** `share` is 0 to 1 of all CPUs; a rate's unit is per second. */
  readonly unit: 'share' | 'B' | 'B/s' | '/s' | 'tasks' | 'requests';
  readonly kind: 'rate' | 'level';
  of(frame: TelemetryFrame): number;
}

const cpuShare = (title: string, part: (cpu: CpuFrame) => number): Metric => ({
  title,
  unit: 'share',
  kind: 'rate',
  // nanoseconds per second and CPU, as a share
  of: (frame) => frame.cpus.reduce((sum, cpu) => sum + part(cpu), 0) / 1e9 / Math.max(1, frame.cpus.length),
});
const level = (title: string, of: Metric['of'], unit: Metric['unit'] = 'B'): Metric => ({
  title,
  unit,
  kind: 'level',
  of,
});
const rate = (title: string, of: Metric['of'], unit: Metric['unit'] = '/s'): Metric => ({
  title,
  unit,
  kind: 'rate',
  of,
});
const disks = (part: (disk: DiskFrame) => number) => (frame: TelemetryFrame) =>
  frame.disks.reduce((sum, disk) => sum + part(disk), 0);

export const metrics = {
  'cpu.user': cpuShare('user', (cpu) => cpu.userNs + cpu.niceNs),
  'cpu.system': cpuShare('system', (cpu) => cpu.systemNs),
  'cpu.irq': cpuShare('irq', (cpu) => cpu.irqNs),
  'cpu.softirq': cpuShare('softirq', (cpu) => cpu.softirqNs),
  'cpu.iowait': cpuShare('iowait', (cpu) => cpu.iowaitNs),
  'cpu.idle': cpuShare('idle', (cpu) => cpu.idleNs),
  switches: rate('context switches', (frame) =>
    frame.cpus.reduce((sum, cpu) => sum + cpu.contextSwitches, 0),
  ),
  migrations: rate('migrations', (frame) => frame.cpus.reduce((sum, cpu) => sum + cpu.migrationsIn, 0)),
  runnable: level(
    'waiting tasks',
    (frame) => frame.cpus.reduce((sum, cpu) => sum + cpu.queueLength, 0),
    'tasks',
  ),
  syscalls: rate('system calls', (frame) => frame.syscalls),
  interrupts: rate('interrupts', (frame) =>
    frame.interrupts.reduce((sum, line) => sum + line.perCpu.reduce((total, count) => total + count, 0), 0),
  ),

  'memory.anonymous': level('anonymous', (frame) => frame.memory.anonymousBytes),
  'memory.cache': level('page cache', (frame) => frame.memory.pageCacheBytes),
  'memory.slab': level('slab', (frame) => frame.memory.slabBytes),
  'memory.tables': level('page tables', (frame) => frame.memory.pageTableBytes),
  'memory.kernel': level('kernel', (frame) => frame.memory.kernelBytes),
  'memory.free': level('free', (frame) => frame.memory.freeBytes),
  dirty: level('dirty', (frame) => frame.memory.dirtyBytes),
  writeback: level('writeback', (frame) => frame.memory.writebackBytes),
  'faults.minor': rate('minor faults', (frame) => frame.vm.pgfault - frame.vm.pgmajfault),
  'faults.major': rate('major faults', (frame) => frame.vm.pgmajfault),
  'page.hits': rate('page-cache hits', (frame) => frame.caches.pageHits),
  'page.misses': rate('page-cache misses', (frame) => frame.caches.pageMisses),

  'swap.in': rate('pages in', (frame) => frame.vm.pswpin),
  'swap.out': rate('pages out', (frame) => frame.vm.pswpout),
  'swap.used': level('swap used', (frame) => frame.swap.usedBytes),
  'scan.kswapd': rate('scanned by kswapd', (frame) => frame.vm.pgscanKswapd),
  'scan.direct': rate('scanned directly', (frame) => frame.vm.pgscanDirect),
  refaults: rate('refaults', (frame) => frame.vm.workingsetRefaultAnon + frame.vm.workingsetRefaultFile),

  'disk.reads': rate(
    'reads',
    disks((disk) => disk.reads),
  ),
  'disk.writes': rate(
    'writes',
    disks((disk) => disk.writes),
  ),
  'disk.readBytes': rate(
    'read',
    disks((disk) => disk.readBytes),
    'B/s',
  ),
  'disk.writtenBytes': rate(
    'written',
    disks((disk) => disk.writtenBytes),
    'B/s',
  ),
  'disk.queue': level(
    'queue depth',
    disks((disk) => disk.queueDepth),
    'requests',
  ),
  'disk.busy': rate(
    'busy',
    disks((disk) => disk.busyNs / 1e9),
    'share',
  ),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as MetricName[]; // keys() widens to string

/** The figures of one frame, rates taken over the time since the frame before. */
export function figuresOf(frame: TelemetryFrame, before: TelemetryFrame | null): Map<string, number> {
  const seconds = before === null ? 0 : (frame.virtualNs - before.virtualNs) / 1e9;
  const figures = new Map<string, number>();
  for (const name of metricNames) {
    const metric: Metric = metrics[name];
    if (metric.kind === 'level') figures.set(name, metric.of(frame));
    else if (before !== null && seconds > 0) {
      figures.set(name, Math.max(0, (metric.of(frame) - metric.of(before)) / seconds));
    }
  }
  return figures;
}
