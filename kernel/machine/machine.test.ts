// The door: registers, contexts, several CPUs, snapshots, caches that may be dropped, disassembly.
import { describe, expect, it } from 'vitest';
import { TEST, bootTestCpu } from './exec/test-cpu.ts';
import * as door from './index.ts';

const { REGISTER } = door;

/** Two CPUs at the same code: each adds its own RBX to memory at RDI, 1000 times. */
function bootPair(): door.Machine {
  const machine = door.createMachine({ cpuCount: 2, memoryBytes: 64 << 20, cpuModel: 'v2' });
  door.store64(machine, 0x1000, 0x2007);
  door.store64(machine, 0x2000, 0x3007);
  door.store64(machine, 0x3000, 0x4007);
  door.store64(machine, 0x4000 + 16 * 8, 0x10_0007); // code at 64 KiB
  door.store64(machine, 0x4000 + 17 * 8, 0x10_1007); // data behind it
  // 1: lock add [rdi], rbx; rol qword [rdi], 1; inc rax; pushf; pop rdx; jmp 1b
  door.writeBytes(
    machine,
    0x10_0000,
    Uint8Array.of(0xf0, 0x48, 0x01, 0x1f, 0x48, 0xd1, 0x07, 0x48, 0xff, 0xc0, 0x9c, 0x5a, 0xeb, 0xf2),
  );
  for (const cpu of [0, 1]) {
    door.setPageTable(machine, cpu, 0x1000);
    door.loadContext(machine, cpu, door.newContext());
    door.writeRegister(machine, cpu, REGISTER.rip, 0x1_0000);
    door.writeRegister(machine, cpu, REGISTER.rdi, 0x1_1000);
    door.writeRegister(machine, cpu, REGISTER.rsp, 0x1_1800 + cpu * 0x400);
    door.writeRegister(machine, cpu, REGISTER.rbx, 3 + cpu * 1000);
  }
  return machine;
}

const slices = [7, 100, 3, 1000, 61, 5, 2000, 11] as const;
function runPair(machine: door.Machine, from: number, to: number, between: (turn: number) => void): void {
  for (let turn = from; turn < to; turn++) {
    door.run(machine, turn % 2, slices[turn % slices.length] ?? 1);
    between(turn);
  }
}
const stateOf = (machine: door.Machine): string =>
  [...door.freezeCpus(machine), door.readBytes(machine, 0x10_1000, 4096)]
    .map((bytes) => bytes.toString())
    .join('|');

describe('several CPUs', () => {
  it('share memory, take turns, and give the same run whatever caches are dropped', () => {
    const plain = bootPair();
    runPair(plain, 0, 40, () => undefined);
    const dropping = bootPair();
    runPair(dropping, 0, 40, (turn) => (turn % 3 === 0 ? door.dropCaches(dropping) : undefined));
    expect(stateOf(dropping)).toBe(stateOf(plain));
  });
  it('go on in another machine from a snapshot', () => {
    const straight = bootPair();
    runPair(straight, 0, 20, () => undefined);
    const cpus = door.freezeCpus(straight);
    const ram = door.readBytes(straight, 0, 2 << 20);
    runPair(straight, 20, 40, () => undefined);
    const resumed = door.createMachine(straight.config);
    door.writeBytes(resumed, 0, ram);
    door.thawCpus(resumed, cpus);
    runPair(resumed, 20, 40, () => undefined);
    expect(stateOf(resumed)).toBe(stateOf(straight));
  });
});

describe('registers', () => {
  const cpu = bootTestCpu('90');
  const { machine } = cpu;
  it.each([0, 1, 255, 2 ** 32, 2 ** 47 - 1, -1, -4096, -(2 ** 40)])('keep %d', (value) => {
    door.writeRegister(machine, 0, REGISTER.r9, value);
    expect(door.readRegisterSigned(machine, 0, REGISTER.r9)).toBe(value);
    expect(door.readRegisterBig(machine, 0, REGISTER.r9)).toBe(BigInt.asUintN(64, BigInt(value)));
    const saved = door.saveContext(machine, 0);
    expect(door.contextRegisterBig(saved, REGISTER.r9)).toBe(BigInt.asUintN(64, BigInt(value)));
    door.setContextRegister(saved, REGISTER.r10, value);
    door.loadContext(machine, 0, saved);
    expect(door.readRegisterSigned(machine, 0, REGISTER.r10)).toBe(value);
  });
  it('have flags as a program sees them', () => {
    const test = bootTestCpu('48 39 C0 9C 58'); // cmp rax, rax; pushf; pop rax
    test.run(1);
    expect(door.readRegister(test.machine, 0, REGISTER.rflags)).toBe(0x246);
    expect(door.contextRegister(door.saveContext(test.machine, 0), REGISTER.rflags)).toBe(0x246);
    test.run(2);
    expect(test.get('rax')).toBe(0x246n);
    door.writeRegister(test.machine, 0, REGISTER.rflags, 0xad7);
    expect(door.readRegister(test.machine, 0, REGISTER.rflags)).toBe(0xad7);
  });
  it('start as the ABI says', () => {
    const view = new DataView(door.newContext().buffer);
    expect(door.contextRegister(new Uint8Array(view.buffer), REGISTER.rflags)).toBe(0x202);
    door.loadContext(machine, 0, new Uint8Array(view.buffer));
    const image = new DataView(door.saveFxsave(machine, 0).buffer);
    expect([image.getUint16(0, true), image.getUint8(4), image.getUint32(24, true)]).toEqual([
      0x37f, 0, 0x1f80,
    ]);
  });
  it('round-trip through an FXSAVE image', () => {
    const test = bootTestCpu('90');
    test.setXmm(7, 0x0123456789abcdef_0011223344556677n);
    const image = door.saveFxsave(test.machine, 0);
    image[24] = 0xff; // MXCSR with every bit
    image[27] = 0xff;
    test.setXmm(7, 0n);
    door.loadFxsave(test.machine, 0, image);
    expect(test.getXmm(7)).toBe(0x0123456789abcdef_0011223344556677n);
    expect(new DataView(door.saveFxsave(test.machine, 0).buffer).getUint32(24, true)).toBe(0x1fff);
  });
});

describe('disassembly', () => {
  it.each([
    ['48 89 4C C3 10', 'mov qword [rbx+rax*8+0x10], rcx'],
    ['64 8B 04 25 28 00 00 00', 'mov eax, dword fs:[+0x28]'],
    ['0F B6 05 00 01 00 00', 'movzx eax, byte [0x400107]'],
    ['F3 48 AB', 'rep stos'],
    ['EB FE', 'jmp 0x400000'],
    ['48 83 C0 FF', 'add rax, 0xffffffffffffffff'],
    ['88 E0', 'mov al, ah'],
    ['F3 0F 1E FA', 'nop edx'],
    ['0F 05', 'syscall'],
    ['06', '(bad) 0x6'],
  ])('%s is %s', (code, text) => {
    const cpu = bootTestCpu(code);
    expect(door.disassemble(cpu.machine, 0, TEST.code, 1)[0]?.text).toBe(text);
  });
  it('lists what there is', () => {
    const coverage = door.instructionCoverage();
    expect(coverage.length).toBeGreaterThan(150);
    expect(coverage.find((entry) => entry.mnemonic === 'jmp far')?.missing).toContain('call gates');
  });
});

it('random bytes as code give traps, never an exception of the host', () => {
  let seed = 99;
  const next = (): number => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) >> 8;
  for (let i = 0; i < 500; i++) {
    const cpu = bootTestCpu(Array.from({ length: 40 }, () => next() & 255));
    for (const name of ['rax', 'rcx', 'rdx', 'rbx', 'rbp', 'rsi', 'rdi', 'r8', 'r13'] as const)
      cpu.set(
        name,
        (next() & 1) === 0 ? TEST.data + (next() & 0xfff) : BigInt(next()) << BigInt(next() & 63),
      );
    const trap = cpu.run(100);
    expect(trap.executed).toBeLessThanOrEqual(100);
  }
});
