// The CPUs: /proc/cpuinfo as CPUID tells it, and /sys/devices/system/cpu.
import { leavesOf, type CpuidLeaf } from '../machine/index.ts';
import type { Kernel } from '../state.ts';
import { bitList } from './text.ts';
import { procDirectory, procFile, variables } from './tree.ts';

const ZERO: CpuidLeaf = { leaf: 0, eax: 0, ebx: 0, ecx: 0, edx: 0 };
const leafOf = (kernel: Kernel, leaf: number, subleaf = 0): CpuidLeaf =>
  leavesOf(kernel.machine.config.cpuModel).find(
    (entry) => entry.leaf === leaf && (entry.subleaf ?? subleaf) === subleaf,
  ) ?? ZERO;

const letters = (...words: readonly number[]): string =>
  words
    .map((word) => String.fromCharCode(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24))
    .join('');

/** Linux's names of CPUID bits (arch/x86/include/asm/cpufeatures.h), by bit. */
const LEAF1_EDX = ['fpu', 'vme', 'de', 'pse', 'tsc', 'msr', 'pae', 'mce', 'cx8', 'apic', '', 'sep', 'mtrr', 'pge', 'mca', 'cmov', 'pat', 'pse36', 'pn', 'clflush', '', 'dts', 'acpi', 'mmx', 'fxsr', 'sse', 'sse2', 'ss', 'ht', 'tm', 'ia64', 'pbe']; // prettier-ignore
const EXTENDED_EDX: Readonly<Record<number, string>> = {
  11: 'syscall',
  20: 'nx',
  26: 'pdpe1gb',
  27: 'rdtscp',
  29: 'lm',
};
const LEAF1_ECX = ['pni', 'pclmulqdq', 'dtes64', 'monitor', 'ds_cpl', 'vmx', 'smx', 'est', 'tm2', 'ssse3', 'cid', 'sdbg', 'fma', 'cx16', 'xtpr', 'pdcm', '', 'pcid', 'dca', 'sse4_1', 'sse4_2', 'x2apic', 'movbe', 'popcnt', 'tsc_deadline_timer', 'aes', 'xsave', '', 'avx', 'f16c', 'rdrand', 'hypervisor']; // prettier-ignore
const LEAF7_EBX: Readonly<Record<number, string>> = {
  0: 'fsgsbase', 3: 'bmi1', 5: 'avx2', 8: 'bmi2', 9: 'erms', 18: 'rdseed', 19: 'adx', 29: 'sha_ni',
}; // prettier-ignore
const LEAF13_EAX: Readonly<Record<number, string>> = { 0: 'xsaveopt', 1: 'xsavec', 2: 'xgetbv1' };
const EXTENDED_ECX: Readonly<Record<number, string>> = { 0: 'lahf_lm', 5: 'abm' };

function flagNames(word: number, names: Readonly<Record<number, string>>): string[] {
  return Array.from({ length: 32 }, (_, bit) =>
    ((word >>> bit) & 1) === 1 ? (names[bit] ?? '') : '',
  ).filter((name) => name !== '');
}

function flags(kernel: Kernel): string {
  const basic = leafOf(kernel, 1);
  const extended = leafOf(kernel, 0x8000_0001);
  const structured = leafOf(kernel, 7);
  const saving = leafOf(kernel, 13, 1);
  return [
    ...flagNames(basic.edx, LEAF1_EDX), ...flagNames(extended.edx, EXTENDED_EDX), 'constant_tsc',
    ...flagNames(basic.ecx, LEAF1_ECX), ...flagNames(extended.ecx, EXTENDED_ECX), ...flagNames(structured.ebx, LEAF7_EBX),
    ...flagNames(saving.eax, LEAF13_EAX),
  ].join(' '); // prettier-ignore
}

interface Cache {
  readonly level: number;
  readonly type: string;
  readonly kilobytes: number;
  readonly ways: number;
  readonly sets: number;
  readonly lineBytes: number;
}

const TYPES: Readonly<Record<number, string>> = { 1: 'Data', 2: 'Instruction', 3: 'Unified' };

/** The same in every model. */
const caches: readonly Cache[] = leavesOf('v2')
  .filter(({ leaf }) => leaf === 4)
  .map(({ eax, ebx, ecx }) => {
    const ways = (ebx >>> 22) + 1;
    const lineBytes = (ebx & 0xfff) + 1;
    return {
      level: (eax >>> 5) & 7,
      type: TYPES[eax & 31] ?? '',
      ways,
      lineBytes,
      sets: ecx + 1,
      kilobytes: (ways * lineBytes * (ecx + 1)) / 1024,
    };
  });

/** One instruction a nanosecond, and a time-stamp counter that counts nanoseconds: 1 GHz. */
const MHZ = '1000.000';

procFile('/proc/cpuinfo', 0o444, (kernel) => {
  const vendor = leafOf(kernel, 0);
  const signature = leafOf(kernel, 1).eax;
  const sizes = leafOf(kernel, 0x8000_0008).eax;
  const brand = [2, 3, 4].map((part) => leafOf(kernel, 0x8000_0000 + part)).map(({ eax, ebx, ecx, edx }) => letters(eax, ebx, ecx, edx)).join(''); // prettier-ignore
  const rows = (cpu: number): (readonly [string, string | number])[] => [
    ['processor', cpu], ['vendor_id', letters(vendor.ebx, vendor.edx, vendor.ecx)], ['cpu family', (signature >>> 8) & 15],
    ['model', ((signature >>> 4) & 15) | ((signature >>> 12) & 0xf0)], ['model name', brand.replace(/\0+$/, '')],
    ['stepping', signature & 15], ['cpu MHz', MHZ], ['cache size', `${caches.at(-1)?.kilobytes ?? 0} KB`],
    ['physical id', 0], ['siblings', kernel.config.cpuCount], ['core id', cpu], ['cpu cores', kernel.config.cpuCount],
    ['apicid', cpu], ['initial apicid', cpu], ['fpu', 'yes'], ['fpu_exception', 'yes'], ['cpuid level', vendor.eax],
    ['wp', 'yes'], ['flags', flags(kernel)], ['bugs', ''], ['bogomips', '2000.00'],
    ['clflush size', ((leafOf(kernel, 1).ebx >>> 8) & 0xff) * 8], ['cache_alignment', 64],
    ['address sizes', `${sizes & 0xff} bits physical, ${(sizes >>> 8) & 0xff} bits virtual`], ['power management', ''],
  ]; // prettier-ignore
  const line = ([name, value]: readonly [string, string | number]): string => {
    const tabs = name.length < 8 ? '\t\t' : name.length < 16 ? '\t' : '';
    return `${name}${tabs}:${value === '' ? '' : ` ${value}`}\n`;
  };
  return Array.from({ length: kernel.config.cpuCount }, (_, cpu) => `${rows(cpu).map(line).join('')}\n`).join(
    '',
  );
});

const CPU = '/sys/devices/system/cpu';
const all = (count: number): string => (count === 1 ? '0' : `0-${count - 1}`);
for (const name of ['online', 'possible', 'present'])
  procFile(`${CPU}/${name}`, 0o444, (kernel) => `${all(kernel.config.cpuCount)}\n`);
procFile(`${CPU}/offline`, 0o444, () => '\n');
procFile(`${CPU}/isolated`, 0o444, () => '\n');
procFile(`${CPU}/kernel_max`, 0o444, () => '15\n');

variables['{cpu}'] = {
  list: (kernel) => Array.from({ length: kernel.config.cpuCount }, (_, cpu) => `cpu${cpu}`),
  has: (kernel, _names, name) => /^cpu\d+$/.test(name) && Number(name.slice(3)) < kernel.config.cpuCount,
};
variables['{index}'] = {
  list: () => caches.map((_, index) => `index${index}`),
  has: (_kernel, _names, name) => /^index\d+$/.test(name) && Number(name.slice(5)) < caches.length,
};

const numberOf = (name: string | undefined): number => Number((name ?? '').replace(/^\D+/, ''));
const mask = (bits: number): string => (bits >>> 0).toString(16);
const everyCpu = (count: number): number => 2 ** count - 1;

const topology: Readonly<Record<string, (cpu: number, count: number) => string>> = {
  core_id: (cpu) => String(cpu),
  physical_package_id: () => '0',
  thread_siblings: (cpu) => mask(2 ** cpu),
  thread_siblings_list: (cpu) => String(cpu),
  core_siblings: (_cpu, count) => mask(everyCpu(count)),
  core_siblings_list: (_cpu, count) => all(count),
  package_cpus_list: (_cpu, count) => all(count),
};
for (const [name, show] of Object.entries(topology)) {
  procFile(
    `${CPU}/{cpu}/topology/${name}`,
    0o444,
    (kernel, { names }) => `${show(numberOf(names[0]), kernel.config.cpuCount)}\n`,
  );
}

const cacheFiles: Readonly<Record<string, (cache: Cache, cpu: number, count: number) => string | number>> = {
  level: ({ level }) => level,
  type: ({ type }) => type,
  size: ({ kilobytes }) => `${kilobytes}K`,
  ways_of_associativity: ({ ways }) => ways,
  number_of_sets: ({ sets }) => sets,
  coherency_line_size: ({ lineBytes }) => lineBytes,
  shared_cpu_list: ({ level }, cpu, count) => (level < 3 ? cpu : bitList(everyCpu(count))),
  shared_cpu_map: ({ level }, cpu, count) => mask(level < 3 ? 2 ** cpu : everyCpu(count)),
};
for (const [name, show] of Object.entries(cacheFiles)) {
  procFile(`${CPU}/{cpu}/cache/{index}/${name}`, 0o444, (kernel, { names }) => {
    const cache = caches[numberOf(names[1])];
    return cache === undefined ? '' : `${show(cache, numberOf(names[0]), kernel.config.cpuCount)}\n`;
  });
}
procDirectory('/sys/devices/system');
procFile('/sys/devices/system/node/online', 0o444, () => '0\n');
procFile('/sys/devices/system/node/possible', 0o444, () => '0\n');
procFile('/sys/devices/system/node/node0/cpulist', 0o444, (kernel) => `${all(kernel.config.cpuCount)}\n`);
