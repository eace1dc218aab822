/** Finds a page by its 128-bit hash: open addressing in typed arrays, since millions of pages may be known. */
import { HASH_WORDS } from './page-hash.ts';

export interface PageIndex {
  count: number;
  hashes: Uint32Array;
  /** 0 marks an empty place; no chunk has this number. */
  chunks: Uint32Array;
  slots: Uint8Array;
}

const MIN_PLACES = 1024;

export function newPageIndex(places = MIN_PLACES): PageIndex {
  return {
    count: 0,
    hashes: new Uint32Array(places * HASH_WORDS),
    chunks: new Uint32Array(places),
    slots: new Uint8Array(places),
  };
}

/** The place of a hash, or the empty place where it belongs. */
function placeOf(index: PageIndex, hashes: Uint32Array, at: number): number {
  const mask = index.chunks.length - 1;
  let place = (hashes[at] ?? 0) & mask;
  while (index.chunks[place] !== 0) {
    const key = place * HASH_WORDS;
    if (
      index.hashes[key] === hashes[at] &&
      index.hashes[key + 1] === hashes[at + 1] &&
      index.hashes[key + 2] === hashes[at + 2] &&
      index.hashes[key + 3] === hashes[at + 3]
    ) {
      return place;
    }
    place = (place + 1) & mask;
  }
  return place;
}

/** The place of the page whose hash is the four words at `at`; -1 when it is not known. */
export function findPage(index: PageIndex, hashes: Uint32Array, at: number): number {
  const place = placeOf(index, hashes, at);
  return index.chunks[place] === 0 ? -1 : place;
}

/** Adds a page, or gives a known hash its new location. */
export function addPage(
  index: PageIndex,
  hashes: Uint32Array,
  at: number,
  chunk: number,
  slot: number,
): void {
  if ((index.count + 1) * 3 > index.chunks.length * 2) grow(index);
  const place = placeOf(index, hashes, at);
  if (index.chunks[place] === 0) index.count++;
  index.hashes.set(hashes.subarray(at, at + HASH_WORDS), place * HASH_WORDS);
  index.chunks[place] = chunk;
  index.slots[place] = slot;
}

function grow(index: PageIndex): void {
  const { hashes, chunks, slots } = index;
  const larger = newPageIndex(chunks.length * 2);
  chunks.forEach((chunk, place) => {
    if (chunk !== 0) addPage(larger, hashes, place * HASH_WORDS, chunk, slots[place] ?? 0);
  });
  Object.assign(index, larger);
}
