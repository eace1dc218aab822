/** A disk as a raw file on the host, out and in, and its check by e2fsck. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChunkStore } from './chunks.ts';
import { readBlock, readBlocks, writeBlocks } from './disk.ts';
import type { DiskState } from './disk.ts';
import { explain, MachineFileError } from './errors.ts';
import { PAGE } from './schema.ts';

const STEP_BLOCKS = 256;

/** Writes the disk as a sparse file: blocks of zeros become holes. */
export function exportDisk(store: ChunkStore, disk: DiskState, path: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'w');
    ftruncateSync(fd, disk.blockCount * PAGE);
    for (let block = 0; block < disk.blockCount; block++) {
      const bytes = readBlock(store, disk, block);
      if (bytes !== null) writeSync(fd, bytes, 0, PAGE, block * PAGE);
    }
  } catch (error) {
    throw explain(error, path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Overwrites the disk with a raw file of at most its size; the rest of the disk becomes zeros. */
export function importDisk(store: ChunkStore, disk: DiskState, path: string, flushIfFull: () => void): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const { size } = fstatSync(fd);
    if (size > disk.blockCount * PAGE) {
      throw new MachineFileError(
        'invalid',
        `${path} has ${size} bytes, more than the ${disk.blockCount * PAGE} of the disk ${disk.name}.`,
      );
    }
    for (let first = 0; first < disk.blockCount; first += STEP_BLOCKS) {
      const count = Math.min(STEP_BLOCKS, disk.blockCount - first);
      const bytes = new Uint8Array(count * PAGE);
      readSync(fd, bytes, 0, bytes.length, first * PAGE);
      if (Buffer.compare(readBlocks(store, disk, first, count), bytes) !== 0) writeBlocks(disk, first, bytes);
      flushIfFull();
    }
  } catch (error) {
    throw explain(error, path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

export interface DiskCheck {
  readonly isClean: boolean;
  /** What e2fsck printed. */
  readonly report: string;
}

/** Runs `e2fsck -fn` on a copy of the disk; undefined where the host has no e2fsck. A journal that needs replay is replayed on the copy first. */
export function checkDisk(store: ChunkStore, disk: DiskState): DiskCheck | undefined {
  if (spawnSync('e2fsck', ['-V']).error !== undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'ringside-disk-'));
  try {
    const path = join(folder, `${disk.name}.img`);
    exportDisk(store, disk, path);
    const replay = spawnSync('e2fsck', ['-E', 'journal_only', '-p', path], { encoding: 'utf8' });
    const check = spawnSync('e2fsck', ['-fn', path], { encoding: 'utf8' });
    return {
      isClean: check.status === 0,
      report: `${replay.stdout}${check.stdout}${check.stderr}`.replaceAll(path, disk.name),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
