// The series that a session records every 10 ms of virtual time: names, units, and where the value comes from.
import type { Kernel } from '../state.ts';
import { runnableTasks } from '../sched/load.ts';
import { viewCpus } from './cpus.ts';
import { viewDisks } from './disks.ts';
import { viewMemory, viewSwapUse } from './memory.ts';

export interface Counter {
  readonly name: string;
  readonly group: string;
  readonly unit: string;
  /** `rate` grows and is shown per second; `level` is shown as it is. */
  readonly kind: 'rate' | 'level';
  readonly value: number;
}

export function readCounters(kernel: Kernel): Counter[] {
  const memory = viewMemory(kernel);
  const swap = viewSwapUse(kernel);
  const vm = kernel.memory.counters;
  const rate = (group: string, unit: string, name: string, value: number): Counter => ({
    name,
    group,
    unit,
    kind: 'rate',
    value,
  });
  const level = (group: string, unit: string, name: string, value: number): Counter => ({
    name,
    group,
    unit,
    kind: 'level',
    value,
  });
  const counters: Counter[] = [];
  viewCpus(kernel).forEach((cpu, i) => {
    counters.push(
      rate('cpu', 'ns', `cpu${i} user`, cpu.userNs + cpu.niceNs), rate('cpu', 'ns', `cpu${i} system`, cpu.systemNs),
      rate('cpu', 'ns', `cpu${i} irq`, cpu.irqNs + cpu.softirqNs), rate('cpu', 'ns', `cpu${i} iowait`, cpu.iowaitNs),
      rate('cpu', 'ns', `cpu${i} idle`, cpu.idleNs), level('sched', 'tasks', `cpu${i} queue`, cpu.queueLength),
    ); // prettier-ignore
  });
  counters.push(
    level('sched', 'tasks', 'runnable', runnableTasks(kernel)),
    rate('sched', 'switches', 'context switches', kernel.sched.runQueues.reduce((sum, queue) => sum + queue.contextSwitches, 0)),
    rate('cpu', 'instructions', 'instructions', kernel.trap.instructions), rate('syscalls', 'calls', 'system calls', kernel.trap.syscalls),
    rate('faults', 'faults', 'page faults', vm.pgfault), rate('faults', 'faults', 'major faults', vm.pgmajfault),
    level('memory', 'bytes', 'free', memory.freeBytes), level('memory', 'bytes', 'anonymous', memory.anonymousBytes),
    level('memory', 'bytes', 'page cache', memory.pageCacheBytes), level('memory', 'bytes', 'slab', memory.slabBytes),
    level('memory', 'bytes', 'page tables', memory.pageTableBytes), level('memory', 'bytes', 'dirty', memory.dirtyBytes),
    level('memory', 'bytes', 'writeback', memory.writebackBytes),
    level('swap', 'bytes', 'swap used', swap.usedBytes), rate('swap', 'pages', 'swap in', vm.pswpin), rate('swap', 'pages', 'swap out', vm.pswpout),
    rate('reclaim', 'pages', 'scanned by kswapd', vm.pgscan_kswapd), rate('reclaim', 'pages', 'scanned directly', vm.pgscan_direct),
    rate('reclaim', 'pages', 'reclaimed', vm.pgsteal_kswapd + vm.pgsteal_direct),
  ); // prettier-ignore
  for (const disk of viewDisks(kernel)) {
    counters.push(
      rate('disk', 'requests', `${disk.name} reads`, disk.reads), rate('disk', 'requests', `${disk.name} writes`, disk.writes),
      rate('disk', 'bytes', `${disk.name} read`, disk.readBytes), rate('disk', 'bytes', `${disk.name} written`, disk.writtenBytes),
      level('disk', 'requests', `${disk.name} queue`, disk.queueDepth),
    ); // prettier-ignore
  }
  return counters;
}
