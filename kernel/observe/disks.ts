// What each disk has done since power-on.
import type { BlockDevice } from '../block/state.ts';
import type { Kernel } from '../state.ts';

const SECTOR = 512;

export interface DiskView {
  readonly name: string;
  readonly profile: string;
  readonly reads: number;
  readonly writes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly flushes: number;
  readonly merged: number;
  readonly sequential: number;
  readonly queueDepth: number;
  readonly busyNs: number;
  /** Counts by floor(log2(µs)). */
  readonly readLatency: readonly number[];
  readonly writeLatency: readonly number[];
}

function viewDisk({ name, profile, stats, inFlight, queuedRequests }: BlockDevice): DiskView {
  return {
    name, profile, reads: stats.readCount, writes: stats.writeCount, readBytes: stats.readSectors * SECTOR,
    writtenBytes: stats.writeSectors * SECTOR, flushes: stats.flushCount, merged: stats.readMerges + stats.writeMerges,
    sequential: stats.sequentialCount, queueDepth: inFlight.size + queuedRequests, busyNs: stats.ioNs,
    readLatency: stats.readLatency, writeLatency: stats.writeLatency,
  }; // prettier-ignore
}

export const viewDisks = (kernel: Kernel): DiskView[] => [...kernel.block.devices.values()].map(viewDisk);
