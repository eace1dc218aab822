// Where everything lies in the machine's WebAssembly.Memory: the private area (CPU contexts with their TLBs, the
// frame-to-code table, predecoded code), then guest RAM. Offsets in CONTEXT are relative to a CPU's context; record
// offsets are those of a predecoded instruction. Everything that emits or reads this memory takes its numbers here.
//
//   0          unused, so that address 0 means "no address"
//   64 KiB     CPU contexts, 80 KiB apart: registers, scratch areas, TLBs, extents
//   2 MiB      one u16 for each RAM frame: the code slot that holds its predecoded instructions, or 0
//   4 MiB      code slots: a u16 index by page offset, then 32-byte records (record 0 is the slot's header)
//   RAM_BASE   guest RAM

export const PAGE_BYTES = 4096;
export const CPU_BASE = 0x1_0000;
export const CPU_STRIDE = 0x1_4000;
export const FRAME_CODE_BASE = 0x20_0000;
export const CODE_BASE = 0x40_0000;
export const CODE_INDEX_BYTES = PAGE_BYTES * 2;
export const RECORD_BYTES = 32;
export const CODE_RECORDS = 2048;
export const CODE_SLOT_BYTES = CODE_INDEX_BYTES + CODE_RECORDS * RECORD_BYTES;
export const CODE_SLOTS = 1024;
export const RAM_BASE = 0x600_0000;

/** A CPU context. Up to `savedEnd` it is what a task's saved context holds. */
export const CONTEXT = {
  gpr: 0, // 16 × 8
  rip: 128,
  rflags: 136, // the bits that are not arithmetic flags; saved contexts hold all of RFLAGS here
  fsBase: 144,
  gsBase: 152,
  zero: 160, // always 0: the base or index of an address that has none
  page2: 168, // always 8192: see decode/, a RIP-relative displacement that leaves 32 bits
  pageBase: 176, // virtual address of the page that RIP is in, while running
  // Arithmetic flags, lazily: see exec/flags.ts
  flagA: 184,
  flagB: 192,
  flagResult: 200,
  flagKind: 208,
  cpl: 212,
  tsc: 216, // the time-stamp counter when the run began
  budget: 224, // instructions asked of this run
  remaining: 228, // of these, not yet executed (valid in functions and at exits)
  trapVector: 232,
  trapError: 236,
  cr2: 240,
  cr3: 248,
  xmm: 256, // 16 × 16
  x87: 512, // the physical registers R0 to R7, 16 bytes apart: 10 bytes each; MMX registers are their mantissas
  fcw: 640, // u16
  fsw: 642, // u16, TOP in bits 11 to 13
  ftw: 644, // u16, full tag word: 2 bits per physical register, 3 = empty
  fop: 646, // u16
  fip: 648, // u64
  fdp: 656, // u64
  mxcsr: 664, // u32
  selectors: 672, // u16 each: es cs ss ds fs gs
  ymmHigh: 704, // 16 × 16: bits 128 to 255 of the YMM registers
  savedEnd: 960,
  exitRecord: 960, // record at which run() left
  cross: 964, // u32 each: host address of the first part, of the second, length of the first, whole length
  // Room for instruction helpers; nothing survives an instruction here
  scratch: 1280, // 256 bytes
  readScratch: 2048, // an operand that crosses a page, as read; of at most 1024 bytes
  writeScratch: 3072, // an operand that crosses a page, before it is put back
  tlbRead: 0x2000,
  tlbWrite: 0x4000,
  tlbExecute: 0x6000,
} as const;

/**
 * System registers of a CPU, offsets in its context, u64 unless said otherwise. No part of a task: contexts do not hold
 * them, snapshots do. system-state.ts resets them.
 */
export const SYSTEM = {
  first: 0x1800,
  cr0: 0x1800,
  cr4: 0x1808,
  cr8: 0x1810,
  efer: 0x1818,
  star: 0x1820,
  lstar: 0x1828,
  cstar: 0x1830,
  sfmask: 0x1838,
  kernelGsBase: 0x1840,
  tscAux: 0x1848,
  apicBase: 0x1850,
  pat: 0x1858,
  miscEnable: 0x1860,
  mtrrDefault: 0x1868,
  mtrrFixed: 0x1870, // 11: 64K, two of 16K, eight of 4K
  mtrrVariable: 0x18c8, // 8 pairs of base and mask
  dr: 0x1948, // 0 to 7; 4 and 5 are not used
  gdtBase: 0x1988,
  gdtLimit: 0x1990, // u32
  gdtLoaded: 0x1994, // u32: 0 until the first LGDT; the descriptors are then those of isa/descriptor.ts
  idtBase: 0x1998,
  idtLimit: 0x19a0, // u32
  ldtSelector: 0x19a4, // u32
  ldtBase: 0x19a8,
  ldtLimit: 0x19b0, // u32
  tssSelector: 0x19b4, // u32
  tssBase: 0x19b8,
  tssLimit: 0x19c0, // u32
  shadowSet: 0x19c4, // u32: 1 when shadowEnd counts
  shadowEnd: 0x19c8, // the count of the time-stamp counter until which STI or a load of SS holds interrupts off
  pteReserved: 0x19d0, // bits that must be clear in page-table entries, as CR4 and EFER say
  random: 0x19e0, // where the generator of RDRAND and RDSEED is; random-seed.ts
  xcr0: 0x19e8, // components of the XSAVE area that are enabled
  xcr0Valid: 0x19f0, // those that the CPU model has
  cr4Valid: 0x19d8, // bits of CR4 that the CPU model has
  end: 0x1a00,
} as const;

/**
 * What compiled code (compile/) keeps in a context: extents, stretches of memory that are contiguous virtually and in RAM
 * with equal rights. Slots hold the one that a class of accesses met last. A table for reading and one for writing hold the
 * last of each 16 KiB (fine: the first half) and of each 2 MiB (coarse), by address; and there is the largest that was met.
 */
export const COMPILED = {
  enabled: 0x1000, // u32: the loop may enter compiled code
  filled: 0x1004, // u32: slots and table entries filled since they were cleared
  log: 0x1008, // u32 each: their addresses, as far as there is room
  executed: 0x1408, // u64: instructions executed in compiled code
  sampleLeft: 0x1410, // u32: instructions to interpret until the next sample
  from: 0x1418, // u64: address at which the interpreter took over last
  fromLeft: 0x1420, // u32: what was left of the budget then
  generation: 0x1424, // u32: what the jump cache must be of; grows with every change of translations or compiled code
  jumps: 0x1428, // u32: address of the jump cache
  walks: 0x142c, // u32: searches in the page tables since the extents were cleared
  made: 0x1430, // an extent: where a search puts together what it found
  wrongGuesses: 0x1470, // u32: how often floating point was not as expected
  wrongGuess: 0x1474, // u32: number of the region where it was, last
  slots: 0x8000,
  readTable: 0xe000,
  writeTable: 0x1_0000,
  readLargest: 0x1_2000,
  writeLargest: 0x1_2020,
  end: 0x1_2040,
} as const;
export const LOG_ENTRIES = 255;
/** Slots for reading come first. */
export const READ_SLOTS = 512;
export const WRITE_SLOTS = 256;
export const EXTENT_BYTES = 32;
/** Entries of each half of a table. */
export const EXTENT_TABLE = 128;
/** An extent: first address (u64), length and limits for the distance to it, what to add to a wrapped address (u32 each). */
export const EXTENT = {
  low: 0,
  limit8: 8, // accesses of up to 8 bytes lie inside below it: the length - 7; 0 when there is no extent
  limit64: 12, // the same for 64 bytes
  limit256: 16, // and so on
  limit1024: 20,
  size: 24,
  addend: 28,
} as const;

/** u32 at a fixed place: counts how often compiled code was dropped. */
export const CODE_DROPPED = 16;

/**
 * The jump cache of a CPU: where compiled code begins, by its virtual address, in one cache line instead of the way over
 * TLB, code slot, record and cell. Entries of an earlier generation do not count.
 */
export const JUMP_BASE = 0x4c0_0000;
export const JUMP_ENTRIES = 4096;
export const JUMP_BYTES = 32;
export const JUMP = {
  address: 0, // u64
  base: 8, // u64: parameters of the region's function
  generation: 16, // u32
  function: 20, // u32: index in the function table
  number: 24, // u32
} as const;

/** Cells of compiled entries. A record whose handler is ENTRY_HANDLER + n begins the region of cell n. */
export const ENTRY_HANDLER = 4096;
export const ENTRIES = 32_768;
export const ENTRY_BASE = 0x500_0000;
export const ENTRY_BYTES = 16;
export const ENTRY = {
  handler: 0, // u16: the record's own handler
  cold: 2, // u16: index in the function table of a handler that does the same
  record: 4, // u32
  number: 8, // u32: of the entry in its region
  delta: 12, // i32: from the region's page to the record's, in bytes
} as const;
/** In RECORD.scale of the head of a block. Shifts take their counts modulo 64, so it does not disturb. */
export const HEAD_FLAG = 0x80;

/** Tables of computed jumps in compiled code: a byte for each code address. */
export const CASE_BASE = 0x510_0000;
export const CASE_BYTES = 4096;
export const CASE_TABLES = 3840;

/** TLB entries: u64 page address (all ones: empty), then u32 what to add to a wrapped virtual address, or code slot. */
export const TLB_ENTRIES = 512;
export const TLB_ENTRY_BYTES = 16;
export const TLB_BYTES = TLB_ENTRIES * TLB_ENTRY_BYTES;
export const MXCSR_DEFAULT = 0x1f80;
export const FCW_DEFAULT = 0x37f;

/** A predecoded instruction. */
export const RECORD = {
  handler: 0, // u16: label in the run loop; 0 means "look up again at pageBase + offset"
  cold: 2, // u16: index in the function table, for the label that calls it
  offset: 4, // u16: offset in the page of the instruction's first byte
  length: 6, // u8
  scale: 7, // u8: shift of the index register
  reg: 8, // u16: context offset of the register that ModRM.reg (or the opcode) names
  rm: 10, // u16: context offset of the register that ModRM.rm names; the i of ST(i)
  base: 12, // u16: context offset of the base register
  index: 14, // u16: context offset of the index register
  immediate: 16, // i64: immediate as the operand wants it; page-relative target of a branch; moffs
  displacement: 24, // i32
  segment: 28, // u16: context offset of the segment's base (zero if none), only read in 'full' addressing
  address32: 30, // u8: 1 with an address-size prefix, only read in 'full' addressing
  vvvv: 31, // u8: the register that VEX.vvvv names: its context offset divided by 8
  is4: 22, // u16: context offset of the register that a VEX form names in its last byte
  link: 28, // u32: record of a branch's target in the same page, or 0
} as const;

/** Header of a code slot, in the place of its record 0. */
export const SLOT = { frame: 0, generation: 4, used: 8 } as const;

/** What the run loop returns; a handler function returns one of these, NEXT or JUMP. */
export const EXIT = {
  next: 0, // go on with the next record
  fetch: 1, // the page of RIP is not in the execute TLB
  jump: 2, // go on at context.rip
  decode: 3, // no record at RIP
  fault: 4, // exception before the instruction changed anything; it does not count
  budget: 5,
  cross: 6, // an instruction that crosses a page must be decoded (again)
  syscall: 7, // counted, RIP is behind the instruction; so are the next two
  trap: 8,
  halt: 9,
  step: 10, // from compiled code: the interpreter executes the instruction at context.rip
  returned: 13, // the interpreter came to the address where compiled code waits for it
  sample: 14, // so much was interpreted that the compiler wants to know where
  privilege: 11, // counted, RIP is where it goes on; CPL or paging state changed: flush the TLB
} as const;
