// The CPUID leaves of a CPU model: what its features say, and cache and address sizes. An Intel family 6 signature makes
// glibc take its paths for SSE2, SSSE3 and SSE4.2, or with AVX2 those for that. SDM vol. 2A, CPUID.

import type { Feature } from './declare.ts';

export interface CpuidLeaf {
  readonly leaf: number;
  /** Undefined: any. */
  readonly subleaf?: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

const bit = (n: number): number => 1 << n;
/** Feature bits: leaf 1 ECX and EDX, leaf 7 EBX, leaf 80000001 ECX and EDX. XSAVE with OSXSAVE: the kernel has enabled it. */
const FEATURE_BITS: Partial<Record<Feature, { c1?: number; d1?: number; b7?: number; c8?: number; d8?: number }>> = {
  x87: { d1: bit(0) }, cx8: { d1: bit(8) }, cmov: { d1: bit(15) }, clflush: { d1: bit(19) }, mmx: { d1: bit(23) },
  fxsr: { d1: bit(24) }, sse: { d1: bit(25) }, sse2: { d1: bit(26) }, sse3: { c1: bit(0) }, ssse3: { c1: bit(9) },
  cx16: { c1: bit(13) }, 'sse4.1': { c1: bit(19) }, 'sse4.2': { c1: bit(20) }, popcnt: { c1: bit(23) },
  lahf: { c8: bit(0) }, syscall: { d8: bit(11) }, rdtscp: { d8: bit(27) }, xsave: { c1: bit(26) | bit(27) }, rdrand: { c1: bit(30) },
  rdseed: { b7: bit(18) }, fsgsbase: { b7: bit(0) }, erms: { b7: bit(9) }, avx: { c1: bit(28) }, avx2: { b7: bit(5) },
  bmi1: { b7: bit(3) }, bmi2: { b7: bit(8) }, lzcnt: { c8: bit(5) }, movbe: { c1: bit(22) }, adx: { b7: bit(19) },
  aes: { c1: bit(25) }, pclmulqdq: { c1: bit(1) }, sha: { b7: bit(29) }, f16c: { c1: bit(29) }, fma: { c1: bit(12) },
}; // prettier-ignore
/** PSE TSC MSR PAE APIC PGE PAT PSE-36: what the machine has whatever its features. */
const BASE_EDX = bit(3) | bit(4) | bit(5) | bit(6) | bit(9) | bit(13) | bit(16) | bit(17);
/** No-execute and long mode. */
const BASE_EXTENDED_EDX = bit(20) | bit(29);
const HYPERVISOR = bit(31);

function text(four: string): number {
  let word = 0;
  for (let i = 3; i >= 0; i--) word = (word << 8) | four.charCodeAt(i);
  return word;
}

/** Type 1 data, 2 code, 3 unified. */
function cache(subleaf: number, type: number, level: number, kilobytes: number, ways: number): CpuidLeaf {
  const lineBytes = 64;
  const sets = (kilobytes * 1024) / (ways * lineBytes);
  return {
    leaf: 4, subleaf, eax: type | (level << 5) | bit(8), ebx: ((ways - 1) << 22) | (lineBytes - 1), ecx: sets - 1, edx: 0,
  }; // prettier-ignore
}

const VENDOR = ['Genu', 'ineI', 'ntel'] as const;
/** Processors that had such features: Nehalem and Haswell. */
const SIGNATURE = { v2: 0x0001_06a5, v3: 0x0003_06c3 } as const;
/** XGETBV, XSAVEC, XSAVEOPT. */
const XSAVE_KINDS = 7;

/** Components of the XSAVE area and where they lie (SDM vol. 1, 13.4). */
export const XSAVE = {
  x87: 1, sse: 2, avx: 4, header: 512, xstateBv: 512, xcompBv: 520, reserved: 528, avxAt: 576, legacyBytes: 576, avxBytes: 832,
} as const; // prettier-ignore

/** What XCR0 holds: the components that a CPU with these features has. */
export const xsaveComponents = (features: readonly string[]): number =>
  features.includes('xsave') ? XSAVE.x87 | XSAVE.sse | (features.includes('avx') ? XSAVE.avx : 0) : 0;
/** Bytes of the area for these components. */
export const xsaveBytes = (components: number): number =>
  components === 0 ? 0 : (components & XSAVE.avx) !== 0 ? XSAVE.avxBytes : XSAVE.legacyBytes;

/** Leaves in the order of look-up. EBX of leaf 1 lacks the APIC number, which the instruction adds. */
export function cpuidLeaves(features: readonly Feature[]): CpuidLeaf[] {
  const total = { c1: HYPERVISOR, d1: BASE_EDX, b7: 0, c8: 0, d8: BASE_EXTENDED_EDX };
  for (const feature of features) {
    const bits = FEATURE_BITS[feature] ?? {};
    total.c1 |= bits.c1 ?? 0;
    total.d1 |= bits.d1 ?? 0;
    total.b7 |= bits.b7 ?? 0;
    total.c8 |= bits.c8 ?? 0;
    total.d8 |= bits.d8 ?? 0;
  }
  const level = features.includes('avx2') ? 'v3' : 'v2';
  const name = `Ringside x86-64-${level} CPU`.padEnd(48, '\0');
  const brand = (at: number): number => text(name.slice(at, at + 4));
  const components = xsaveComponents(features);
  const areaBytes = xsaveBytes(components);
  const brandLeaf = (leaf: number, at: number): CpuidLeaf => ({ leaf, eax: brand(at), ebx: brand(at + 4), ecx: brand(at + 8), edx: brand(at + 12) }); // prettier-ignore
  return [
    { leaf: 0, eax: 13, ebx: text(VENDOR[0]), edx: text(VENDOR[1]), ecx: text(VENDOR[2]) },
    { leaf: 1, eax: SIGNATURE[level], ebx: (1 << 16) | (8 << 8), ecx: total.c1, edx: total.d1 },
    { leaf: 2, eax: 0x00fe_ff01, ebx: 0, ecx: 0, edx: 0 }, // caches are in leaf 4
    cache(0, 1, 1, 32, 8),
    cache(1, 2, 1, 32, 4),
    cache(2, 3, 2, 256, 8),
    cache(3, 3, 3, 8192, 16),
    { leaf: 7, subleaf: 0, eax: 0, ebx: total.b7, ecx: 0, edx: 0 },
    { leaf: 13, subleaf: 0, eax: components, ebx: areaBytes, ecx: areaBytes, edx: 0 },
    { leaf: 13, subleaf: 1, eax: components === 0 ? 0 : XSAVE_KINDS, ebx: areaBytes, ecx: 0, edx: 0 },
    ...(components & XSAVE.avx ? [{ leaf: 13, subleaf: 2, eax: 256, ebx: XSAVE.avxAt, ecx: 0, edx: 0 }] : []),
    { leaf: 0x4000_0000, eax: 0x4000_0000, ebx: text('Ring'), ecx: text('side'), edx: text('Ring') },
    { leaf: 0x8000_0000, eax: 0x8000_0008, ebx: 0, ecx: 0, edx: 0 },
    { leaf: 0x8000_0001, eax: 0, ebx: 0, ecx: total.c8, edx: total.d8 },
    brandLeaf(0x8000_0002, 0),
    brandLeaf(0x8000_0003, 16),
    brandLeaf(0x8000_0004, 32),
    { leaf: 0x8000_0006, eax: 0, ebx: 0, ecx: (256 << 16) | (6 << 12) | 64, edx: 0 },
    { leaf: 0x8000_0007, eax: 0, ebx: 0, ecx: 0, edx: bit(8) }, // the TSC's rate never changes
    { leaf: 0x8000_0008, eax: 40 | (48 << 8), ebx: 0, ecx: 0, edx: 0 },
  ];
}
