// A queue of bytes in page frames: what pipes and sockets hold between a writer and a reader. Frames come from the buddy
// allocator when bytes arrive and go back when the last byte of a page has been read.
import { EFAULT, failed, type Failure } from '../abi/errno.ts';
import { moveFrameToUser, moveUserToFrame } from '../fs/vfs/transfer.ts';
import type { Transfer } from '../fs/vfs/inode.ts';
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
  return appendFrom(kernel, buffer, { kind: 'kernel', bytes }, 0, bytes.length);
}

/** Adds `count` bytes of a transfer, from `offset` on, all or none: EFAULT too leaves nothing behind. */
export function appendFrom(
  kernel: Kernel,
  buffer: PageBuffer,
  from: Transfer,
  offset: number,
  count: number,
): number | Failure {
  const before = buffer.frames.length;
  for (let room = tailRoom(buffer); room < count; room += FRAME_BYTES) {
    const frame = allocateUserFrame(kernel, buffer.owner);
    if (failed(frame)) {
      cutFrames(kernel, buffer, before);
      return frame;
    }
    buffer.frames.push(frame);
  }
  let at = buffer.first + buffer.length;
  for (let done = 0; done < count;) {
    const inPage = at % FRAME_BYTES;
    const length = Math.min(FRAME_BYTES - inPage, count - done);
    const frame = buffer.frames[Math.floor(at / FRAME_BYTES)] ?? 0;
    const moved = moveUserToFrame(kernel, from, offset + done, frame * FRAME_BYTES + inPage, length);
    if (failed(moved)) {
      cutFrames(kernel, buffer, before);
      return moved;
    }
    done += length;
    at += length;
  }
  buffer.length += count;
  return count;
}

function cutFrames(kernel: Kernel, buffer: PageBuffer, left: number): void {
  while (buffer.frames.length > left) freeFrames(kernel, buffer.frames.pop() ?? 0, 0);
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
    const moved = moveFrameToUser(kernel, into, intoOffset + done, frame * FRAME_BYTES + offset, length);
    if (failed(moved)) return done > 0 && moved === EFAULT ? done : moved;
    done += length;
    at += length;
  }
  return end;
} // prettier-ignore

/** Removes the oldest bytes and frees the frames that they leave empty; a pipe keeps one for its next bytes (tmp_page). */
export function dropBytes(kernel: Kernel, buffer: PageBuffer, count: number): void {
  buffer.first += count;
  buffer.length -= count;
  if (buffer.length === 0) {
    cutFrames(kernel, buffer, buffer.owner === 'pipe' ? 1 : 0);
    buffer.first = 0;
    return;
  }
  const empty = Math.floor(buffer.first / FRAME_BYTES);
  for (let i = 0; i < empty; i++) freeFrames(kernel, buffer.frames.shift() ?? 0, 0);
  buffer.first %= FRAME_BYTES;
}

export function clearBuffer(kernel: Kernel, buffer: PageBuffer): void {
  buffer.first = 0;
  buffer.length = 0;
  cutFrames(kernel, buffer, 0);
}
