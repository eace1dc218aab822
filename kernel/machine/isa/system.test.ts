// Kernel instructions at CPL 0 and what they give at CPL 3, by table; descriptors and returns on a GDT in memory.
import { describe, expect, it } from 'vitest';
import type { TestCpu } from '../exec/test-cpu.ts';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import { connectPorts } from '../devices/ports.ts';
import { CONTEXT, SYSTEM } from '../layout.ts';
import { store64 } from '../memory.ts';
import { flushTlb } from '../run.ts';
import { takesInterrupts } from '../system-state.ts';

const kernelCpu = (code: string): TestCpu => bootTestCpu(code, 'v2', 'kernel');
const field = (cpu: TestCpu, at: number): bigint => cpu.getField(at, 8);
const UD = { kind: 'exception', vector: 6, executed: 0 };
const GP0 = { kind: 'exception', vector: 13, errorCode: 0, executed: 0 };

describe('at CPL 3', () => {
  it.each([
    ['hlt', 'F4', GP0],
    ['cli', 'FA', GP0],
    ['sti', 'FB', GP0],
    ['in al, 80h', 'E4 80', GP0],
    ['in eax, dx', 'ED', GP0],
    ['out dx, al', 'EE', GP0],
    ['insb', '6C', GP0],
    ['rep outsd', 'F3 6F', GP0],
    ['clts', '0F 06', GP0],
    ['invd', '0F 08', GP0],
    ['wbinvd', '0F 09', GP0],
    ['mov rax, cr0', '0F 20 C0', GP0],
    ['mov cr3, rax, mod is ignored', '0F 22 18', GP0],
    ['mov cr8, rax', '44 0F 22 C0', GP0],
    ['mov rax, cr1', '0F 20 C8', UD],
    ['mov rax, dr7', '0F 21 F8', GP0],
    ['mov dr0, rax', '0F 23 C0', GP0],
    ['mov rax, dr8', '44 0F 21 C0', UD],
    ['rdmsr', '0F 32', GP0],
    ['wrmsr', '0F 30', GP0],
    ['rdpmc', '0F 33', GP0],
    ['sysret', '48 0F 07', GP0],
    ['sysenter', '0F 34', UD],
    ['sysexit', '0F 35', UD],
    ['swapgs', '0F 01 F8', GP0],
    ['lgdt [0]', '0F 01 14 25 00 00 00 00', GP0],
    ['lidt [0]', '0F 01 1C 25 00 00 00 00', GP0],
    ['lldt ax', '0F 00 D0', GP0],
    ['ltr ax', '0F 00 D8', GP0],
    ['lmsw ax', '0F 01 F0', GP0],
    ['invlpg [0]', '0F 01 3C 25 00 00 00 00', GP0],
    ['monitor', '0F 01 C8', UD],
    ['invpcid', '66 0F 38 82 03', UD],
    ['stac', '0F 01 CB', UD],
    ['lock mov cr0, rax', 'F0 0F 22 C0', UD],
    ['mov cs, eax', '8E C8', UD],
    ['mov gs+1, eax', '8E F0', UD],
    ['int 20h', 'CD 20', { ...GP0, errorCode: 0x102 }],
  ])('%s', (_name, code, trap) => {
    expect(bootTestCpu(code).run(1)).toMatchObject({ ...trap, cpl: 3 });
  });
  it('reads the tables and the machine status word, and the counter until CR4.TSD', () => {
    const cpu = bootTestCpu('0F 01 03 0F 01 4B 10 0F 00 C1 0F 01 E2 0F 31 0F 31');
    cpu.set('rbx', TEST.data);
    cpu.set('rcx', -1);
    expect(cpu.run(4).kind).toBe('budget');
    expect(cpu.get64(TEST.data)).toBe(0x7fn);
    expect(cpu.get64(TEST.data + 16)).toBe(0n);
    expect(cpu.get('rcx')).toBe(0n); // sldt
    expect(cpu.get('rdx')).toBe(0x8005_0033n);
    expect(cpu.run(1).kind).toBe('budget');
    cpu.setField(SYSTEM.cr4, 8, field(cpu, SYSTEM.cr4) | 4n);
    expect(cpu.run(1)).toMatchObject(GP0);
  });
});

describe('control registers', () => {
  it.each([
    ['CR0', '0F 22 C0', SYSTEM.cr0, 0x8005_0033n, 0x8005_0033n],
    ['CR0: unknown bits read as 0, ET is 1', '0F 22 C0', SYSTEM.cr0, 0x9f05_ffe3n, 0x8005_0033n],
    ['CR0.TS', '0F 22 C0', SYSTEM.cr0, 0x8005_003bn, 0x8005_003bn],
    ['CR2', '0F 22 D0', CONTEXT.cr2, 0x1234_5678_9abc_def0n, 0x1234_5678_9abc_def0n],
    ['CR3', '0F 22 D8', CONTEXT.cr3, 0x1018n, 0x1018n],
    ['CR4', '0F 22 E0', SYSTEM.cr4, 0x7b4n, 0x7b4n],
    ['CR8', '44 0F 22 C0', SYSTEM.cr8, 15n, 15n],
  ])('%s takes a value', (_name, code, at, value, stays) => {
    const cpu = kernelCpu(`${code} 0F 20 C1`);
    cpu.set('rax', value);
    expect(cpu.run(2).kind).toBe('budget');
    expect(field(cpu, at)).toBe(stays);
    expect(cpu.get('rcx')).toBe(field(cpu, SYSTEM.cr0));
  });
  it.each([
    ['CR0 with a high bit', '0F 22 C0', 0x1_8005_0033n],
    ['CR0 without PG', '0F 22 C0', 0x0005_0033n],
    ['CR0 without PE', '0F 22 C0', 0x8005_0032n],
    ['CR0 with NW but not CD', '0F 22 C0', 0xa005_0033n],
    ['CR3 above 40 bits', '0F 22 D8', 1n << 40n],
    ['CR4 without PAE', '0F 22 E0', 0x690n],
    ['CR4 with SMEP', '0F 22 E0', 0x10_06b0n],
    ['CR4 with PCIDE', '0F 22 E0', 0x2_06b0n],
    ['CR4 with a high bit', '0F 22 E0', 0x1_0000_06b0n],
    ['CR8 above 15', '44 0F 22 C0', 16n],
    ['DR7 with a high bit', '0F 23 F8', 1n << 32n],
    ['DR6 with a high bit', '0F 23 F0', 1n << 63n],
  ])('%s is a #GP(0)', (_name, code, value) => {
    const cpu = kernelCpu(code);
    cpu.set('rax', value);
    expect(cpu.run(1)).toMatchObject({ ...GP0, cpl: 0 });
    expect(field(cpu, SYSTEM.cr0)).toBe(0x8005_0033n);
  });
  it('CLTS, LMSW and SMSW change and show the low bits', () => {
    const cpu = kernelCpu('0F 01 F0 0F 01 E1 0F 06 66 0F 01 E2');
    cpu.set('rax', 0x8);
    cpu.set('rdx', -1);
    cpu.run(2);
    expect(cpu.get('rcx')).toBe(0x8005_0039n);
    cpu.run(2);
    expect(cpu.get('rdx')).toBe(0xffff_ffff_ffff_0031n);
  });
  it('debug registers keep what they have, DR4 is DR6 without CR4.DE, GD guards them', () => {
    const cpu = kernelCpu('0F 23 C0 0F 23 F0 0F 21 E1 0F 23 F8 0F 21 FA 0F 21 FB');
    cpu.set('rax', 0x1_2000);
    expect(cpu.run(2).kind).toBe('budget');
    cpu.run(1);
    expect(cpu.get('rcx')).toBe(0xffff_2ff0n);
    cpu.set('rax', 0xffff_ffff);
    cpu.run(1);
    expect(field(cpu, SYSTEM.dr + 56)).toBe(0xffff_2fffn);
    expect(cpu.run(1)).toMatchObject({ vector: 1, executed: 0 });
    cpu.run(2);
    expect(cpu.get('rbx')).toBe(0xffff_0fffn);
  });
});

describe('model-specific registers', () => {
  const access = (index: number, value: bigint | undefined): { cpu: TestCpu; ok: boolean } => {
    const cpu = kernelCpu(value === undefined ? '0F 32' : '0F 30 0F 32');
    cpu.set('rcx', BigInt(index) | (0xabcdn << 32n));
    if (value !== undefined) {
      cpu.set('rax', (value & 0xffff_ffffn) | (7n << 40n));
      cpu.set('rdx', (value >> 32n) | (7n << 40n));
    }
    const trap = cpu.run(value === undefined ? 1 : 2);
    if (trap.kind !== 'budget') expect(trap).toMatchObject({ ...GP0, cpl: 0 });
    return { cpu, ok: trap.kind === 'budget' };
  };
  const result = (cpu: TestCpu): bigint => (cpu.get('rdx') << 32n) | cpu.get('rax');
  it.each([
    ['APIC base', 0x1b, 0xfee0_0900n],
    ['microcode', 0x8b, 0n],
    ['MTRRCAP', 0xfe, 0x508n],
    ['MISC_ENABLE', 0x1a0, 0x1801n],
    ['PAT', 0x277, 0x0007_0406_0007_0406n],
    ['MTRRdefType', 0x2ff, 0x806n],
    ['EFER', 0xc000_0080, 0xd01n],
    ['STAR', 0xc000_0081, 0x0023_0010_0000_0000n],
  ])('%s after power-on', (_name, index, value) => {
    const { cpu, ok } = access(index, undefined);
    expect(ok).toBe(true);
    expect(result(cpu)).toBe(value);
  });
  it.each([
    ['APIC base', 0x1b, 0xfee0_0800n],
    ['PAT', 0x277, 0x0001_0405_0607_0406n],
    ['MTRRphysBase0', 0x200, 0x1_0000_0006n],
    ['MTRRphysMask7', 0x20f, 0xff_f000_0800n],
    ['MTRRfix4K_F8000', 0x26f, 0x0606_0501_0400_0606n],
    ['MTRRdefType', 0x2ff, 0xc00n],
    ['STAR', 0xc000_0081, 0x1122_3344_5566_7788n],
    ['LSTAR', 0xc000_0082, 0xffff_8000_0000_0000n],
    ['CSTAR', 0xc000_0083, 0x7fff_ffff_ffffn],
    ['SFMASK', 0xc000_0084, 0xffff_ffffn],
    ['FS base', 0xc000_0100, 0x7fff_1234_5678n],
    ['GS base', 0xc000_0101, 0xffff_ffff_8000_0000n],
    ['kernel GS base', 0xc000_0102, 1n],
    ['TSC_AUX', 0xc000_0103, 0xffff_ffffn],
    ['EFER without NXE', 0xc000_0080, 0x501n],
  ])('%s takes a value', (_name, index, value) => {
    const { cpu, ok } = access(index, value);
    expect(ok).toBe(true);
    expect(result(cpu)).toBe(value);
  });
  it.each([
    ['no such register', 0x1234, undefined],
    ['no such register, written', 0xc001_0015, 0n],
    ['MTRRCAP is for reading', 0xfe, 0x508n],
    ['LSTAR not canonical', 0xc000_0082, 0x8000_0000_0000n],
    ['GS base not canonical', 0xc000_0101, 1n << 63n],
    ['SFMASK above 32 bits', 0xc000_0084, 1n << 32n],
    ['TSC_AUX above 32 bits', 0xc000_0103, 1n << 32n],
    ['EFER without LME', 0xc000_0080, 0xc01n],
    ['EFER with SVME', 0xc000_0080, 0x1d01n],
    ['PAT with type 2', 0x277, 0x0007_0406_0007_0206n],
    ['PAT with type 8', 0x277, 0x0807_0406_0007_0406n],
    ['MTRR with type 7', 0x250, 7n],
    ['MTRRphysBase above 40 bits', 0x200, 1n << 40n],
    ['MISC_ENABLE with XD disable', 0x1a0, (1n << 34n) | 0x1801n],
    ['APIC base with x2APIC', 0x1b, 0xfee0_0c00n],
  ])('%s: #GP(0)', (_name, index, value) => {
    expect(access(index, value).ok).toBe(false);
  });
  it('a written counter goes on from there', () => {
    const cpu = kernelCpu('0F 30 90 90 0F 31');
    cpu.set('rcx', 0x10);
    cpu.set('rax', 1000);
    cpu.run(4);
    expect(cpu.get('rax')).toBe(1003n);
    expect(cpu.getField(CONTEXT.tsc, 8)).toBe(1003n);
  });
  it('SYSCALL needs EFER.SCE, RDTSCP shows TSC_AUX, SWAPGS exchanges', () => {
    const cpu = kernelCpu('0F 01 F8 0F 01 F9 0F 05');
    cpu.set('gsBase', 0x1000);
    cpu.setField(SYSTEM.kernelGsBase, 8, 0x2000n);
    cpu.setField(SYSTEM.tscAux, 8, 0x77n);
    cpu.setField(SYSTEM.efer, 8, 0xd00n);
    cpu.run(2);
    expect(cpu.get('gsBase')).toBe(0x2000n);
    expect(field(cpu, SYSTEM.kernelGsBase)).toBe(0x1000n);
    expect(cpu.get('rcx')).toBe(0x77n);
    expect(cpu.run(1)).toMatchObject(UD);
  });
});

describe('interrupts and flags', () => {
  it('hold off behind STI for one instruction, and not if they were on', () => {
    const cpu = kernelCpu('FA FB 90 FB');
    const { machine } = cpu;
    cpu.run(1);
    expect(takesInterrupts(machine, 0)).toBe(false);
    cpu.run(1);
    expect(cpu.get('rflags') & 0x200n).toBe(0x200n);
    expect(takesInterrupts(machine, 0)).toBe(false);
    cpu.run(1);
    expect(takesInterrupts(machine, 0)).toBe(true);
    cpu.run(1);
    expect(takesInterrupts(machine, 0)).toBe(true);
  });
  it.each([
    ['kernel', 0x3202n, 0x27_7fd7n, 0x24_7fd7n],
    ['user', 0x202n, 0x20_3000n, 0x20_0202n],
    ['user', 0x3202n, 0x0n, 0x3002n],
  ] as const)('POPF at CPL of %s changes what it may', (privilege, before, popped, after) => {
    const cpu = bootTestCpu('9D', 'v2', privilege);
    cpu.set('rflags', before);
    cpu.set64(Number(cpu.get('rsp')), popped & ~0x100n);
    cpu.run(1);
    expect(cpu.get('rflags')).toBe(after & ~0x100n);
  });
  it('halts at CPL 0', () => {
    const cpu = kernelCpu('F4');
    expect(cpu.run(5)).toMatchObject({ kind: 'halt', executed: 1, cpl: 0 });
    expect(cpu.get('rip')).toBe(BigInt(TEST.code + 1));
  });
});

describe('ports', () => {
  it('move bytes, words and doublewords, one at a time and repeated', () => {
    const cpu = kernelCpu('E6 80 EC 66 ED ED F3 66 6D F3 6E E5 90');
    const written: number[] = [];
    let next = 0x8811_2233;
    const device = {
      name: 'test',
      first: 0x80,
      count: 4,
      read: () => next++,
      write: (port: number, bytes: number, value: number) => written.push(port, bytes, value),
    };
    expect(connectPorts(cpu.machine.ports, device)).toBe(true);
    expect(connectPorts(cpu.machine.ports, { ...device, first: 0x83 })).toBe(false);
    expect(connectPorts(cpu.machine.ports, { ...device, first: 0xffff })).toBe(false);
    cpu.set('rax', 0x1_2345_6789n);
    cpu.set('rdx', 0x80);
    cpu.run(1);
    expect(written).toEqual([0, 1, 0x89]);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(0x1_2345_6733n);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(0x1_2345_2234n);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(0x8811_2235n);
    cpu.set('rcx', 3);
    cpu.set('rdi', TEST.data + 4093);
    cpu.run(1);
    expect([...cpu.getBytes(TEST.data + 4093, 7)]).toEqual([0x36, 0x22, 0x37, 0x22, 0x38, 0x22, 0]);
    expect(cpu.get('rdi')).toBe(BigInt(TEST.data + 4099));
    cpu.set('rcx', 2);
    cpu.set('rsi', TEST.data + 4093);
    written.length = 0;
    expect(cpu.run(1).executed).toBe(1);
    expect(written).toEqual([0, 1, 0x36, 0, 1, 0x22]);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(0xffff_ffffn); // nobody there
    cpu.machine.ports.devices.length = 0;
  });
  it('is open to user code by the bitmap of the task-state segment', () => {
    const bitmapAt = 104;
    const inAt = (port: number, limit: number): unknown => {
      const cpu = bootTestCpu('EC 66 ED');
      cpu.setField(SYSTEM.tssBase, 8, BigInt(TEST.data));
      cpu.setField(SYSTEM.tssLimit, 4, BigInt(limit));
      cpu.setBytes(TEST.data + 0x66, [bitmapAt, 0]);
      cpu.setBytes(TEST.data + bitmapAt, [0xff, 0xfe, 0x7f, 0xff, 0xff]);
      cpu.set('rdx', port);
      return cpu.run(1).kind;
    };
    expect(inAt(8, bitmapAt + 4)).toBe('budget');
    expect(inAt(9, bitmapAt + 4)).toBe('exception');
    expect(inAt(23, bitmapAt + 4)).toBe('budget');
    expect(inAt(23, bitmapAt + 2)).toBe('exception');
    expect(inAt(0x8000, bitmapAt + 4)).toBe('exception');
  });
});

// A GDT in the second half of the data page, which user code cannot read
const GDT = TEST.data + 4096;
const DESCRIPTOR = {
  kernelCode: 0x00af_9b00_0000_ffffn,
  kernelData: 0x00cf_9300_0000_ffffn,
  userCode: 0x00af_fb00_0000_ffffn,
  userData: 0x00cf_f300_0000_ffffn,
  code32: 0x00cf_fb00_0000_ffffn,
  absentData: 0x00cf_7300_0000_ffffn,
  absentCode: 0x00af_7b00_0000_ffffn,
  readOnly: 0x00cf_f100_0000_ffffn,
  based: 0x12cf_f334_5678_ffffn,
  executeOnly: 0x00a0_f900_0000_0fffn,
  conforming: 0x00af_9f00_0000_ffffn,
  fresh: 0x00cf_f200_0000_ffffn,
  tss: 0x5000_8950_1000_0067n,
} as const;
type Name = keyof typeof DESCRIPTOR;
const NAMES: readonly Name[] = ['kernelCode', 'kernelData', 'userCode', 'userData', 'code32', 'absentData', 'absentCode', 'readOnly', 'based', 'executeOnly', 'conforming', 'fresh', 'tss']; // prettier-ignore
const selector = (name: Name, rpl = 0): number => (NAMES.indexOf(name) + 1) * 8 + rpl;

function withGdt(code: string, privilege: 'user' | 'kernel'): TestCpu {
  const cpu = bootTestCpu(code, 'v2', privilege);
  NAMES.forEach((name, i) => cpu.set64(GDT + 8 + i * 8, DESCRIPTOR[name]));
  cpu.set64(GDT + 8 + NAMES.length * 8, 0n);
  cpu.setField(SYSTEM.gdtBase, 8, BigInt(GDT));
  cpu.setField(SYSTEM.gdtLimit, 4, BigInt((NAMES.length + 2) * 8 - 1));
  cpu.setField(SYSTEM.gdtLoaded, 4, 1n);
  const pageEntry = 0x4000 + (GDT >> 12) * 8;
  store64(cpu.machine, pageEntry, 0x11_1003); // supervisor
  flushTlb(cpu.machine, 0);
  return cpu;
}
const restore = (cpu: TestCpu): void => {
  store64(cpu.machine, 0x4000 + (GDT >> 12) * 8, 0x11_1007);
  flushTlb(cpu.machine, 0);
};

describe('segment registers', () => {
  it.each([
    ['null into DS', 'user', '8E D8', 0, undefined],
    ['user data into DS', 'user', '8E D8', selector('userData', 3), undefined],
    ['kernel data into DS', 'user', '8E D8', selector('kernelData'), [13, selector('kernelData')]],
    ['RPL 3 on kernel data', 'kernel', '8E D8', selector('kernelData', 3), [13, selector('kernelData')]],
    ['readable code into ES', 'user', '8E C0', selector('userCode', 3), undefined],
    ['code that only executes', 'user', '8E C0', selector('executeOnly', 3), [13, selector('executeOnly')]],
    ['conforming code of the kernel', 'user', '8E C0', selector('conforming', 3), undefined],
    ['absent data', 'user', '8E D8', selector('absentData', 3), [11, selector('absentData')]],
    ['behind the limit', 'user', '8E D8', 0x1fb, [13, 0x1f8]],
    ['no LDT', 'user', '8E D8', 7, [13, 4]],
    ['null into SS at CPL 3', 'user', '8E D0', 3, [13, 0]],
    ['null into SS at CPL 0', 'kernel', '8E D0', 0, undefined],
    ['null with RPL 3 into SS at CPL 0', 'kernel', '8E D0', 3, [13, 0]],
    ['user data into SS', 'user', '8E D0', selector('userData', 3), undefined],
    ['read-only data into SS', 'user', '8E D0', selector('readOnly', 3), [13, selector('readOnly')]],
    ['RPL 0 into SS at CPL 3', 'user', '8E D0', selector('userData'), [13, selector('userData')]],
    ['absent data into SS', 'user', '8E D0', selector('absentData', 3), [12, selector('absentData')]],
    ['a task-state segment into FS', 'kernel', '8E E0', selector('tss'), [13, selector('tss')]],
  ] as const)('%s', (_name, privilege, code, value, fault) => {
    const cpu = withGdt(code, privilege);
    cpu.set('rax', value);
    const trap = cpu.run(1);
    if (fault === undefined) {
      expect(trap.kind).toBe('budget');
      const number = { '8E D8': 3, '8E C0': 0, '8E D0': 2, '8E E0': 4 }[code];
      expect(cpu.getField(CONTEXT.selectors + number * 2, 2)).toBe(BigInt(value));
    } else expect(trap).toMatchObject({ vector: fault[0], errorCode: fault[1], executed: 0 });
    restore(cpu);
  });
  it('take their base from the descriptor and mark it accessed', () => {
    const cpu = withGdt('8E E0 8E E1 0F A0 0F A9 0F B4 13', 'user');
    cpu.set('rax', selector('based', 3));
    cpu.run(1);
    expect(cpu.get('fsBase')).toBe(0x1234_5678n);
    cpu.set('rcx', selector('fresh', 3));
    cpu.run(1);
    expect(cpu.get('fsBase')).toBe(0n);
    expect(cpu.get64(GDT + selector('fresh'))).toBe(DESCRIPTOR.userData);
    const top = cpu.get('rsp');
    cpu.run(2);
    expect(cpu.get('rsp')).toBe(top);
    expect(cpu.getField(CONTEXT.selectors + 10, 2)).toBe(BigInt(selector('fresh', 3)));
    // lfs edx, [rbx]
    cpu.set('rbx', TEST.data);
    cpu.setBytes(TEST.data, [0x78, 0x56, 0x34, 0x92, selector('based', 3), 0]);
    cpu.run(1);
    expect(cpu.get('rdx')).toBe(0x9234_5678n);
    expect(cpu.get('fsBase')).toBe(0x1234_5678n);
    // The GDT is still out of reach
    cpu.set('rip', TEST.code + 8);
    cpu.set('rbx', GDT);
    expect(cpu.run(1)).toMatchObject({ vector: 14, errorCode: 5 });
    restore(cpu);
  });
  it('hold interrupts off behind a load of SS', () => {
    const cpu = withGdt('8E D0 90', 'kernel');
    cpu.set('rax', selector('kernelData'));
    cpu.run(1);
    expect(takesInterrupts(cpu.machine, 0)).toBe(false);
    cpu.run(1);
    expect(takesInterrupts(cpu.machine, 0)).toBe(true);
    restore(cpu);
  });
  it('have Linux selectors where no GDT was loaded', () => {
    const cpu = bootTestCpu('8E D8 0F 03 C9 0F 02 D2');
    cpu.set('rax', 0x2b);
    cpu.set('rcx', 0x7b);
    cpu.set('rdx', 0x33);
    cpu.run(3);
    expect(cpu.get('rcx')).toBe(0n); // the CPU's number
    expect(cpu.get('rdx')).toBe(0xaf_fb00n);
    expect(cpu.get('rflags') & 0x40n).toBe(0x40n);
  });
});

describe('selector queries', () => {
  it.each([
    ['null', 0, 'user', undefined, undefined, false, false],
    ['user data', selector('userData', 3), 'user', 0xcf_f300n, 0xffff_ffffn, true, true],
    ['read-only data', selector('readOnly', 3), 'user', 0xcf_f100n, 0xffff_ffffn, true, false],
    ['user code', selector('userCode', 3), 'user', 0xaf_fb00n, 0xffff_ffffn, true, false],
    ['code that only executes', selector('executeOnly', 3), 'user', 0xa0_f900n, 0xff_ffffn, false, false],
    ['kernel data from user code', selector('kernelData'), 'user', undefined, undefined, false, false],
    ['kernel data', selector('kernelData'), 'kernel', 0xcf_9300n, 0xffff_ffffn, true, true],
    [
      'conforming kernel code from user code',
      selector('conforming', 3),
      'user',
      0xaf_9f00n,
      0xffff_ffffn,
      true,
      false,
    ],
    ['a task-state segment', selector('tss'), 'kernel', 0x8900n, 0x67n, false, false],
    ['behind the limit', 0xff8, 'kernel', undefined, undefined, false, false],
  ] as const)('%s', (_name, value, privilege, rights, limit, readable, writable) => {
    const cpu = withGdt('0F 02 C8 0F 03 D0 0F 00 E0 0F 00 E8', privilege);
    const zero = (): boolean => (cpu.get('rflags') & 0x40n) !== 0n;
    cpu.set('rax', value);
    cpu.set('rcx', 1);
    cpu.set('rdx', 1);
    cpu.run(1);
    expect([zero(), cpu.get('rcx')]).toEqual([rights !== undefined, rights ?? 1n]);
    cpu.run(1);
    expect([zero(), cpu.get('rdx')]).toEqual([limit !== undefined, limit ?? 1n]);
    cpu.run(1);
    expect(zero()).toBe(readable);
    cpu.run(1);
    expect(zero()).toBe(writable);
    restore(cpu);
  });
});

describe('descriptor-table registers', () => {
  it('LGDT and LIDT load, SGDT and SIDT store', () => {
    const cpu = kernelCpu('0F 01 13 0F 01 5B 10 0F 01 43 20 0F 01 4B 30');
    cpu.set('rbx', TEST.data);
    cpu.setBytes(TEST.data, [0x34, 0x12, 8, 7, 6, 5, 4, 0x80, 0xff, 0xff]);
    cpu.setBytes(TEST.data + 16, [0xff, 0x0f, 1, 2, 3, 4, 5, 6, 0, 0]);
    cpu.run(4);
    expect(cpu.getBytes(TEST.data + 32, 10)).toEqual(cpu.getBytes(TEST.data, 10));
    expect(cpu.getBytes(TEST.data + 48, 10)).toEqual(cpu.getBytes(TEST.data + 16, 10));
    cpu.set('rip', TEST.code);
    cpu.setBytes(TEST.data + 9, [1]);
    expect(cpu.run(1)).toMatchObject(GP0);
  });
  it('LTR marks the descriptor busy and refuses what is none', () => {
    const cpu = withGdt('0F 00 D8 0F 00 C9 0F 00 D8', 'kernel');
    const tss = BigInt(selector('tss'));
    cpu.set('rax', tss);
    cpu.run(2);
    expect(cpu.get('rcx')).toBe(tss);
    expect(field(cpu, SYSTEM.tssBase)).toBe(0x5050_1000n);
    expect(cpu.getField(SYSTEM.tssLimit, 4)).toBe(0x67n);
    expect(cpu.get64(GDT + Number(tss)) & (0xfn << 40n)).toBe(0xbn << 40n);
    expect(cpu.run(1)).toMatchObject({ vector: 13, errorCode: Number(tss) }); // busy
    cpu.set('rax', 0);
    expect(cpu.run(1)).toMatchObject(GP0);
    cpu.set('rax', selector('userData'));
    expect(cpu.run(1)).toMatchObject({ vector: 13, errorCode: selector('userData') });
    restore(cpu);
  });
  it('LLDT gives selectors with TI a table', () => {
    const cpu = withGdt('0F 00 D0 8E D9 0F 00 C2 0F 00 D2', 'kernel');
    cpu.set64(GDT + selector('tss'), 0x0000_8200_0000_000fn | (BigInt(TEST.data) << 16n));
    cpu.set64(TEST.data + 8, DESCRIPTOR.based);
    cpu.set('rax', selector('tss'));
    cpu.set('rcx', 8 + 4);
    cpu.run(3);
    expect(cpu.getField(CONTEXT.selectors + 6, 2)).toBe(12n);
    expect(cpu.get('rdx')).toBe(BigInt(selector('tss')));
    cpu.set('rdx', 4);
    expect(cpu.run(1)).toMatchObject({ vector: 13, errorCode: 4 });
    restore(cpu);
  });
});

describe('returns and far branches', () => {
  const target = BigInt(TEST.code + 0x100);
  const frame = (cpu: TestCpu, values: readonly (bigint | number)[]): void => {
    values.forEach((value, i) => cpu.set64(Number(cpu.get('rsp')) + i * 8, BigInt(value)));
  };
  const stack = BigInt(TEST.stackTop - 64);
  it('IRETQ goes to user mode with its stack and flags', () => {
    const cpu = withGdt('48 CF', 'kernel');
    frame(cpu, [target, selector('userCode', 3), 0x24_0ad7n, stack, selector('userData', 3)]);
    cpu.setField(CONTEXT.selectors + 6, 2, BigInt(selector('kernelData')));
    cpu.setField(CONTEXT.selectors, 2, BigInt(selector('userData', 3)));
    expect(cpu.run(1)).toMatchObject({ kind: 'budget', executed: 1, cpl: 3 });
    expect(cpu.get('rip')).toBe(target);
    expect(cpu.get('rsp')).toBe(stack);
    expect(cpu.get('rflags')).toBe(0x24_0ad7n);
    expect(cpu.getField(CONTEXT.selectors, 8)).toBe(
      BigInt(selector('userData', 3)) |
        (BigInt(selector('userCode', 3)) << 16n) |
        (BigInt(selector('userData', 3)) << 32n),
    ); // DS of the kernel is null now
    restore(cpu);
  });
  it.each([
    ['a null CS', [target, 0, 2, stack, 0], [13, 0]],
    ['data as CS', [target, selector('userData', 3), 2, stack, 0], [13, selector('userData')]],
    ['32-bit code', [target, selector('code32', 3), 2, stack, 0], [13, selector('code32')]],
    ['absent code', [target, selector('absentCode', 3), 2, stack, 0], [11, selector('absentCode')]],
    ['an RIP that is not canonical', [1n << 47n, selector('kernelCode'), 2, stack, 0], [13, 0]],
    ['a null SS for user code', [target, selector('userCode', 3), 2, stack, 3], [13, 0]],
    [
      'a kernel SS for user code',
      [target, selector('userCode', 3), 2, stack, selector('kernelData')],
      [13, selector('kernelData')],
    ],
    [
      'an absent SS',
      [target, selector('userCode', 3), 2, stack, selector('absentData', 3)],
      [12, selector('absentData')],
    ],
    ['CS that is not RPL', [target, selector('userCode'), 2, stack, 0], [13, selector('userCode')]],
  ] as const)('IRETQ refuses %s', (_name, values, [vector, errorCode]) => {
    const cpu = withGdt('48 CF', 'kernel');
    frame(cpu, values);
    expect(cpu.run(1)).toMatchObject({ vector, errorCode, executed: 0, cpl: 0 });
    expect(cpu.get('rip')).toBe(BigInt(TEST.code));
    restore(cpu);
  });
  it('IRETQ within a privilege, with NT, and from user code to the kernel', () => {
    const kernel = withGdt('48 CF', 'kernel');
    frame(kernel, [target, selector('kernelCode'), 2, stack, 0]);
    expect(kernel.run(1)).toMatchObject({ kind: 'budget', cpl: 0 });
    expect(kernel.get('rsp')).toBe(stack);
    const nested = withGdt('48 CF', 'kernel');
    nested.set('rflags', 0x4202);
    expect(nested.run(1)).toMatchObject(GP0);
    const user = withGdt('48 CF', 'user');
    frame(user, [target, selector('kernelCode'), 2, stack, 0]);
    expect(user.run(1)).toMatchObject({ vector: 13, errorCode: selector('kernelCode') });
    const own = bootTestCpu('48 CF'); // with Linux's selectors
    frame(own, [target, 0x33, 0x3202n, stack, 0x2b]);
    expect(own.run(1)).toMatchObject({ kind: 'budget', cpl: 3 });
    expect(own.get('rflags')).toBe(0x202n); // not IOPL
    expect(own.get('rip')).toBe(target);
    restore(kernel);
  });
  it('SYSRET takes selectors from STAR and flags from R11', () => {
    const cpu = kernelCpu('48 0F 07');
    cpu.set('rcx', target);
    cpu.set('r11', 0x3_0ed7n);
    expect(cpu.run(1)).toMatchObject({ kind: 'budget', cpl: 3 });
    expect(cpu.get('rip')).toBe(target);
    expect(cpu.get('rflags')).toBe(0xed7n & ~0x100n);
    expect(cpu.getField(CONTEXT.selectors + 2, 4)).toBe(0x2b_0033n);
  });
  it.each([
    ['an RCX that is not canonical', '48 0F 07', 1n << 47n, GP0],
    ['32-bit code', '0F 07', target, GP0],
  ])('SYSRET refuses %s', (_name, code, rcx, trap) => {
    const cpu = kernelCpu(code);
    cpu.set('rcx', rcx);
    expect(cpu.run(1)).toMatchObject(trap);
  });
  it('RETF goes to user mode and back only through what is allowed', () => {
    const cpu = withGdt('48 CA 10 00', 'kernel');
    frame(cpu, [target, selector('userCode', 3), 0, 0, stack, selector('userData', 3)]);
    expect(cpu.run(1)).toMatchObject({ kind: 'budget', cpl: 3 });
    expect(cpu.get('rsp')).toBe(stack + 16n);
    expect(cpu.get('rip')).toBe(target);
    restore(cpu);
  });
  it('far CALL pushes CS and RIP, RETF and far JMP stay at CPL', () => {
    const cpu = bootTestCpu('48 FF 1B');
    cpu.setBytes(TEST.code + 0x100, [0x48, 0xcb]);
    cpu.setBytes(TEST.code + 3, [0xff, 0x2b]); // jmp far dword
    cpu.set('rbx', TEST.data);
    cpu.set64(TEST.data, target);
    cpu.setBytes(TEST.data + 8, [0x30, 0]); // RPL 0 is taken as CPL
    const top = cpu.get('rsp');
    expect(cpu.run(1).kind).toBe('budget');
    expect([cpu.get64(Number(top) - 16), cpu.get64(Number(top) - 8)]).toEqual([BigInt(TEST.code + 3), 0x33n]);
    cpu.run(1);
    expect([cpu.get('rip'), cpu.get('rsp')]).toEqual([BigInt(TEST.code + 3), top]);
    cpu.setBytes(TEST.data, [0x50, 1, 0x40, 0, 0x33, 0]);
    cpu.run(1);
    expect(cpu.get('rip')).toBe(0x40_0150n);
    expect(cpu.getField(CONTEXT.selectors + 2, 2)).toBe(0x33n);
  });
});

describe('page tables at CPL 0', () => {
  const DATA_ENTRY = 0x4000 + (TEST.data >> 12) * 8;
  const stored = (
    entry: number,
    prepare: (cpu: TestCpu) => void,
    privilege: 'user' | 'kernel' = 'kernel',
  ): unknown => {
    const cpu = bootTestCpu('88 03', 'v2', privilege);
    store64(cpu.machine, DATA_ENTRY, 0x11_0000 + entry);
    prepare(cpu);
    cpu.set('rbx', TEST.data);
    const { kind, errorCode } = cpu.run(1);
    store64(cpu.machine, DATA_ENTRY, 0x11_0007);
    return kind === 'budget' ? 'stored' : errorCode;
  };
  const clearWriteProtect = (cpu: TestCpu): void => cpu.setField(SYSTEM.cr0, 8, 0x8004_0033n);
  it.each([
    ['a user page from the kernel', 7, () => undefined, 'kernel', 'stored'],
    ['a supervisor page from the kernel', 3, () => undefined, 'kernel', 'stored'],
    ['a supervisor page from user code', 3, () => undefined, 'user', 7],
    ['a read-only page', 5, () => undefined, 'kernel', 3],
    ['a read-only page without CR0.WP', 5, clearWriteProtect, 'kernel', 'stored'],
    ['a read-only page without CR0.WP from user code', 5, clearWriteProtect, 'user', 7],
    ['a global page', 0x107, () => undefined, 'kernel', 'stored'],
  ] as const)('%s', (_name, entry, prepare, privilege, outcome) => {
    expect(stored(entry, prepare, privilege)).toBe(outcome);
  });
  it('NX is a reserved bit without EFER.NXE, and INVLPG shows a changed entry', () => {
    // wrmsr; mov [rbx], al; mov [rdi], ecx; invlpg [rbx]; mov [rbx], al
    const cpu = kernelCpu('0F 30 88 03');
    const entry = 2n ** 63n + 0x11_0007n;
    cpu.machine.view.setBigUint64(0x600_0000 + DATA_ENTRY, entry, true);
    cpu.set('rbx', TEST.data);
    cpu.set('rcx', 0xc000_0080n);
    cpu.set('rax', 0x501);
    expect(cpu.run(2)).toMatchObject({ vector: 14, errorCode: 11, executed: 1 });
    cpu.machine.view.setBigUint64(0x600_0000 + DATA_ENTRY, 0x11_0007n, true);
    const other = kernelCpu('88 03 0F 01 3B 88 03');
    other.set('rbx', TEST.data);
    other.run(1);
    store64(other.machine, DATA_ENTRY, 0);
    expect(other.run(2)).toMatchObject({ vector: 14, errorCode: 2, executed: 1 });
    store64(other.machine, DATA_ENTRY, 0x11_0007);
  });
});
