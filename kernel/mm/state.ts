// The door of mm's state: what a machine's memory is at power-on, with all of RAM but the kernel's image on the free lists
// and the slab caches declared.
import type { BootConfig } from '../state.ts';
import { startBuddy } from './buddy.ts';
import { blankMemoryState, type MemoryState } from './memory-state.ts';
import { declareSlabCaches } from './slab.ts';

export type { MemoryState } from './memory-state.ts';

export function newMemoryState(config: BootConfig): MemoryState {
  const memory = blankMemoryState(config);
  startBuddy(memory);
  declareSlabCaches(memory);
  return memory;
}
