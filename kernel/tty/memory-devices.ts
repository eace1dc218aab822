// Character devices of major 1 (mem(4), null(4), random(4)): null, zero, full, random, urandom, kmsg. /dev/mem and
// /dev/port are not there: guest programs never see physical memory.
import { EAGAIN, EINVAL, ENOSPC, ENOTTY, EPERM, EPIPE, ESPIPE, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { O, SEEK } from '../abi/open-flags.ts';
import { POLLERR, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM } from '../abi/poll.ts';
import { fileOperations, type FileOperations, type Transfer } from '../fs/vfs/inode.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { moveFromUser, moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { bytesOfLatin1, latin1 } from '../lib/bytes.ts';
import { randomFill } from '../lib/random.ts';
import { loadUser32, storeUser32 } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn, wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { logSinks, printk } from '../trace/printk.ts';

export const MEM_MAJOR = 1;

/** By minor: the name in /dev, which is also that of the file operations, and the mode of the node. */
export const memoryDevices: Readonly<Record<number, { readonly name: string; readonly mode: number }>> = {
  3: { name: 'null', mode: 0o666 },
  5: { name: 'zero', mode: 0o666 },
  7: { name: 'full', mode: 0o666 },
  8: { name: 'random', mode: 0o666 },
  9: { name: 'urandom', mode: 0o666 },
  11: { name: 'kmsg', mode: 0o644 },
};

const CHUNK_BYTES = 65_536;
const zeros = new Uint8Array(CHUNK_BYTES);

const always = (): { events: number; queues: readonly [] } => ({
  events: POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM,
  queues: [],
});
const seekNowhere = (): number => 0;

function fill(kernel: Kernel, into: Transfer, make: (length: number) => Uint8Array): number | Failure {
  const count = transferLength(into);
  for (let done = 0; done < count; done += CHUNK_BYTES) {
    const moved = moveToUser(kernel, into, done, make(Math.min(CHUNK_BYTES, count - done)));
    if (failed(moved)) return moved;
  }
  return count;
}

const swallow: FileOperations['write'] = (_kernel, _task, _file, from) => transferLength(from);
const readZeros: FileOperations['read'] = (kernel, _task, _file, into) =>
  fill(kernel, into, (length) => zeros.subarray(0, length));

fileOperations['null'] = { read: () => 0, write: swallow, seek: seekNowhere, poll: always };
fileOperations['zero'] = { read: readZeros, write: swallow, seek: seekNowhere, poll: always, mmap: () => 0 };
fileOperations['full'] = { read: readZeros, write: () => ENOSPC, seek: seekNowhere, poll: always };

const RNDGETENTCNT = 0x8004_5200;
const RNDADDTOENTCNT = 0x4004_5201;
const RNDADDENTROPY = 0x4008_5203;
const RNDRESEEDCRNG = 0x5207;
const ENTROPY_BITS = 256;

const randomOperations: FileOperations = {
  read(kernel, _task, _file, into) {
    return fill(kernel, into, (length) => {
      const bytes = new Uint8Array(length);
      randomFill(kernel.random, bytes);
      return bytes;
    });
  },
  // Deviation: what programs write is not mixed in, so that runs repeat by their seed.
  write: swallow,
  seek: seekNowhere,
  poll: always,
  ioctl(kernel, task, _file, request, argument) {
    if (request === RNDGETENTCNT) return storeUser32(kernel, task, argument, ENTROPY_BITS);
    if (request !== RNDADDTOENTCNT && request !== RNDADDENTROPY && request !== RNDRESEEDCRNG) return EINVAL;
    if ((task.credentials.effective & capabilityBit(CAP.SYS_ADMIN)) === 0n) return EPERM;
    if (request === RNDRESEEDCRNG) return 0;
    const bits = loadUser32(kernel, task, argument);
    if (failed(bits)) return bits;
    return (bits | 0) < 0 ? EINVAL : 0;
  },
};
fileOperations['random'] = randomOperations;
fileOperations['urandom'] = randomOperations;

/** An open /dev/kmsg: the sequence number of the record that is read next. */
interface LogReader {
  next: number;
}

const readerOf = (file: OpenFile): LogReader => file.data as LogReader;

fileOperations['kmsg'] = {
  open(kernel, _task, file) {
    file.data = { next: firstSequence(kernel) } satisfies LogReader;
    return 0;
  },
  read: readLog,
  write: writeLog,
  seek(kernel, file, offset, whence) {
    if (offset !== 0) return ESPIPE;
    if (whence !== SEEK.SET && whence !== SEEK.END && whence !== SEEK.DATA) return EINVAL;
    readerOf(file).next = whence === SEEK.END ? kernel.log.nextSequence : firstSequence(kernel);
    return 0;
  },
  poll(kernel, file) {
    const { next } = readerOf(file);
    let events = 0;
    if (next < kernel.log.nextSequence) events |= POLLIN | POLLRDNORM;
    if (next < firstSequence(kernel)) events |= POLLERR | POLLPRI;
    return { events, queues: [kernel.tty.logReaders] };
  },
  ioctl: () => ENOTTY,
};

const firstSequence = (kernel: Kernel): number => kernel.log.lines[0]?.sequence ?? kernel.log.nextSequence;

/** One record a read: "priority,sequence,microseconds,-;text" (Documentation/ABI/testing/dev-kmsg). */
function readLog(kernel: Kernel, task: Task, file: OpenFile, into: Transfer): number | Failure {
  const reader = readerOf(file);
  if (reader.next < firstSequence(kernel)) {
    reader.next = firstSequence(kernel);
    return EPIPE;
  }
  const line = kernel.log.lines.find(({ sequence }) => sequence === reader.next);
  if (line === undefined)
    return file.flags & O.NONBLOCK ? EAGAIN : sleepOn(kernel, task, kernel.tty.logReaders, 'devkmsg_read');
  const text = bytesOfLatin1(
    `${line.level},${line.sequence},${Math.floor(line.atNs / 1000)},-;${line.text}\n`,
  );
  if (text.length > transferLength(into)) return EINVAL;
  const moved = moveToUser(kernel, into, 0, text);
  if (failed(moved)) return moved;
  reader.next++;
  return text.length;
}

const LOG_LINE_BYTES = 992;
const DEFAULT_LEVEL = 4;

/** Text of a program's for the log; "<N>" in front gives level and facility. */
function writeLog(kernel: Kernel, _task: Task, _file: OpenFile, from: Transfer): number | Failure {
  const count = transferLength(from);
  if (count > LOG_LINE_BYTES) return EINVAL;
  const bytes = moveFromUser(kernel, from, 0, count);
  if (failed(bytes)) return bytes;
  const [, given, text = ''] = /^(?:<(\d{1,4})>)?([^]*)$/.exec(latin1(bytes)) ?? [];
  printk(kernel, given === undefined ? DEFAULT_LEVEL : Number(given) & 7, text.replace(/\n$/, ''));
  return count;
}

logSinks['kmsg'] = (kernel) => {
  wakeUp(kernel, kernel.tty.logReaders);
};
