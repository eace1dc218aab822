// An opened block device: its bytes through the device's page cache, and the BLK… requests of ioctl(2).
import { EINVAL, ENOSPC, ENOTTY, ENXIO, failed, type Failure } from '../../abi/errno.ts';
import { put64 } from '../../lib/bytes.ts';
import { ensureFlushed } from '../../block/flush.ts';
import { BLOCK_BYTES, type BlockDevice } from '../../block/state.ts';
import { deviceProfiles } from '../../block/profiles.ts';
import { writeBackSpace } from '../../mm/write-back.ts';
import { writeUser } from '../../mm/user-memory.ts';
import type { Kernel } from '../../state.ts';
import { findBlockDevice } from './devices.ts';
import { readCached, writeCached } from './file-io.ts';
import { fileOperations } from './inode.ts';
import type { OpenFile } from './open-file.ts';
import { transferLength } from './transfer.ts';

const BLK = {
  ROSET: 0x125d, ROGET: 0x125e, GETSIZE: 0x1260, FLSBUF: 0x1261, SSZGET: 0x1268, BSZGET: 0x80081270, GETSIZE64: 0x80081272,
  IOMIN: 0x1278, IOOPT: 0x1279, PBSZGET: 0x127b, ROTATIONAL: 0x127e,
} as const; // prettier-ignore

function diskOf(kernel: Kernel, file: OpenFile): BlockDevice | Failure {
  return findBlockDevice(kernel, file.inode.device) ?? ENXIO;
}

/** Number of a request's answer, and its width in bytes. */
function answer(disk: BlockDevice, request: number): { value: number; bytes: 2 | 4 | 8 } | undefined {
  const sizeBytes = disk.blockCount * BLOCK_BYTES;
  switch (request) {
    case BLK.ROGET: return { value: 0, bytes: 4 };
    case BLK.GETSIZE: return { value: sizeBytes / 512, bytes: 8 };
    case BLK.GETSIZE64: return { value: sizeBytes, bytes: 8 };
    case BLK.SSZGET: return { value: 512, bytes: 4 };
    case BLK.PBSZGET: case BLK.IOMIN: return { value: BLOCK_BYTES, bytes: 4 };
    case BLK.IOOPT: return { value: 0, bytes: 4 };
    case BLK.BSZGET: return { value: BLOCK_BYTES, bytes: 4 };
    case BLK.ROTATIONAL: return { value: deviceProfiles[disk.profile].rotational ? 1 : 0, bytes: 2 };
    default: return undefined;
  } // prettier-ignore
}

fileOperations['block-file'] = {
  read(kernel, task, file, into, position) {
    const disk = diskOf(kernel, file);
    if (failed(disk)) return disk;
    return readCached(kernel, task, file, disk.space, disk.blockCount * BLOCK_BYTES, into, position);
  },
  write(kernel, task, file, from, position) {
    const disk = diskOf(kernel, file);
    if (failed(disk)) return disk;
    const size = disk.blockCount * BLOCK_BYTES;
    const length = Math.min(transferLength(from), size - position);
    if (length <= 0) return transferLength(from) === 0 ? 0 : ENOSPC;
    return writeCached(
      kernel,
      task,
      disk.space,
      () => size,
      from,
      position,
      length,
      (_at, count) => count,
    );
  },
  ioctl(kernel, task, file, request, argument) {
    const disk = diskOf(kernel, file);
    if (failed(disk)) return disk;
    if (request === BLK.FLSBUF) return writeBackSpace(kernel, disk.space, { wait: true });
    const found = answer(disk, request);
    if (found === undefined) return request === BLK.ROSET ? EINVAL : ENOTTY;
    const bytes = new Uint8Array(found.bytes);
    if (found.bytes === 8) put64(bytes, 0, found.value);
    else
      bytes.set(new Uint8Array([found.value & 255, (found.value >> 8) & 255, 0, 0]).subarray(0, found.bytes));
    const written = writeUser(kernel, task, argument, bytes);
    return failed(written) ? written : 0;
  },
  fsync(kernel, file) {
    const disk = diskOf(kernel, file);
    if (failed(disk)) return disk;
    const written = writeBackSpace(kernel, disk.space, { wait: true });
    return failed(written) ? written : ensureFlushed(kernel, disk, disk.completedWrites);
  },
};
