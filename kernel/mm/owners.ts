// Whose a frame is: what a page of meminfo, the frame map and every sample of the lab show. The counts are kept as frames
// change hands, so that reading them costs nothing.
import { ownerNames, type MemoryState, type OwnerKind } from './memory-state.ts';

/** A block of 2^order frames, which had one owner, gets another. */
export function setOwner(memory: MemoryState, first: number, order: number, owner: number): void {
  const { owner: owners, ownerPages } = memory;
  const count = 1 << order;
  const before = owners[first] ?? 0;
  ownerPages[before] = (ownerPages[before] ?? 0) - count;
  ownerPages[owner] = (ownerPages[owner] ?? 0) + count;
  if (order === 0) owners[first] = owner;
  else owners.fill(owner, first, first + count); // prettier-ignore
}

/** Pages by owner's name. */
export const pagesByOwner = (memory: MemoryState): Readonly<Record<OwnerKind, number>> =>
  Object.fromEntries(ownerNames.map((name, i) => [name, memory.ownerPages[i] ?? 0])) as Record<
    OwnerKind,
    number
  >; // every owner is named
