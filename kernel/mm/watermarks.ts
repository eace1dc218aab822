// Watermarks of the zone, as mm/page_alloc.c computes them from min_free_kbytes and watermark_scale_factor.
import type { MemoryState } from './memory-state.ts';

/** Called at power-on and when /proc/sys/vm/min_free_kbytes or watermark_scale_factor is written. */
export function setWatermarks(memory: MemoryState): void {
  const { tunables, managedPages } = memory;
  if (tunables.minFreeKbytes === 0) {
    // sqrt(16 * lowmem in KiB), Linux's calculate_min_free_kbytes: an integer square root, between 128 and 262144.
    tunables.minFreeKbytes = Math.max(128, Math.min(262_144, integerSquareRoot(managedPages * 4 * 16)));
  }
  const min = Math.floor(tunables.minFreeKbytes / 4);
  const gap = Math.max(min >> 2, Math.floor((managedPages * tunables.watermarkScaleFactor) / 10_000));
  memory.watermarks = { min, low: min + gap, high: min + 2 * gap };
}

function integerSquareRoot(value: number): number {
  let root = Math.floor(Math.sqrt(value));
  while (root * root > value) root--;
  return root;
}
