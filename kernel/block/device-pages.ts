// A block device's own page cache (page n is block n, the buffer cache of file systems), and the pages that mm swaps.
import { EIO, failed } from '../abi/errno.ts';
import { viewBytes } from '../machine/index.ts';
import { addressSpaceOperations, type AddressSpace } from '../mm/address-space.ts';
import { finishRead } from '../mm/page-cache.ts';
import { pageIoCompletions, swapBackends, type PageIo } from '../mm/page-io.ts';
import { finishWrite } from '../mm/write-back.ts';
import type { Kernel } from '../state.ts';
import { blockCompletions, submitBio, withPlug } from './queue.ts';
import { BLOCK_BYTES, type BlockDevice } from './state.ts';

/** Who wants to know when a block of a device's page cache goes to its place, and when it is there: journals. */
export interface BlockWatcher {
  submitted(kernel: Kernel, device: BlockDevice, block: number): void;
  written(kernel: Kernel, device: BlockDevice, block: number, ok: boolean): void;
}
export const blockWatchers: Record<string, BlockWatcher> = {};

function deviceOf(kernel: Kernel, space: AddressSpace): BlockDevice | undefined {
  return kernel.block.devices.get(String(space.host));
}

addressSpaceOperations['block'] = {
  owner: 'buffers',
  readPages(kernel, space, first, frames) {
    const device = deviceOf(kernel, space);
    if (device === undefined || first + frames.length > device.blockCount) return EIO;
    const completion = { kind: 'device-pages-read', device: device.name, first, count: frames.length };
    submitBio(kernel, device, { write: false, first, count: frames.length, frames, bytes: null, completion });
    return 0;
  },
  writePages(kernel, space, indexes) {
    const device = deviceOf(kernel, space);
    if (device === undefined) return EIO;
    withPlug(kernel, () => {
      const first = indexes[0] ?? 0;
      const bytes = new Uint8Array(indexes.length * BLOCK_BYTES);
      indexes.forEach((index, at) => {
        const frame = space.pages.get(index);
        if (frame !== undefined)
          bytes.set(viewBytes(kernel.machine, frame * BLOCK_BYTES, BLOCK_BYTES), at * BLOCK_BYTES);
        for (const watcher of Object.values(blockWatchers)) watcher.submitted(kernel, device, index);
      });
      const completion = { kind: 'device-pages-written', device: device.name, first, count: indexes.length };
      submitBio(kernel, device, { write: true, first, count: indexes.length, frames: [], bytes, completion });
    });
    return 0;
  },
  sizeOf: (kernel, space) => (deviceOf(kernel, space)?.blockCount ?? 0) * BLOCK_BYTES,
};

blockCompletions['device-pages-read'] = (kernel, completion, error) => {
  const device = kernel.block.devices.get(String(completion['device']));
  if (device === undefined) return;
  const first = Number(completion['first']);
  for (let index = first; index < first + Number(completion['count']); index++)
    finishRead(kernel, device.space, index, error === 0);
};

blockCompletions['device-pages-written'] = (kernel, completion, error) => {
  const device = kernel.block.devices.get(String(completion['device']));
  if (device === undefined) return;
  const first = Number(completion['first']);
  for (let block = first; block < first + Number(completion['count']); block++) {
    for (const watcher of Object.values(blockWatchers)) watcher.written(kernel, device, block, error === 0);
    finishWrite(kernel, device.space, block, error === 0);
  }
};

swapBackends['block'] = {
  submitPageIo(kernel, io) {
    const device = kernel.block.devices.get(io.device);
    if (device === undefined || io.block >= device.blockCount) return EIO;
    const bytes = io.write ? viewBytes(kernel.machine, io.frame * BLOCK_BYTES, BLOCK_BYTES).slice() : null;
    const frames = io.write ? [] : [io.frame];
    submitBio(kernel, device, {
      write: io.write,
      first: io.block,
      count: 1,
      frames,
      bytes,
      completion: { kind: 'page-io', io },
    });
    return 0;
  },
};

blockCompletions['page-io'] = (kernel, completion, error) => {
  const io = completion['io'] as PageIo; // as submitted by submitPageIo
  pageIoCompletions[io.done]?.(kernel, io, !failed(error));
};
