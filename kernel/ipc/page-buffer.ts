// A queue of bytes in page frames: what pipes and sockets hold between a writer and a reader. Frames come from the buddy
// allocator when bytes arrive and go back when the last byte of a page has been read.
import { EFAULT, failed, type Failure } from '../abi/errno.ts';
import { moveToUser } from '../fs/vfs/transfer.ts';
import type { Transfer } from '../fs/vfs/inode.ts';
import { viewBytes, writeBytes } from '../machine/index.ts';
import { allocateUserFrame } from '../mm/allocate.ts';
import { freeFrames } from '../mm/buddy.ts';
import { FRAME_BYTES } from '../mm/physical.ts';
import type { Kernel } from '../state.ts';

export interface PageBuffer {
  readonly owner: 'pipe' | 'socket';
  frames: number[];
  /** Offset of the oldest byte in the first frame. */
  first: number;
  length: number;
}

export const newPageBuffer = (owner: PageBuffer['owner']): PageBuffer => ({
  owner,
  frames: [],
  first: 0,
  length: 0,
});

/** Free bytes in the last frame. */
export function tailRoom(buffer: PageBuffer): number {
  return buffer.frames.length * FRAME_BYTES - buffer.first - buffer.length;
}

/** Adds bytes at the end; with nothing added ENOMEM, or BLOCKED while memory is being freed. */
export function appendBytes(kernel: Kernel, buffer: PageBuffer, bytes: Uint8Array): number | Failure {
  const before = buffer.frames.length;
  for (let room = tailRoom(buffer); room < bytes.length; room += FRAME_BYTES) {
    const frame = allocateUserFrame(kernel, buffer.owner);
    if (failed(frame)) {
      while (buffer.frames.length > before) freeFrames(kernel, buffer.frames.pop() ?? 0, 0);
      return frame;
    }
    buffer.frames.push(frame);
  }
  let at = buffer.first + buffer.length;
  for (let done = 0; done < bytes.length;) {
    const offset = at % FRAME_BYTES;
    const count = Math.min(FRAME_BYTES - offset, bytes.length - done);
    const frame = buffer.frames[Math.floor(at / FRAME_BYTES)] ?? 0;
    const part = count === bytes.length ? bytes : bytes.subarray(done, done + count);
    writeBytes(kernel.machine, frame * FRAME_BYTES + offset, part);
    done += count;
    at += count;
  }
  buffer.length += bytes.length;
  return bytes.length;
}

/**
 * Copies `count` bytes from `from` bytes behind the oldest into a transfer and leaves them in the queue. Gives the count,
 * fewer when the transfer faults in between, or the Failure when nothing could be moved.
 */
export function copyBytes(
  kernel: Kernel, buffer: PageBuffer, from: number, count: number, into: Transfer, intoOffset: number,
): number | Failure {
  const end = Math.min(count, buffer.length - from);
  let at = buffer.first + from;
  for (let done = 0; done < end; ) {
    const offset = at % FRAME_BYTES;
    const length = Math.min(FRAME_BYTES - offset, end - done);
    const frame = buffer.frames[Math.floor(at / FRAME_BYTES)] ?? 0;
    const view = viewBytes(kernel.machine, frame * FRAME_BYTES + offset, length);
    const moved = moveToUser(kernel, into, intoOffset + done, view);
    if (failed(moved)) return done > 0 && moved === EFAULT ? done : moved;
    done += length;
    at += length;
  }
  return end;
} // prettier-ignore

/** Removes the oldest bytes and frees the frames that they leave empty. */
export function dropBytes(kernel: Kernel, buffer: PageBuffer, count: number): void {
  buffer.first += count;
  buffer.length -= count;
  const empty = buffer.length === 0 ? buffer.frames.length : Math.floor(buffer.first / FRAME_BYTES);
  for (let i = 0; i < empty; i++) freeFrames(kernel, buffer.frames.shift() ?? 0, 0);
  buffer.first = buffer.length === 0 ? 0 : buffer.first % FRAME_BYTES;
}

export function clearBuffer(kernel: Kernel, buffer: PageBuffer): void {
  dropBytes(kernel, buffer, buffer.length);
}
