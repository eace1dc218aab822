// Which pages to read when one is missing (mm/readahead.c): a sequential reader gets windows that double up to
// read_ahead_kb, the next being read when the first page of a window's async part is touched; a random one gets one page.
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { MemoryState } from './memory-state.ts';

export interface ReadWindow {
  readonly first: number;
  readonly count: number;
  /** Pages at the end whose touch starts the next window. */
  readonly async: number;
  /** Index of the page that carries the mark, or -1. */
  readonly marker: number;
}

type ReadAhead = OpenFile['readAhead'];

const single = (index: number): ReadWindow => ({ first: index, count: 1, async: 0, marker: -1 });

function clipped(first: number, count: number, async: number, pageLimit: number): ReadWindow {
  const within = Math.min(count, pageLimit - first);
  return { first, count: within, async, marker: async > 0 && within === count ? first + count - async : -1 };
}

/** The window for a missing page. `pageLimit` is the number of pages that the file has. */
export function windowFor(
  memory: MemoryState,
  index: number,
  readAhead: ReadAhead | 'around' | undefined,
  pageLimit: number,
): ReadWindow {
  const most = memory.tunables.readAheadKbytes >> 2;
  if (readAhead === undefined || most <= 1) return single(index);
  if (readAhead === 'around') {
    const first = Math.max(0, index - (most >> 1));
    return clipped(first, most, 0, pageLimit);
  }
  if (index === readAhead.start + readAhead.size && readAhead.size > 0) {
    const count = grown(readAhead.size, most);
    return clipped(index, count, count, pageLimit);
  }
  const isSequential = index === 0 || index === readAhead.previous + 1 || index === readAhead.previous;
  if (!isSequential) return single(index);
  const count = Math.min(4, most); // get_init_ra_size of a one-page request
  return clipped(index, count, count - 1, pageLimit);
}

/** The window after the one that was marked. */
export function nextWindow(memory: MemoryState, readAhead: ReadAhead, pageLimit: number): ReadWindow {
  const most = memory.tunables.readAheadKbytes >> 2;
  const count = grown(Math.max(1, readAhead.size), most);
  return clipped(readAhead.start + readAhead.size, count, count, pageLimit);
}

/** get_next_ra_size. */
function grown(size: number, most: number): number {
  if (size < most >> 4) return 4 * size;
  return size <= most >> 1 ? 2 * size : most;
}
