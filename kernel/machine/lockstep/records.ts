// A case (one instruction or a short sequence, with the whole state before it) and a result (the state after it), and
// their layout in the files that host.c reads and writes.

/** Linear addresses, the same on the real CPU and in our machine; the pages around each area are not mapped. */
export const PLACE = {
  code: 0x1000_0000,
  data: 0x1001_0000, // two pages
  readOnly: 0x1002_0000,
  stack: 0x1003_0000,
  gsBase: 0x100_0000,
} as const;
export const PAGE = 4096;
export const CODE_BYTES = 2 * PAGE;
/** data, data, read-only, stack, compared as one. */
export const MEMORY_BYTES = 4 * PAGE;
export const CHANGES_MAX = 1024;

export interface Case {
  readonly code: Uint8Array; // at most 64 bytes
  readonly codeOffset: number;
  readonly gpr: BigUint64Array; // 16
  readonly rflags: number;
  readonly fx: Uint8Array; // 512 bytes as FXSAVE64 has them
  readonly windowOffset: number; // bytes of its own in the data pages; the rest is the pattern
  readonly window: Uint8Array; // at most 640 bytes
}

export interface Result {
  trap: number; // vector; 3 is the regular end
  error: number;
  address: bigint; // CR2 of a page fault
  rip: bigint;
  readonly gpr: BigUint64Array;
  rflags: number;
  readonly fx: Uint8Array; // the first 416 bytes count
  changes: Uint32Array; // offset in memory << 8 | new byte
}

const CASE = { code: 8, gpr: 72, rflags: 200, fx: 208, window: 720, windowBytes: 728, end: 1368 } as const;
const RESULT = {
  gpr: 24,
  rflags: 152,
  fx: 160,
  changeCount: 672,
  changes: 680,
  end: 680 + CHANGES_MAX * 4,
} as const;

export function pattern(): Uint8Array {
  return Uint8Array.from({ length: MEMORY_BYTES }, (_unused, i) => i * 167 + (i >> 8) * 13 + 5);
}

export function encodeCases(cases: readonly Case[]): Uint8Array {
  const bytes = new Uint8Array(cases.length * CASE.end);
  const view = new DataView(bytes.buffer);
  cases.forEach((test, i) => {
    const at = i * CASE.end;
    view.setUint32(at, test.codeOffset, true);
    view.setUint32(at + 4, test.code.length, true);
    bytes.set(test.code, at + CASE.code);
    test.gpr.forEach((value, n) => {
      view.setBigUint64(at + CASE.gpr + n * 8, value, true);
    });
    view.setBigUint64(at + CASE.rflags, BigInt(test.rflags), true);
    bytes.set(test.fx, at + CASE.fx);
    view.setUint32(at + CASE.window, test.windowOffset, true);
    view.setUint32(at + CASE.window + 4, test.window.length, true);
    bytes.set(test.window, at + CASE.windowBytes);
  });
  return bytes;
}

export function decodeResults(bytes: Uint8Array): Result[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const results: Result[] = [];
  for (let at = 0; at + RESULT.end <= bytes.length; at += RESULT.end) {
    const count = view.getUint32(at + RESULT.changeCount, true);
    results.push({
      trap: view.getUint32(at, true),
      error: view.getUint32(at + 4, true),
      address: view.getBigUint64(at + 8, true),
      rip: view.getBigUint64(at + 16, true),
      gpr: BigUint64Array.from({ length: 16 }, (_unused, n) =>
        view.getBigUint64(at + RESULT.gpr + n * 8, true),
      ),
      rflags: Number(view.getBigUint64(at + RESULT.rflags, true)),
      fx: bytes.slice(at + RESULT.fx, at + RESULT.fx + 512),
      changes: Uint32Array.from({ length: count }, (_unused, n) =>
        view.getUint32(at + RESULT.changes + n * 4, true),
      ),
    });
  }
  return results;
}
