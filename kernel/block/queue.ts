// The way of a request: submit → (plug, merge) → I/O scheduler → device → interrupt → transfer → completions.
//
// The device works in virtual time: a request's end is computed from the profile when it is issued, and the board
// raises the device's interrupt then. Content moves between the host's backend and RAM at completion; what is written
// was copied at submission. A flush waits for all writes that were submitted before it (as jbd2 relies on).
import { EIO } from '../abi/errno.ts';
import { assert } from '../lib/assert.ts';
import { IRQ, raiseAt } from '../machine/devices/board.ts';
import { writeBytes } from '../machine/index.ts';
import { irqHandlers } from '../sched/irq.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { charge, now } from '../time/clock.ts';
import { printk } from '../trace/printk.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { deviceProfiles, positioningNs, transferNs } from './profiles.ts';
import { blockRqComplete, blockRqInsert, blockRqIssue, rwbsOf } from './request.ts';
import type { Bio, BioOptions, BlockCompletion, Request } from './request.ts';
import { ioSchedulers } from './schedulers/index.ts';
import type { IoScheduler } from './schedulers/scheduler.ts';
import { BLOCK_BYTES, SECTORS_PER_BLOCK, type BlockDevice } from './state.ts';
import { currentTask } from './wait.ts';

/** Largest request: 1 MiB, as virtio-blk's max_sectors. */
const MAX_REQUEST_BLOCKS = 256;

/** What follows a finished Bio, by kind; error is 0 or EIO. The folder that owns a kind adds it when it is loaded. */
export const blockCompletions: Record<
  string,
  (kernel: Kernel, completion: BlockCompletion, error: number) => void
> = {};

function schedulerOf(device: BlockDevice): IoScheduler {
  const scheduler = ioSchedulers[device.scheduler];
  assert(scheduler !== undefined, 'a device names a scheduler that exists');
  return scheduler;
}

/** Queues a read or a write of whole blocks. The caller has checked that they lie on the device. */
export function submitBio(kernel: Kernel, device: BlockDevice, bio: Bio, options: BioOptions = {}): void {
  charge(kernel, 'blockSubmit');
  const id = ++kernel.block.lastRequest;
  if (bio.write) device.openWrites.add(id);
  const isBarrier = options.preflush === true || options.fua === true;
  if (!isBarrier && merge(device, bio, id)) return;
  const task = currentTask(kernel);
  const request: Request = {
    id, kind: bio.write ? 'write' : 'read', first: bio.first, count: bio.count, bios: [bio],
    preflush: options.preflush ?? false, fua: options.fua ?? false, sync: options.sync ?? !bio.write,
    tid: task?.tid ?? 0, comm: task?.comm ?? '', submittedNs: now(kernel), issuedNs: 0, doneNs: 0, covers: 0,
  }; // prettier-ignore
  queueRequest(kernel, device, request);
}

/** Asks for everything written so far to become durable. */
export function submitFlush(kernel: Kernel, device: BlockDevice, completion: BlockCompletion): void {
  charge(kernel, 'blockSubmit');
  const task = currentTask(kernel);
  const bio = { write: false, first: 0, count: 0, frames: [], bytes: null, completion };
  queueRequest(kernel, device, {
    id: ++kernel.block.lastRequest, kind: 'flush', first: 0, count: 0, bios: [bio], preflush: true, fua: false, sync: true,
    tid: task?.tid ?? 0, comm: task?.comm ?? '', submittedNs: now(kernel), issuedNs: 0, doneNs: 0, covers: 0,
  }); // prettier-ignore
}

function queueRequest(kernel: Kernel, device: BlockDevice, request: Request): void {
  account(kernel, device);
  device.queuedRequests++;
  if (isOn(kernel, blockRqInsert)) emit(kernel, blockRqInsert, traceValues(device, request));
  if (request.preflush) device.barriers.push(request);
  else schedulerOf(device).insert(device.schedulerData, request);
  if (kernel.block.plugged === 0) dispatch(kernel, device);
}

/** Runs `submit` with the queues plugged, so that neighbouring requests merge before the device sees them. */
export function withPlug<T>(kernel: Kernel, submit: () => T): T {
  kernel.block.plugged++;
  const result = submit();
  kernel.block.plugged--;
  if (kernel.block.plugged === 0)
    for (const device of kernel.block.devices.values()) dispatch(kernel, device);
  return result;
}

/** Joins a Bio to a waiting request that it continues, in front or behind. */
function merge(device: BlockDevice, bio: Bio, id: number): boolean {
  for (const request of schedulerOf(device).waiting(device.schedulerData)) {
    if (
      (request.kind === 'write') !== bio.write ||
      request.fua ||
      request.count + bio.count > MAX_REQUEST_BLOCKS
    )
      continue;
    const isBehind = request.first + request.count === bio.first;
    if (!isBehind && bio.first + bio.count !== request.first) continue;
    if (isBehind) request.bios.push(bio);
    else {
      request.bios.unshift(bio);
      request.first = bio.first;
    }
    request.count += bio.count;
    if (bio.write) {
      device.openWrites.delete(id); // the request that it joined stands for it
      device.stats.writeMerges++;
    } else device.stats.readMerges++;
    return true;
  }
  return false;
}

/** Gives the device as much as it takes. */
export function dispatch(kernel: Kernel, device: BlockDevice): void {
  const profile = deviceProfiles[device.profile];
  while (device.inFlight.size < profile.queueDepth) {
    const request =
      takeBarrier(device) ?? schedulerOf(device).next(device.schedulerData, now(kernel), device.headBlock);
    if (request === undefined) return;
    issue(kernel, device, request);
  }
}

/** The first barrier, once every write that was submitted before it is complete. */
function takeBarrier(device: BlockDevice): Request | undefined {
  const [barrier] = device.barriers;
  if (barrier === undefined) return undefined;
  for (const id of device.openWrites) {
    if (id < barrier.id) return undefined;
    break;
  }
  return device.barriers.shift();
}

function issue(kernel: Kernel, device: BlockDevice, request: Request): void {
  const profile = deviceProfiles[device.profile];
  const { stats, channelFreeNs } = device;
  let channel = 0;
  channelFreeNs.forEach((freeNs, index) => {
    if (freeNs < (channelFreeNs[channel] ?? 0)) channel = index;
  });
  request.issuedNs = now(kernel);
  request.covers = device.completedWrites;
  const start = Math.max(request.issuedNs, channelFreeNs[channel] ?? 0);
  let serviceNs = transferNs(profile, request.kind, request.count);
  if (request.kind !== 'flush') {
    if (request.first === device.headBlock) stats.sequentialCount++;
    serviceNs += positioningNs(profile, device.headBlock, request.first, device.blockCount);
    if (request.preflush) serviceNs += profile.flushNs;
    if (request.fua) serviceNs += profile.flushNs;
    device.headBlock = request.first + request.count;
  }
  request.doneNs = start + serviceNs;
  channelFreeNs[channel] = request.doneNs;
  device.inFlight.set(request.id, request);
  if (isOn(kernel, blockRqIssue)) emit(kernel, blockRqIssue, traceValues(device, request));
  raiseAt(kernel.board, IRQ.block + device.index, request.doneNs);
}

/** The device's interrupt: completes every request whose time has come, in the order of their ends. */
export function handleBlockInterrupt(kernel: Kernel, device: BlockDevice): void {
  const due = [...device.inFlight.values()].filter((request) => request.doneNs <= now(kernel));
  due.sort((a, b) => a.doneNs - b.doneNs || a.id - b.id);
  for (const request of due) complete(kernel, device, request);
  dispatch(kernel, device);
}

function complete(kernel: Kernel, device: BlockDevice, request: Request): void {
  const error = transfer(kernel, device, request);
  account(kernel, device);
  device.inFlight.delete(request.id);
  device.openWrites.delete(request.id);
  if (request.kind === 'write') device.completedWrites += request.bios.length;
  if (request.preflush && error === 0) device.flushedWrites = Math.max(device.flushedWrites, request.covers);
  device.queuedRequests--;
  book(kernel, device, request, error);
  if (isOn(kernel, blockRqComplete))
    emit(kernel, blockRqComplete, { ...traceValues(device, request), error });
  for (const bio of request.bios) blockCompletions[bio.completion.kind]?.(kernel, bio.completion, error);
  wakeUp(kernel, device.wait);
}

/** Moves the content. The host may fail (its disk is full): the guest sees an I/O error. */
function transfer(kernel: Kernel, device: BlockDevice, request: Request): number {
  const backend = kernel.door.disks[device.name];
  if (backend === undefined) return EIO;
  try {
    if (request.preflush) backend.flush();
    if (request.kind === 'read') {
      const bytes = backend.readBlocks(request.first, request.count);
      let offset = 0;
      for (const bio of request.bios) {
        for (const frame of bio.frames) {
          writeBytes(kernel.machine, frame * BLOCK_BYTES, bytes.subarray(offset, offset + BLOCK_BYTES));
          offset += BLOCK_BYTES;
        }
      }
    } else if (request.kind === 'write') backend.writeBlocks(request.first, gather(request));
    if (request.fua) backend.flush();
    return 0;
  } catch {
    const sector = request.first * SECTORS_PER_BLOCK;
    printk(kernel, 3, `I/O error, dev ${device.name}, sector ${sector} op ${request.kind.toUpperCase()}`);
    return EIO;
  }
}

function gather(request: Request): Uint8Array {
  const [only] = request.bios;
  if (request.bios.length === 1 && only?.bytes) return only.bytes;
  const bytes = new Uint8Array(request.count * BLOCK_BYTES);
  let offset = 0;
  for (const bio of request.bios) {
    if (bio.bytes !== null) bytes.set(bio.bytes, offset);
    offset += bio.count * BLOCK_BYTES;
  }
  return bytes;
}

/** Books the time since the last change of the queue, for io_ticks and the average queue length. */
function account(kernel: Kernel, device: BlockDevice): void {
  const elapsed = Math.max(0, now(kernel) - device.accountedNs);
  if (device.queuedRequests > 0) device.stats.ioNs += elapsed;
  device.stats.weightedIoNs += elapsed * device.queuedRequests;
  device.accountedNs += elapsed;
}

function book(kernel: Kernel, device: BlockDevice, request: Request, error: number): void {
  const { stats } = device;
  const latencyNs = Math.max(0, now(kernel) - request.submittedNs);
  const sectors = request.count * SECTORS_PER_BLOCK;
  if (error !== 0) stats.errorCount++;
  const bucket = Math.min(31, Math.floor(Math.log2(Math.max(1, latencyNs / 1000))));
  if (request.kind === 'flush') {
    stats.flushCount++;
    stats.flushNs += latencyNs;
  } else if (request.kind === 'read') {
    stats.readCount++;
    stats.readSectors += sectors;
    stats.readNs += latencyNs;
    stats.readLatency[bucket] = (stats.readLatency[bucket] ?? 0) + 1;
  } else {
    stats.writeCount++;
    stats.writeSectors += sectors;
    stats.writeNs += latencyNs;
    stats.writeLatency[bucket] = (stats.writeLatency[bucket] ?? 0) + 1;
  }
}

function traceValues(device: BlockDevice, request: Request) {
  return {
    dev: device.device, sector: request.first * SECTORS_PER_BLOCK, nr_sector: request.count * SECTORS_PER_BLOCK,
    rwbs: rwbsOf(request), comm: request.comm,
  }; // prettier-ignore
}

/** Changes the I/O scheduler of a device; waiting requests move over. False when there is none of that name. */
export function setScheduler(kernel: Kernel, device: BlockDevice, name: string): boolean {
  const scheduler = ioSchedulers[name];
  if (scheduler === undefined) return false;
  const waiting = [...schedulerOf(device).waiting(device.schedulerData)].sort((a, b) => a.id - b.id);
  device.scheduler = name;
  device.schedulerData = scheduler.newData();
  for (const request of waiting) scheduler.insert(device.schedulerData, request);
  dispatch(kernel, device);
  return true;
}

const BLOCK_LINES = 4;
for (let index = 0; index < BLOCK_LINES; index++) {
  irqHandlers[IRQ.block + index] = {
    name: `virtio${index}-requests`,
    handle(kernel) {
      for (const device of kernel.block.devices.values())
        if (device.index === index) handleBlockInterrupt(kernel, device);
    },
  };
}
