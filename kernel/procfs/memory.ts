// Memory as the machine as a whole sees it: meminfo, vmstat, buddyinfo, zoneinfo, slabinfo, swaps, pressure, smaps.
import { EINVAL, EPERM } from '../abi/errno.ts';
import { dropAllPages } from '../mm/page-cache.ts';
import { memoryPressure } from '../mm/psi.ts';
import { shrinkObjects } from '../mm/reclaim.ts';
import { buddyInfo, memoryInfo, slabInfo, smapsOf, swapInfo, vmStat, zoneInfo } from '../mm/statistics.ts';
import type { Vma } from '../mm/mm.ts';
import type { Kernel } from '../state.ts';
import { mapLine } from './task-memory.ts';
import { escapeBytes, hex } from './text.ts';
import { guard, procFile, taskFile } from './tree.ts';

const kbLine = (name: string, kb: number): string => `${`${name}:`.padEnd(16)}${String(kb).padStart(8)} kB\n`;
const padded = (value: number | string, width: number): string => String(value).padStart(width);

procFile('/proc/meminfo', 0o444, (kernel) =>
  Object.entries(memoryInfo(kernel)).map(([name, kb]) => kbLine(name, kb)).join(''),
); // prettier-ignore

procFile('/proc/vmstat', 0o444, (kernel) =>
  Object.entries(vmStat(kernel)).map(([name, value]) => `${name} ${value}\n`).join(''),
); // prettier-ignore

procFile('/proc/buddyinfo', 0o444, (kernel) =>
  buddyInfo(kernel).map(({ zone, free }) => `Node 0, zone ${padded(zone, 8)} ${free.map((count) => `${padded(count, 6)} `).join('')}\n`).join(''),
); // prettier-ignore

procFile('/proc/zoneinfo', 0o444, (kernel) => {
  const perNode = Object.entries(vmStat(kernel)).filter(([name]) => name.startsWith('nr_') && !/^nr_(zone_|free_pages|mlock)/.test(name));
  const zones = zoneInfo(kernel);
  const free = vmStat(kernel)['nr_free_pages'] ?? 0;
  return zones.map((zone, index) => {
    let text = `Node 0, zone ${padded(zone.zone, 8)}\n`;
    if (index === 0) text += `  per-node stats\n${perNode.map(([name, value]) => `      ${name.padEnd(12)} ${value}\n`).join('')}`;
    text += `  pages free     ${zone.free}\n        boost    0\n        min      ${zone.min}\n        low      ${zone.low}\n        high     ${zone.high}\n`;
    text += `        spanned  ${zone.spanned}\n        present  ${zone.present}\n        managed  ${zone.managed}\n        cma      0\n`;
    text += `        protection: (${zones.map(() => 0).join(', ')})\n`;
    if (zone.managed > 0) text += `      nr_free_pages ${free}\n  node_unreclaimable:  0\n  start_pfn:           ${zone.startPfn}\n`;
    return text;
  }).join('');
}); // prettier-ignore

procFile('/proc/slabinfo', 0o400, (kernel) => {
  const head =
    'slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n';
  return head + slabInfo(kernel).map((slab) =>
    `${slab.name.padEnd(17)} ${padded(slab.activeObjects, 6)} ${padded(slab.objects, 6)} ${padded(slab.objectBytes, 6)} ` +
    `${padded(slab.objectsPerSlab, 4)} ${padded(slab.pagesPerSlab, 4)} : tunables    0    0    0 : slabdata ` +
    `${padded(slab.activeSlabs, 6)} ${padded(slab.slabs, 6)} ${padded(0, 6)}\n`).join('');
}); // prettier-ignore

procFile('/proc/swaps', 0o444, (kernel) =>
  swapInfo(kernel).reduce((text, { path, type, sizeKb, usedKb, priority }) => {
    const tab = (kb: number): string => (kb < 10_000_000 ? '\t' : '');
    return `${text}${escapeBytes(path, ' \t\n\\').padEnd(40)}${type}\t${sizeKb}\t${tab(sizeKb)}${usedKb}\t${tab(usedKb)}${priority}\n`;
  }, 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'),
); // prettier-ignore

procFile('/proc/pressure/memory', 0o444, (kernel) =>
  memoryPressure(kernel).map(({ line, averages, totalUs }) => {
    const [ten = 0, sixty = 0, threeHundred = 0] = averages;
    return `${line} avg10=${ten.toFixed(2)} avg60=${sixty.toFixed(2)} avg300=${threeHundred.toFixed(2)} total=${Math.floor(totalUs)}\n`;
  }).join(''),
); // prettier-ignore

procFile('/proc/sys/vm/drop_caches', 0o200, null, (kernel, { reader }, text) => {
  if (reader.credentials.euid !== 0) return EPERM;
  const value = Number(text.trim());
  if (!Number.isInteger(value) || value < 1 || value > 4) return EINVAL;
  if (value & 1) dropAllPages(kernel);
  if (value & 2) {
    while (shrinkObjects(kernel, 0) > 0);
    kernel.memory.counters.drop_slab++;
  }
  return 0;
});

/** Two letters for each flag of a vma that is set (Documentation/filesystems/proc.rst, VmFlags). */
function vmFlags({ flags }: Vma): string {
  const letters: readonly (readonly [boolean, string])[] = [
    [flags.read, 'rd'], [flags.write, 'wr'], [flags.execute, 'ex'], [flags.shared, 'sh'], [flags.mayRead, 'mr'],
    [flags.mayWrite, 'mw'], [flags.mayExecute, 'me'], [flags.shared && flags.mayWrite, 'ms'], [flags.growsDown, 'gd'],
    [flags.locked, 'lo'], [flags.advice === 'sequential', 'sr'], [flags.advice === 'random', 'rr'], [flags.dontFork, 'dc'],
    [flags.accounted, 'ac'], [flags.noReserve, 'nr'], [flags.wipeOnFork, 'wf'], [flags.dontDump, 'dd'],
  ]; // prettier-ignore
  return letters.filter(([on]) => on).map(([, name]) => `${name} `).join(''); // prettier-ignore
}

guard(
  taskFile('smaps', 0o444, (kernel, { task, reader }) => {
    if (task.mm === null) return '';
    return smapsOf(kernel, task.mm).map(({ vma, usage }) => {
      const lines = Object.entries(usage).map(([name, kb]) => kbLine(name, kb)).join('');
      return `${mapLine(kernel, reader, task, vma)}${lines}THPeligible:    0\nVmFlags: ${vmFlags(vma)}\n`;
    }).join(''); // prettier-ignore
  }),
);

const NOT_SUMMED = ['Size', 'KernelPageSize', 'MMUPageSize'];

guard([
  procFile('/proc/{pid}/smaps_rollup', 0o444, (kernel: Kernel, { task }) => {
    if (task.mm === null || task.mm.vmas.length === 0) return '';
    const sums = new Map<string, number>();
    for (const { usage } of smapsOf(kernel, task.mm)) {
      for (const [name, kb] of Object.entries(usage))
        if (!NOT_SUMMED.includes(name)) sums.set(name, (sums.get(name) ?? 0) + kb);
    }
    const range = `${hex(task.mm.vmas[0]?.start ?? 0, 8)}-${hex(task.mm.vmas.at(-1)?.end ?? 0, 8)}`;
    const lines = [...sums].map(([name, kb]) => kbLine(name, kb)).join('');
    return `${`${range} ---p 00000000 00:00 0`.padEnd(72)} [rollup]\n${lines}`;
  }),
]);
