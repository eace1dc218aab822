/**
 * Encodes a directory as linear blocks of entries with file types (Documentation/filesystems/ext4/directory.rst).
 * Stock tools take linear directories on a dir_index file system: mke2fs itself writes them.
 */
import type { InodeEntry } from './entries.ts';
import { BLOCK_SIZE } from './layout.ts';

const FILE_TYPES = {
  file: 1,
  directory: 2,
  character: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
} as const satisfies Record<InodeEntry['type'], number>;

export interface DirectoryEntry {
  readonly name: string;
  readonly inode: number;
  readonly type: InodeEntry['type'];
}

const encoder = new TextEncoder();

/** All blocks of a directory in one array; at least `minBlocks` of them, empty ones last. */
export function encodeDirectory(entries: readonly DirectoryEntry[], minBlocks = 1): Uint8Array {
  const blocks: Uint8Array[] = [];
  let at = BLOCK_SIZE;
  let lastAt = 0;
  let view = new DataView(new ArrayBuffer(0));

  const closeBlock = () => {
    if (blocks.length > 0) view.setUint16(lastAt + 4, BLOCK_SIZE - lastAt, true);
  };
  const openBlock = () => {
    const block = new Uint8Array(BLOCK_SIZE);
    view = new DataView(block.buffer);
    blocks.push(block);
    at = 0;
    lastAt = 0;
    return block;
  };

  for (const entry of entries) {
    const name = encoder.encode(entry.name);
    const length = (8 + name.length + 3) & ~3;
    if (at + length > BLOCK_SIZE) {
      closeBlock();
      openBlock();
    }
    view.setUint32(at, entry.inode, true);
    view.setUint16(at + 4, length, true);
    view.setUint8(at + 6, name.length);
    view.setUint8(at + 7, FILE_TYPES[entry.type]);
    new Uint8Array(view.buffer).set(name, at + 8);
    lastAt = at;
    at += length;
  }
  closeBlock();
  while (blocks.length < minBlocks) {
    openBlock();
    closeBlock();
  }
  const all = new Uint8Array(blocks.length * BLOCK_SIZE);
  blocks.forEach((block, index) => all.set(block, index * BLOCK_SIZE));
  return all;
}
