// Reservations: blocks of up to 2 MiB of contiguous frames that are kept for a stretch of a process's anonymous memory, so
// that pages which fault in one by one lie side by side in RAM: the CPU's extents then cover long runs. A kept frame
// counts as free memory. When the free lists run dry, reservations are broken, oldest first, and their unused frames
// come back. (The idea is that of FreeBSD's vm_reserv.)
import { freeBlock, handOut, takeBlock, takeFrame } from './free-blocks.ts';
import type { Mm } from './mm.ts';
import { OWNER, PG, type MemoryState } from './memory-state.ts';

export interface Reservation {
  /** Kept frames bear it in memory.mapping: a frame that was used and freed may belong to another reservation now. */
  readonly id: number;
  readonly mm: number;
  /** Virtual page number of the first page; a multiple of 2^order. */
  readonly firstPage: number;
  readonly order: number;
  readonly frame: number;
  /** Frames not used yet. */
  left: number;
}

const LARGEST_ORDER = 9;
const SMALLEST_ORDER = 2;
const REGION_PAGES = 1 << LARGEST_ORDER;

/**
 * A frame at its right place in a reservation for the virtual page, made when there is none and memory allows; -1 when any
 * frame is as good. `vmaPages` is the size of the vma: a small one gets a small reservation.
 */
export function takeKeptFrame(memory: MemoryState, mm: Mm, page: number, vmaPages: number): number {
  const region = Math.floor(page / REGION_PAGES);
  let list = mm.reservations.get(region);
  let found = list === undefined ? undefined : reservationAt(list, page);
  if (found === undefined) {
    found = newReservation(memory, mm, list ?? [], page, vmaPages);
    if (found === undefined) return -1;
    if (list === undefined) mm.reservations.set(region, (list = []));
    list.push(found);
  }
  const frame = found.frame + (page - found.firstPage);
  if (!isKeptBy(memory, frame, found.id)) {
    // It was used before: by this page, freed since, perhaps by somebody else now.
    if (!takeFrame(memory, frame)) return -1;
  } else {
    memory.mapping[frame] = 0;
    memory.keptPages--;
    found.left--;
    if (found.left === 0) forget(memory, mm, region, found);
  }
  memory.freePages--;
  handOut(memory, frame, 0, OWNER.anon);
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
  mm: Mm,
  list: readonly Reservation[],
  page: number,
  vmaPages: number,
): Reservation | undefined {
  let order = SMALLEST_ORDER;
  while (order < LARGEST_ORDER && 1 << order < vmaPages) order++;
  // Reservations must not eat the memory that the page cache would use, nor cover each other.
  for (; order >= SMALLEST_ORDER; order--) {
    const firstPage = page - (page % (1 << order));
    const end = firstPage + (1 << order);
    if (list.some((other) => other.firstPage < end && firstPage < other.firstPage + (1 << other.order)))
      continue;
    if (memory.freePages - memory.keptPages - (1 << order) < memory.watermarks.high) continue;
    const frame = takeBlock(memory, order);
    if (frame < 0) continue;
    memory.flags.fill(PG.reservation, frame, frame + (1 << order));
    memory.owner.fill(OWNER.kept, frame, frame + (1 << order));
    const id = ++memory.lastReservationId;
    memory.mapping.fill(id, frame, frame + (1 << order));
    memory.keptPages += 1 << order;
    const made = { id, mm: mm.id, firstPage, order, frame, left: 1 << order };
    memory.reservations.add(made);
    return made;
  }
  return undefined;
}

/**
 * Gives back what is kept for virtual pages from `first` to before `end`, which were unmapped. A reservation that reaches
 * beyond them goes too when they are half of it, or when nothing is mapped in it any more.
 */
export function dropReservations(
  memory: MemoryState,
  mm: Mm,
  first: number,
  end: number,
  isMapped: (first: number, end: number) => boolean = () => true,
): void {
  if (mm.reservations.size === 0) return;
  const firstRegion = Math.floor(first / REGION_PAGES);
  if (end - first <= REGION_PAGES) {
    dropIn(memory, mm, firstRegion, first, end, isMapped);
    const lastRegion = Math.floor((end - 1) / REGION_PAGES);
    if (lastRegion !== firstRegion) dropIn(memory, mm, lastRegion, first, end, isMapped);
    return;
  }
  for (const region of [...mm.reservations.keys()]) {
    const isOutside = (region + 1) * REGION_PAGES <= first || region * REGION_PAGES >= end;
    if (!isOutside) dropIn(memory, mm, region, first, end, isMapped);
  }
}

function dropIn(
  memory: MemoryState,
  mm: Mm,
  region: number,
  first: number,
  end: number,
  isMapped: (first: number, end: number) => boolean,
): void {
  const list = mm.reservations.get(region);
  if (list === undefined) return;
  for (const entry of [...list]) {
    const pages = 1 << entry.order;
    const entryEnd = entry.firstPage + pages;
    const overlap = Math.min(end, entryEnd) - Math.max(first, entry.firstPage);
    if (overlap <= 0 || (overlap * 2 < pages && isMapped(entry.firstPage, entryEnd))) continue;
    giveBack(memory, entry);
    forget(memory, mm, region, entry);
  }
}

/** Breaks reservations, oldest first, until a free block of the order exists. */
export function breakReservations(memory: MemoryState, order: number): boolean {
  for (const entry of memory.reservations) {
    giveBack(memory, entry);
    const mm = memory.mms.get(entry.mm);
    if (mm !== undefined) forget(memory, mm, Math.floor(entry.firstPage / REGION_PAGES), entry);
    else memory.reservations.delete(entry); // prettier-ignore
    for (let current = order; current < memory.freeBlocks.length; current++) {
      if ((memory.freeBlocks[current] ?? 0) > 0) return true;
    }
  }
  return false;
}

function forget(memory: MemoryState, mm: Mm, region: number, entry: Reservation): void {
  memory.reservations.delete(entry);
  const list = mm.reservations.get(region);
  if (list === undefined) return;
  list.splice(list.indexOf(entry), 1);
  if (list.length === 0) mm.reservations.delete(region);
}

/** Frees the unused frames in blocks as large as they come. */
function giveBack(memory: MemoryState, entry: Reservation): void {
  if (entry.left === 1 << entry.order) freeBlock(memory, entry.frame, entry.order);
  else giveBackRange(memory, entry.id, entry.frame, entry.order); // prettier-ignore
  memory.keptPages -= entry.left;
}

function giveBackRange(memory: MemoryState, id: number, frame: number, order: number): void {
  const end = frame + (1 << order);
  let kept = 0;
  for (let f = frame; f < end; f++) if (isKeptBy(memory, f, id)) kept++;
  if (kept === 0) return;
  if (kept === 1 << order) {
    freeBlock(memory, frame, order);
    return;
  }
  giveBackRange(memory, id, frame, order - 1);
  giveBackRange(memory, id, frame + (1 << (order - 1)), order - 1);
}

const isKeptBy = (memory: MemoryState, frame: number, id: number): boolean =>
  memory.mapping[frame] === id && ((memory.flags[frame] ?? 0) & PG.reservation) !== 0;
