// Sites: where the 2 MiB regions of an address space are to lie in RAM, so that large vmas are one run beyond the borders of
// reservations. A site is a wish: its frames are free until a reservation takes them, region by region as pages fault
// in, and others may take them before, but other mms' sites are looked for elsewhere as long as there is room.
import { takeBlock, takeBlockAt } from './free-blocks.ts';
import { MAX_ORDER, PG, type MemoryState } from './memory-state.ts';

/** Regions `firstRegion` to before `endRegion` (page number / 512) lie from `frame` on. */
export interface Site {
  firstRegion: number;
  endRegion: number;
  frame: number;
}

/** Present since the first large vma. */
interface SiteHolder {
  sites?: Site[];
}

export const REGION_ORDER = 9;
export const REGION_PAGES = 1 << REGION_ORDER;
/** A site is 1 GiB at most. */
const MOST_REGIONS = 512;

/**
 * Takes a block for a region off the free lists: the one that continues the neighbours' when it is free, else any; -1 when
 * there is none. `first` to before `end` are the regions of the vma; `grows` when it will probably reach further up.
 */
export function takeRegion(
  memory: MemoryState,
  holder: SiteHolder,
  region: number,
  first: number,
  end: number,
  grows: boolean,
): number {
  const sites = (holder.sites ??= []);
  const site = sites.find((entry) => region >= entry.firstRegion && region < entry.endRegion);
  if (site !== undefined) return takeIn(memory, site, region);
  for (const entry of sites) {
    if (region !== entry.endRegion && region !== entry.firstRegion - 1) continue;
    const frame = frameIn(entry, region);
    if (!takeBlockAt(memory, frame, REGION_ORDER)) continue;
    if (region === entry.endRegion) entry.endRegion++;
    else {
      entry.firstRegion--;
      entry.frame = frame;
    }
    return frame;
  }
  const made = newSite(memory, region, first, end, grows);
  if (made === undefined) return takeBlock(memory, REGION_ORDER);
  sites.push(made);
  return takeIn(memory, made, region);
}

const frameIn = (site: Site, region: number): number =>
  site.frame + (region - site.firstRegion) * REGION_PAGES;

function takeIn(memory: MemoryState, site: Site, region: number): number {
  const frame = frameIn(site, region);
  return takeBlockAt(memory, frame, REGION_ORDER) ? frame : takeBlock(memory, REGION_ORDER);
}

/** What may grow up goes to the lowest room, with as much again above it; all else, as mmap grows down, to the highest. */
function newSite(
  memory: MemoryState,
  region: number,
  first: number,
  end: number,
  grows: boolean,
): Site | undefined {
  const wanted = Math.min(end - first, MOST_REGIONS);
  const slack = grows ? Math.min(wanted, MOST_REGIONS - wanted) : 0;
  if (wanted + slack < 2) return undefined;
  const room =
    findRoom(memory, wanted + slack, grows, claimed(memory)) ?? findRoom(memory, wanted, grows, []);
  if (room === undefined) return undefined;
  // Where there is less room, the vma gets several sites
  const regions = Math.min(room.blocks, wanted + slack);
  const firstRegion = first + Math.floor((region - first) / regions) * regions;
  const block = grows ? room.first : room.first + room.blocks - regions;
  return { firstRegion, endRegion: firstRegion + regions, frame: block * REGION_PAGES };
}

const claimed = (memory: MemoryState): Site[] => [...memory.mms.values()].flatMap((mm) => mm.sites ?? []);

/** The lowest or highest run of so many free blocks of 2 MiB outside the sites, or the longest; none of a single block. */
function findRoom(
  memory: MemoryState,
  wanted: number,
  fromBelow: boolean,
  sites: readonly Site[],
): { first: number; blocks: number } | undefined {
  const taken = new Uint8Array(Math.floor(memory.frameCount / REGION_PAGES));
  for (const { firstRegion, endRegion, frame } of sites) {
    const block = frame / REGION_PAGES;
    taken.fill(1, block, block + endRegion - firstRegion);
  }
  let best = { first: 0, blocks: 1 };
  for (let block = 0, start = 0; block <= taken.length; block++) {
    if (block < taken.length && taken[block] === 0 && isFreeRegion(memory, block * REGION_PAGES)) continue;
    const blocks = block - start;
    const isEnough = blocks >= wanted && (best.blocks < wanted || !fromBelow);
    if (isEnough || (blocks > best.blocks && best.blocks < wanted)) best = { first: start, blocks };
    start = block + 1;
  }
  return best.blocks > 1 ? best : undefined;
}

function isFreeRegion(memory: MemoryState, frame: number): boolean {
  for (let order = REGION_ORDER; order <= MAX_ORDER; order++) {
    const head = frame & ~((1 << order) - 1);
    if (((memory.flags[head] ?? 0) & PG.buddy) !== 0 && (memory.order[head] ?? 0) >= order) return true;
  }
  return false;
}

/** Gives up sites of which half or more lies in regions `first` to before `end`, which were unmapped. */
export function dropSites(holder: SiteHolder, first: number, end: number): void {
  if (holder.sites === undefined) return;
  holder.sites = holder.sites.filter(({ firstRegion, endRegion }) => {
    const overlap = Math.min(end, endRegion) - Math.max(first, firstRegion);
    return overlap * 2 < endRegion - firstRegion;
  });
}
