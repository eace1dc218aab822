// A case (code with the whole state before it) and a result (the state after it), and their layout in the files that
// host.c reads and writes. Cases are views of one buffer, made once and filled again and again.

/** Linear addresses, the same on the real CPU and in our machine; the pages around each area are not mapped. */
export const PLACE = {
  code: 0x1000_0000, // two pages
  data: 0x1001_0000, // two pages
  readOnly: 0x1002_0000,
  stack: 0x1003_0000,
  writableCode: 0x1004_0000, // two pages, for cases that change their own code
  gsBase: 0x100_0000,
} as const;
export const PAGE = 4096;
export const CODE_BYTES = 2 * PAGE;
export const MEMORY_BYTES = 4 * PAGE;
export const CHANGES_MAX = 1024;
export const CODE_MAX = 800;
export const WINDOW_MAX = 640;
/** The native run did not end. */
export const TRAP_TIMEOUT = 255;
/** Nor did ours, in as many instructions as it may take. */
export const TRAP_BUDGET = -1;

export interface Case {
  /** In the writable pages instead of the read-only ones. */
  writesCode: boolean;
  codeOffset: number;
  codeLength: number;
  windowOffset: number; // bytes of its own in the data pages; the rest is the pattern
  windowLength: number;
  rflags: number;
  readonly gpr: Int32Array; // 16 × low, high
  readonly fx: Uint8Array; // 416 bytes as FXSAVE64 has them
  readonly ymm: Uint8Array; // 16 × the upper half
  readonly window: Uint8Array;
  readonly code: Uint8Array;
}

/** State after a case, as 32-bit words at these offsets (in words), then the changed bytes of memory. */
export const STATE = {
  trap: 0, // vector; 3 is the regular end
  error: 1,
  address: 2, // CR2 of a page fault
  rip: 4,
  gpr: 6,
  rflags: 38,
  fx: 40,
  ymm: 144,
  words: 208,
} as const;
export interface Result {
  readonly state: Int32Array;
  /** Offset in memory << 8 | new byte. */
  readonly changes: Uint32Array;
  changeCount: number;
  /** Instructions, in our machine. */
  executed: number;
}
export const newResult = (): Result => ({
  state: new Int32Array(STATE.words),
  changes: new Uint32Array(CHANGES_MAX),
  changeCount: 0,
  executed: 0,
});

const CASE = { gpr: 32, rflags: 160, fx: 168, ymm: 584, window: 840, code: 1480, end: 2304 } as const;

export interface Batch {
  readonly bytes: Uint8Array;
  readonly cases: readonly Case[];
}

export function newBatch(count: number): Batch {
  const bytes = new Uint8Array(count * CASE.end);
  const { buffer } = bytes;
  const cases = Array.from({ length: count }, (_unused, i): Case => {
    const at = i * CASE.end;
    return {
      writesCode: false, codeOffset: 0, codeLength: 0, windowOffset: 0, windowLength: 0, rflags: 0x202,
      gpr: new Int32Array(buffer, at + CASE.gpr, 32),
      fx: new Uint8Array(buffer, at + CASE.fx, 416),
      ymm: new Uint8Array(buffer, at + CASE.ymm, 256),
      window: new Uint8Array(buffer, at + CASE.window, WINDOW_MAX),
      code: new Uint8Array(buffer, at + CASE.code, CODE_MAX),
    }; // prettier-ignore
  });
  return { bytes, cases };
}

export function copyCase(from: Case, to: Case): void {
  to.writesCode = from.writesCode;
  to.codeOffset = from.codeOffset;
  to.codeLength = from.codeLength;
  to.windowOffset = from.windowOffset;
  to.windowLength = from.windowLength;
  to.rflags = from.rflags;
  to.gpr.set(from.gpr);
  for (const field of ['fx', 'ymm', 'window', 'code'] as const) to[field].set(from[field]);
}

/** A batch of cases that were made one by one. */
export function batchOf(cases: readonly Case[]): Batch {
  const batch = newBatch(cases.length);
  cases.forEach((test, i) => {
    const to = batch.cases[i];
    if (to !== undefined) copyCase(test, to);
  });
  return batch;
}

/** Puts the cases' numbers into the batch's bytes, of which the first `count` cases are given back. */
export function encodeBatch({ bytes, cases }: Batch, count: number): Uint8Array {
  const words = new Int32Array(bytes.buffer);
  for (let i = 0; i < count; i++) {
    const test = cases[i];
    if (test === undefined) break;
    const at = (i * CASE.end) >> 2;
    words[at] = test.writesCode ? 1 : 0;
    words[at + 1] = test.codeOffset;
    words[at + 2] = test.codeLength;
    words[at + 3] = test.windowOffset;
    words[at + 4] = test.windowLength;
    words[at + (CASE.rflags >> 2)] = test.rflags;
  }
  return bytes.subarray(0, count * CASE.end);
}

export const codeBase = (test: Case): number => (test.writesCode ? PLACE.writableCode : PLACE.code);

export function pattern(): Uint8Array {
  return Uint8Array.from({ length: MEMORY_BYTES }, (_unused, i) => i * 167 + (i >> 8) * 13 + 5);
}

/** Results one after the other: the state's words, how many changes, a word of nothing, the changes. */
export function decodeResults(bytes: Uint8Array): Result[] {
  const { buffer, byteOffset } = bytes;
  const results: Result[] = [];
  for (let at = byteOffset; at < byteOffset + bytes.length;) {
    const state = new Int32Array(buffer, at, STATE.words + 2);
    const changeCount = state[STATE.words] ?? 0;
    at += (STATE.words + 2) * 4;
    results.push({ state, changes: new Uint32Array(buffer, at, changeCount), changeCount, executed: -1 });
    at += changeCount * 4;
  }
  return results;
}
