// Durable writes without a journal's commit: fsync of overwritten data, block devices. A device counts completed writes and
// how many of them its last flush covered, so that waiting for a flush needs no state of its own.
import { EIO, type Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import { blockCompletions, submitFlush } from './queue.ts';
import type { BlockDevice } from './state.ts';
import { waitFor } from './wait.ts';

/** 0 once the device's first `writes` completed writes are durable; BLOCKED until then. */
export function ensureFlushed(kernel: Kernel, device: BlockDevice, writes: number): number | Failure {
  if (device.flushFailed) {
    device.flushFailed = false;
    return EIO;
  }
  if (device.flushedWrites >= writes) return 0;
  if (device.pendingFlush < writes) {
    device.pendingFlush = device.completedWrites;
    submitFlush(kernel, device, { kind: 'flush-done', device: device.name });
  }
  return waitFor(kernel, device.wait, 'blkdev_issue_flush');
}

blockCompletions['flush-done'] = (kernel, completion, error) => {
  const device = kernel.block.devices.get(String(completion['device']));
  if (device === undefined || error === 0) return;
  device.flushFailed = true;
  device.pendingFlush = device.flushedWrites;
};
