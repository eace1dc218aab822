// Moving bytes between the kernel and what a read or write was given: user memory or a kernel buffer.
import type { Failure } from '../../abi/errno.ts';
import { viewBytes, writeBytes } from '../../machine/index.ts';
import { copyFromUser, copyToUser, readUser, writeUser } from '../../mm/user-memory.ts';
import type { Kernel } from '../../state.ts';
import type { Transfer } from './inode.ts';

export function transferLength(transfer: Transfer): number {
  return transfer.kind === 'user' ? transfer.length : transfer.bytes.length;
}

/** Puts bytes at `offset` of the transfer. May give BLOCKED or EFAULT with nothing moved. */
export function moveToUser(
  kernel: Kernel,
  transfer: Transfer,
  offset: number,
  bytes: Uint8Array,
): number | Failure {
  if (transfer.kind === 'kernel') {
    transfer.bytes.set(bytes, offset);
    return bytes.length;
  }
  return writeUser(kernel, transfer.task, transfer.address + offset, bytes);
}

/** As moveToUser, from RAM: nothing is copied in between. */
export function moveFrameToUser(
  kernel: Kernel,
  transfer: Transfer,
  offset: number,
  physical: number,
  length: number,
): number | Failure {
  if (transfer.kind === 'user')
    return copyToUser(kernel, transfer.task, transfer.address + offset, physical, length);
  transfer.bytes.set(viewBytes(kernel.machine, physical, length), offset);
  return length;
}

/** As moveFromUser, into RAM. */
export function moveUserToFrame(
  kernel: Kernel,
  transfer: Transfer,
  offset: number,
  physical: number,
  length: number,
): number | Failure {
  if (transfer.kind === 'user')
    return copyFromUser(kernel, transfer.task, transfer.address + offset, physical, length);
  writeBytes(kernel.machine, physical, transfer.bytes.subarray(offset, offset + length));
  return length;
}

/** Takes `length` bytes at `offset` of the transfer. May give BLOCKED or EFAULT. */
export function moveFromUser(
  kernel: Kernel,
  transfer: Transfer,
  offset: number,
  length: number,
): Uint8Array | Failure {
  if (transfer.kind === 'kernel') return transfer.bytes.subarray(offset, offset + length);
  return readUser(kernel, transfer.task, transfer.address + offset, length);
}
