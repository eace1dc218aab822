// Disks in /proc and /sys: diskstats, partitions, /sys/block/DISK (Documentation/ABI/stable/sysfs-block).
import { EINVAL, EPERM } from '../abi/errno.ts';
import { majorOf, minorOf } from '../abi/device.ts';
import { deviceProfiles } from '../block/profiles.ts';
import { setScheduler } from '../block/queue.ts';
import { ioSchedulers } from '../block/schedulers/index.ts';
import { SECTORS_PER_BLOCK, type BlockDevice } from '../block/state.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { procDirectory, procFile, procLink, variables, type Subject } from './tree.ts';

const padded = (value: number | string, width: number): string => String(value).padStart(width);
const ms = (ns: number): number => Math.floor(ns / 1_000_000);
const disks = (kernel: Kernel): BlockDevice[] => [...kernel.block.devices.values()];
const placeOf = ({ device }: BlockDevice): string => `${majorOf(device)}:${minorOf(device)}`;

/** The seventeen numbers of /proc/diskstats (Documentation/admin-guide/iostats.rst). Nothing is ever discarded. */
function statistics(kernel: Kernel, disk: BlockDevice): number[] {
  const { stats } = disk;
  const working = disk.inFlight.size;
  // Time since the last change of the queue is not booked yet.
  const open = working > 0 ? Math.max(0, now(kernel) - disk.accountedNs) : 0;
  return [
    stats.readCount, stats.readMerges, stats.readSectors, ms(stats.readNs), stats.writeCount, stats.writeMerges,
    stats.writeSectors, ms(stats.writeNs), working, ms(stats.ioNs + open), ms(stats.weightedIoNs + open * working),
    0, 0, 0, 0, stats.flushCount, ms(stats.flushNs),
  ]; // prettier-ignore
}

procFile('/proc/diskstats', 0o444, (kernel) =>
  disks(kernel).map((disk) => `${padded(majorOf(disk.device), 4)} ${padded(minorOf(disk.device), 7)} ${disk.name} ${statistics(kernel, disk).join(' ')}\n`).join(''),
); // prettier-ignore

procFile('/proc/partitions', 0o444, (kernel) => {
  const rows = disks(kernel).map(
    (disk) =>
      `${padded(majorOf(disk.device), 4)}  ${padded(minorOf(disk.device), 7)} ${padded(disk.blockCount * 4, 10)} ${disk.name}\n`,
  );
  return `major minor  #blocks  name\n\n${rows.join('')}`;
});

variables['{disk}'] = {
  list: (kernel) => [...kernel.block.devices.keys()],
  has: (kernel, _names, name) => kernel.block.devices.has(name),
};
variables['{place}'] = {
  list: (kernel) => disks(kernel).map(placeOf),
  has: (kernel, _names, name) => disks(kernel).some((disk) => placeOf(disk) === name),
};

function diskFile(name: string, show: (disk: BlockDevice, kernel: Kernel) => string | number): void {
  procFile(`/sys/block/{disk}/${name}`, 0o444, (kernel, { names }) => {
    const disk = kernel.block.devices.get(names[0] ?? '');
    return disk === undefined ? '' : `${show(disk, kernel)}\n`;
  });
}

const profileOf = (disk: BlockDevice): (typeof deviceProfiles)[keyof typeof deviceProfiles] =>
  deviceProfiles[disk.profile];

diskFile('dev', placeOf);
diskFile('size', (disk) => disk.blockCount * SECTORS_PER_BLOCK);
diskFile('ro', () => 0);
diskFile('removable', () => 0);
diskFile('range', () => 16);
diskFile('hidden', () => 0);
diskFile('alignment_offset', () => 0);
diskFile('stat', (disk, kernel) => statistics(kernel, disk).map((value) => padded(value, 8)).join(' ')); // prettier-ignore
diskFile('inflight', (disk) => {
  const writes = [...disk.inFlight.values()].filter(({ kind }) => kind === 'write').length;
  return `${padded(disk.inFlight.size - writes, 8)} ${padded(writes, 8)}`;
});
diskFile(
  'uevent',
  (disk) =>
    `MAJOR=${majorOf(disk.device)}\nMINOR=${minorOf(disk.device)}\nDEVNAME=${disk.name}\nDEVTYPE=disk`,
);
diskFile('queue/rotational', (disk) => (profileOf(disk).rotational ? 1 : 0));
diskFile('queue/logical_block_size', () => 512);
diskFile('queue/physical_block_size', () => 4096);
diskFile('queue/hw_sector_size', () => 512);
diskFile('queue/minimum_io_size', () => 4096);
diskFile('queue/optimal_io_size', () => 0);
diskFile('queue/nr_requests', (disk) => profileOf(disk).queueDepth);
diskFile('queue/discard_granularity', () => 0);
diskFile('queue/discard_max_bytes', () => 0);
diskFile('queue/write_cache', () => 'write back');

procFile(
  '/sys/block/{disk}/queue/scheduler',
  0o644,
  (kernel, { names }) => {
    const active = kernel.block.devices.get(names[0] ?? '')?.scheduler;
    return `${Object.keys(ioSchedulers).map((name) => (name === active ? `[${name}]` : name)).join(' ')}\n`; // prettier-ignore
  },
  (kernel: Kernel, { names, reader }: Subject, text: string) => {
    if (reader.credentials.euid !== 0) return EPERM;
    const disk = kernel.block.devices.get(names[0] ?? '');
    return disk !== undefined && setScheduler(kernel, disk, text.trim()) ? 0 : EINVAL;
  },
);

procLink('/sys/class/block/{disk}', (_kernel, { names }) => `../../block/${names[0] ?? ''}`);
procLink('/sys/dev/block/{place}', (kernel, { names }) => {
  const disk = disks(kernel).find((candidate) => placeOf(candidate) === names[0]);
  return `../../block/${disk?.name ?? ''}`;
});
procDirectory('/sys/block');
