// BlockState: the disks, their queues of requests and what they counted. A device's content lies with the host
// (kernel.door.disks) in blocks of 4096 bytes; times come from its profile.
import type { AddressSpace } from '../mm/address-space.ts';
import { newAddressSpace } from '../mm/address-space.ts';
import { makeDevice } from '../abi/device.ts';
import type { BootConfig, DiskBackend } from '../state.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';
import { deviceProfiles } from './profiles.ts';
import type { Request } from './request.ts';
import { ioSchedulers } from './schedulers/index.ts';

export const BLOCK_BYTES = 4096;
export const SECTORS_PER_BLOCK = BLOCK_BYTES / 512;
/** virtio-blk has a dynamic major; 254 is what a stock kernel gives it first. */
export const VIRTIO_BLK_MAJOR = 254;
const MINORS_PER_DISK = 16;

/** The fields of /proc/diskstats, in 512-byte sectors and virtual ns. */
export interface DiskStats {
  readCount: number;
  readMerges: number;
  readSectors: number;
  readNs: number;
  writeCount: number;
  writeMerges: number;
  writeSectors: number;
  writeNs: number;
  ioNs: number;
  weightedIoNs: number;
  flushCount: number;
  flushNs: number;
  /** Requests that start where the one before ended. */
  sequentialCount: number;
  errorCount: number;
  /** Latencies of requests from submission to completion, counted by floor(log2(µs)), 0 to 31. */
  readLatency: number[];
  writeLatency: number[];
}

export interface BlockDevice {
  readonly name: string;
  readonly index: number;
  /** makeDevice(major, minor) */
  readonly device: number;
  readonly blockCount: number;
  profile: keyof typeof deviceProfiles;
  scheduler: string;
  /** The scheduler's queues: their shape is its own. */
  schedulerData: unknown;
  /** Requests that the device works on, by id. */
  inFlight: Map<number, Request>;
  /** Writes submitted and not yet complete, in order of submission. */
  openWrites: Set<number>;
  /** Flushes and writes with a flush that wait for earlier writes. */
  barriers: Request[];
  queuedRequests: number;
  /** Block behind the last one served, where the heads are. */
  headBlock: number;
  /** When each of the device's channels is free again. */
  channelFreeNs: number[];
  /** Last moment up to which ioNs and weightedIoNs are booked. */
  accountedNs: number;
  readonly stats: DiskStats;
  /** The device's own page cache: page n is block n. */
  readonly space: AddressSpace;
  /** Tasks that wait for room in the queue or for a request of their own. */
  readonly wait: WaitQueue;
  /** Writes completed since power-on, how many of them are durable, and how many a flush on its way will cover. */
  completedWrites: number;
  flushedWrites: number;
  pendingFlush: number;
  flushFailed: boolean;
  /** Users that keep others out: a mounted file system or a swap area; '' for none. */
  holder: string;
}

export interface BlockState {
  devices: Map<string, BlockDevice>;
  lastRequest: number;
  /** While above 0, new requests gather in the schedulers' queues, so that they merge. */
  plugged: number;
}

const newStats = (): DiskStats => ({
  readCount: 0, readMerges: 0, readSectors: 0, readNs: 0, writeCount: 0, writeMerges: 0, writeSectors: 0, writeNs: 0,
  ioNs: 0, weightedIoNs: 0, flushCount: 0, flushNs: 0, sequentialCount: 0, errorCount: 0,
  readLatency: Array.from({ length: 32 }, () => 0), writeLatency: Array.from({ length: 32 }, () => 0),
}); // prettier-ignore

function newDevice(
  name: string,
  index: number,
  blockCount: number,
  profileName: BootConfig['diskProfile'],
): BlockDevice {
  const profile = deviceProfiles[profileName];
  const scheduler = profile.defaultScheduler;
  return {
    name, index, device: makeDevice(VIRTIO_BLK_MAJOR, index * MINORS_PER_DISK), blockCount, profile: profileName, scheduler,
    schedulerData: ioSchedulers[scheduler]?.newData() ?? null, inFlight: new Map(), openWrites: new Set(), barriers: [],
    queuedRequests: 0, headBlock: 0, channelFreeNs: Array.from({ length: profile.channels }, () => 0), accountedNs: 0,
    stats: newStats(), space: newAddressSpace('block', name), wait: newWaitQueue(),
    completedWrites: 0, flushedWrites: 0, pendingFlush: 0, flushFailed: false, holder: '',
  }; // prettier-ignore
}

/** A device for each disk of the door, in the order of their names. */
export function newBlockState(config: BootConfig, disks: Readonly<Record<string, DiskBackend>>): BlockState {
  const devices = new Map<string, BlockDevice>();
  const names = Object.keys(disks).sort();
  names.forEach((name, index) => {
    const disk = disks[name];
    if (disk !== undefined) devices.set(name, newDevice(name, index, disk.blockCount, config.diskProfile));
  });
  return { devices, lastRequest: 0, plugged: 0 };
}
