// Reservations: blocks of up to 2 MiB of contiguous frames that are kept for a stretch of a process's anonymous memory or of
// a mapped file, so that pages which fault in one by one, or are read window by window, lie side by side in RAM: the CPU's
// extents then cover long runs. A kept frame counts as free memory. When the free lists run dry, reservations are broken, oldest first, and their unused frames
// come back. (The idea is that of FreeBSD's vm_reserv.)
import { freeBlock, handOut, takeBlock, takeBlockAt } from './free-blocks.ts';
import { OWNER, PG, type MemoryState } from './memory-state.ts';
import { setOwner } from './owners.ts';
import { dropSites, REGION_ORDER, REGION_PAGES, takeRegion, type Site } from './sites.ts';

export interface Reservation {
  /** Kept frames bear it in memory.mapping: a frame that was used and freed may belong to another reservation now. */
  readonly id: number;
  /** Whose it is: the id of an mm or of an address space. */
  readonly holder: 'mm' | 'space';
  readonly holderId: number;
  /** Virtual page number, or index in the file, of the first page; a multiple of 2^order. */
  readonly firstPage: number;
  readonly order: number;
  readonly frame: number;
  /** Frames not used yet. */
  left: number;
}

/** An mm or an address space. */
interface ReservationHolder {
  readonly id: number;
  /** By page number / 512. */
  readonly reservations: Map<number, Reservation[]>;
  /** Only mms have them. */
  sites?: Site[];
}

/** Pages that are to lie side by side: a vma's, with its neighbours', or a file's. `end` is behind the last one. */
export interface PageRange {
  readonly first: number;
  readonly end: number;
  /** It will probably reach further up. */
  readonly grows: boolean;
}

const LARGEST_ORDER = REGION_ORDER;
const SMALLEST_ORDER = 2;
/** A block may be so many times larger than what is to lie in it, */
const MOST_SPARE = 4;
/** or so large: bss, heap or the next library's data are likely to follow. */
const SMALL_PAGES = 64;

/**
 * A frame at its right place in a reservation for the page, made when there is none and memory allows; -1 when any frame is
 * as good. A small range gets a small reservation.
 */
export function takeKeptFrame(
  memory: MemoryState,
  kind: Reservation['holder'],
  holder: ReservationHolder,
  page: number,
  range: PageRange,
): number {
  const region = Math.floor(page / REGION_PAGES);
  let list = holder.reservations.get(region);
  let found = list === undefined ? undefined : reservationAt(list, page);
  if (found === undefined) {
    found = newReservation(memory, kind, holder, list ?? [], page, range);
    if (found === undefined) return -1;
    if (list === undefined) holder.reservations.set(region, (list = []));
    list.push(found);
  }
  const frame = found.frame + (page - found.firstPage);
  if (!isKeptBy(memory, frame, found.id)) {
    // It was used before: by this page, freed since, perhaps by somebody else now.
    if (!takeBlockAt(memory, frame, 0)) return -1;
  } else {
    memory.mapping[frame] = 0;
    memory.keptPages--;
    found.left--;
    if (found.left === 0) forget(memory, holder, region, found);
  }
  memory.freePages--;
  handOut(memory, frame, 0, kind === 'mm' ? OWNER.anon : OWNER.file);
  return frame;
}

function reservationAt(list: readonly Reservation[], page: number): Reservation | undefined {
  for (const entry of list) {
    if (page >= entry.firstPage && page < entry.firstPage + (1 << entry.order)) return entry;
  }
  return undefined;
}

function newReservation(
  memory: MemoryState,
  kind: Reservation['holder'],
  holder: ReservationHolder,
  list: readonly Reservation[],
  page: number,
  range: PageRange,
): Reservation | undefined {
  // Reservations must not eat the memory that the page cache would use, nor cover each other.
  for (let order = orderFor(memory, page, range); order >= SMALLEST_ORDER; order--) {
    const firstPage = page - (page % (1 << order));
    const end = firstPage + (1 << order);
    if (list.some((other) => other.firstPage < end && firstPage < other.firstPage + (1 << other.order)))
      continue;
    if (memory.freePages - memory.keptPages - (1 << order) < memory.watermarks.high) continue;
    const region = firstPage / REGION_PAGES;
    const frame =
      order < LARGEST_ORDER || kind !== 'mm'
        ? takeBlock(memory, order)
        : takeRegion(
            memory,
            holder,
            region,
            Math.floor(range.first / REGION_PAGES),
            Math.ceil(range.end / REGION_PAGES),
            range.grows,
          );
    if (frame < 0) continue;
    memory.flags.fill(PG.reservation, frame, frame + (1 << order));
    setOwner(memory, frame, order, OWNER.kept);
    const id = ++memory.lastReservationId;
    memory.mapping.fill(id, frame, frame + (1 << order));
    memory.keptPages += 1 << order;
    const made = { id, holder: kind, holderId: holder.id, firstPage, order, frame, left: 1 << order };
    memory.reservations.add(made);
    return made;
  }
  return undefined;
}

/** As large as the range needs in this region, or, where much is kept already, as its size alone needs. */
function orderFor(memory: MemoryState, page: number, { first, end }: PageRange): number {
  const region = page - (page % REGION_PAGES);
  const from = Math.max(first, region);
  const to = Math.min(end, region + REGION_PAGES);
  let order = SMALLEST_ORDER;
  while (order < LARGEST_ORDER && 1 << order < end - first) order++;
  const most = Math.max(SMALL_PAGES, (to - from) * MOST_SPARE);
  for (let larger = order; larger <= LARGEST_ORDER && 1 << larger <= most; larger++) {
    if (memory.keptPages + (1 << larger) > memory.freePages >> 1) break;
    const start = page - (page % (1 << larger));
    if (start <= from && start + (1 << larger) >= to) return larger;
  }
  return order;
}

/**
 * Gives back what is kept for pages from `first` to before `end`, which were unmapped. A reservation that reaches
 * beyond them goes too when they are half of it, or when nothing is mapped in it any more.
 */
export function dropReservations(
  memory: MemoryState,
  holder: ReservationHolder,
  first: number,
  end: number,
  isMapped: (first: number, end: number) => boolean = () => true,
): void {
  dropSites(holder, first / REGION_PAGES, end / REGION_PAGES);
  if (holder.reservations.size === 0) return;
  const firstRegion = Math.floor(first / REGION_PAGES);
  if (end - first <= REGION_PAGES) {
    dropIn(memory, holder, firstRegion, first, end, isMapped);
    const lastRegion = Math.floor((end - 1) / REGION_PAGES);
    if (lastRegion !== firstRegion) dropIn(memory, holder, lastRegion, first, end, isMapped);
    return;
  }
  for (const region of [...holder.reservations.keys()]) {
    const isOutside = (region + 1) * REGION_PAGES <= first || region * REGION_PAGES >= end;
    if (!isOutside) dropIn(memory, holder, region, first, end, isMapped);
  }
}

function dropIn(
  memory: MemoryState,
  holder: ReservationHolder,
  region: number,
  first: number,
  end: number,
  isMapped: (first: number, end: number) => boolean,
): void {
  const list = holder.reservations.get(region);
  if (list === undefined) return;
  for (const entry of [...list]) {
    const pages = 1 << entry.order;
    const entryEnd = entry.firstPage + pages;
    const overlap = Math.min(end, entryEnd) - Math.max(first, entry.firstPage);
    if (overlap <= 0 || (overlap * 2 < pages && isMapped(entry.firstPage, entryEnd))) continue;
    giveBack(memory, entry);
    forget(memory, holder, region, entry);
  }
}

/** Breaks reservations, oldest first, until a free block of the order exists. */
export function breakReservations(memory: MemoryState, order: number): boolean {
  for (const entry of memory.reservations) {
    giveBack(memory, entry);
    const holder = (entry.holder === 'mm' ? memory.mms : memory.spaces).get(entry.holderId);
    if (holder !== undefined) forget(memory, holder, Math.floor(entry.firstPage / REGION_PAGES), entry);
    else memory.reservations.delete(entry); // prettier-ignore
    for (let current = order; current < memory.freeBlocks.length; current++) {
      if ((memory.freeBlocks[current] ?? 0) > 0) return true;
    }
  }
  return false;
}

function forget(memory: MemoryState, holder: ReservationHolder, region: number, entry: Reservation): void {
  memory.reservations.delete(entry);
  const list = holder.reservations.get(region);
  if (list === undefined) return;
  list.splice(list.indexOf(entry), 1);
  if (list.length === 0) holder.reservations.delete(region);
}

/** Frees the unused frames in blocks as large as they come. */
function giveBack(memory: MemoryState, entry: Reservation): void {
  if (entry.left === 1 << entry.order) freeBlock(memory, entry.frame, entry.order);
  else giveBackRange(memory, entry.id, entry.frame, entry.frame + (1 << entry.order)); // prettier-ignore
  memory.keptPages -= entry.left;
}

/** Frees the kept runs between used frames, each in the largest aligned blocks that it holds. */
function giveBackRange(memory: MemoryState, id: number, first: number, end: number): void {
  for (let frame = first; frame < end;) {
    if (!isKeptBy(memory, frame, id)) {
      frame++;
      continue;
    }
    let runEnd = frame + 1;
    while (runEnd < end && isKeptBy(memory, runEnd, id)) runEnd++;
    while (frame < runEnd) {
      const aligned = frame === 0 ? LARGEST_ORDER : 31 - Math.clz32(frame & -frame);
      const order = Math.min(aligned, 31 - Math.clz32(runEnd - frame));
      freeBlock(memory, frame, order);
      frame += 1 << order;
    }
  }
}

const isKeptBy = (memory: MemoryState, frame: number, id: number): boolean =>
  memory.mapping[frame] === id && ((memory.flags[frame] ?? 0) & PG.reservation) !== 0;
