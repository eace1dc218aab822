/**
 * The RAM of a snapshot: for each page frame where its page is stored. Frames of zeros are not in the map.
 * Saving compares each frame in use with the frame of the last save by hash, and looks only the others up.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ChunkStore, ChunkWriter, Location } from './chunks.ts';
import { changeUses, putPage, unpackChunk } from './chunks.ts';
import { damaged } from './errors.ts';
import { HASH_WORDS, STAGED_PAGES } from './page-hash.ts';
import { MAX_RAM_BYTES, PAGE, ZEROS } from './schema.ts';

/** Where each frame's page is: chunk 0 for zeros. */
export interface RamMap {
  readonly chunks: Uint32Array;
  readonly slots: Uint8Array;
}

/** What the last save or load knew, so that the next save finds what has changed. */
export interface LastRam extends RamMap {
  readonly hashes: Uint32Array;
}

const MAP_LEVEL = 1;

/** Whether a frame is in use: bit n%8 of byte n/8. */
export type FramesInUse = Uint8Array;

export function storeRam(
  writer: ChunkWriter,
  ram: Uint8Array,
  inUse: FramesInUse | undefined,
  last: LastRam | undefined,
): LastRam {
  const { hasher, uses } = writer.store;
  if (hasher === undefined) throw new Error('An image has no RAM to save.');
  const frameCount = Math.floor(ram.length / PAGE);
  const map: LastRam = {
    chunks: new Uint32Array(frameCount),
    slots: new Uint8Array(frameCount),
    hashes: new Uint32Array(frameCount * HASH_WORDS),
  };
  const known = last?.chunks.length === frameCount ? last : undefined;
  const location: Location = { chunk: 0, slot: 0 };
  const frames = new Uint32Array(STAGED_PAGES);
  let count = 0;

  const isAsBefore = (frame: number, hashes: Uint32Array, at: number): boolean => {
    if (known === undefined) return false;
    const own = frame * HASH_WORDS;
    return (
      known.hashes[own] === hashes[at] &&
      known.hashes[own + 1] === hashes[at + 1] &&
      known.hashes[own + 2] === hashes[at + 2] &&
      known.hashes[own + 3] === hashes[at + 3] &&
      uses.has(known.chunks[frame] ?? 0)
    );
  };
  const storeBatch = () => {
    const hashes = hasher.hashStaged(count);
    for (let index = 0; index < count; index++) {
      const frame = frames[index] ?? 0;
      const at = index * HASH_WORDS;
      for (let word = 0; word < HASH_WORDS; word++)
        map.hashes[frame * HASH_WORDS + word] = hashes[at + word] ?? 0;
      if (known !== undefined && isAsBefore(frame, hashes, at)) {
        map.chunks[frame] = known.chunks[frame] ?? 0;
        map.slots[frame] = known.slots[frame] ?? 0;
        continue;
      }
      putPage(writer, hasher.stage, index * PAGE, hashes, at, location);
      map.chunks[frame] = location.chunk === ZEROS ? 0 : location.chunk;
      map.slots[frame] = location.slot;
    }
    count = 0;
  };

  const isUsed = (frame: number) =>
    inUse === undefined || ((inUse[frame >> 3] ?? 0) & (1 << (frame & 7))) !== 0;
  let frame = 0;
  while (frame < frameCount) {
    if (inUse !== undefined && (frame & 7) === 0 && inUse[frame >> 3] === 0) {
      frame += 8;
      continue;
    }
    // A run of frames in use, as long as there is room for it on the stage, is copied at once.
    const first = frame;
    while (frame < frameCount && frame - first < STAGED_PAGES - count && isUsed(frame)) frame++;
    if (frame === first) {
      frame++;
      continue;
    }
    hasher.stage.set(ram.subarray(first * PAGE, frame * PAGE), count * PAGE);
    for (let run = first; run < frame; run++) frames[count++] = run;
    if (count === STAGED_PAGES) storeBatch();
  }
  storeBatch();
  return map;
}

/** The chunks that a RAM map names, in order; a snapshot holds each of them once. */
export function chunksOf(map: RamMap): Uint32Array {
  const chunks = new Set<number>();
  let last = 0;
  for (const chunk of map.chunks) {
    if (chunk === last) continue; // neighbours mostly lie together
    last = chunk;
    if (chunk !== 0) chunks.add(chunk);
  }
  return Uint32Array.from(chunks).sort();
}

export function holdChunks(writer: ChunkWriter, chunks: Uint32Array, by: 1 | -1): void {
  for (const chunk of chunks) changeUses(writer, chunk, by);
}

export function encodeRamMap(map: RamMap): Uint8Array {
  const bytes = Buffer.concat([
    Buffer.from(map.chunks.buffer, map.chunks.byteOffset, map.chunks.byteLength),
    map.slots,
  ]);
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: MAP_LEVEL } });
}

export function decodeRamMap(bytes: Uint8Array, ramBytes: number): RamMap {
  const frameCount = Math.floor(Math.min(ramBytes, MAX_RAM_BYTES) / PAGE);
  let map: Buffer;
  try {
    map = zstdDecompressSync(bytes, { maxOutputLength: frameCount * 5 });
  } catch {
    throw damaged('the RAM map of a snapshot does not unpack');
  }
  if (map.length !== frameCount * 5) throw damaged('the RAM map of a snapshot has a wrong size');
  const copy = Uint8Array.from(map);
  return { chunks: new Uint32Array(copy.buffer, 0, frameCount), slots: copy.subarray(4 * frameCount) };
}

/**
 * Fills `ram` with the pages of a map, chunk by chunk, so that each is unpacked once. `isZeroed` says that the
 * RAM is fresh: writing zeros into it would only make the host provide memory for frames that nobody uses.
 */
export function loadRam(store: ChunkStore, map: RamMap, ram: Uint8Array, isZeroed: boolean): LastRam {
  const frameCount = map.chunks.length;
  if (ram.length !== frameCount * PAGE) throw damaged('a snapshot has another RAM size than its machine');
  const hashes = new Uint32Array(frameCount * HASH_WORDS);
  const framesOf = new Map<number, number[]>();
  map.chunks.forEach((chunk, frame) => {
    if (chunk === 0) {
      if (!isZeroed) ram.fill(0, frame * PAGE, (frame + 1) * PAGE);
      return;
    }
    const frames = framesOf.get(chunk);
    if (frames === undefined) framesOf.set(chunk, [frame]);
    else frames.push(frame);
  });
  for (const [chunk, frames] of framesOf) {
    const unpacked = unpackChunk(store, chunk);
    for (const frame of frames) {
      const slot = map.slots[frame] ?? 0;
      const page = unpacked.pages.subarray(slot * PAGE, (slot + 1) * PAGE);
      if (page.length < PAGE) throw damaged(`chunk ${chunk} has no page ${slot}`);
      ram.set(page, frame * PAGE);
      const hash = unpacked.hashes?.subarray(slot * HASH_WORDS, (slot + 1) * HASH_WORDS);
      if (hash !== undefined) hashes.set(hash, frame * HASH_WORDS);
    }
  }
  return { ...map, hashes };
}
