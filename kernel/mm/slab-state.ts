// Records of the slab allocator: caches, and slabs of real frames. slab.ts changes them.

export interface Slab {
  /** First frame of the slab. */
  readonly frame: number;
  /** Free object indexes, the next to hand out last. */
  free: number[];
}

export interface SlabCache {
  readonly name: string;
  readonly objectBytes: number;
  /** Frames of a slab are 2^order. */
  readonly order: number;
  readonly objectsPerSlab: number;
  /** Every slab by its first frame. */
  slabs: Map<number, Slab>;
  /** First frames of slabs with at least one free object, in the order in which they are used. */
  partial: Set<number>;
  activeObjects: number;
  /** Slabs without objects, kept for the next allocation. */
  emptySlabs: number;
}
