// Instructions by table: bytes, registers before, registers after.
import { describe, expect, it } from 'vitest';
import { finishHandlers, requestHandler } from '../exec/handlers.ts';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import { createMachine } from '../run.ts';

describe('the first instructions', () => {
  it('adds registers', () => {
    const cpu = bootTestCpu('48 01 C8 01 C8 00 CC 66 01 C8');
    cpu.set('rax', 5);
    cpu.set('rcx', -1);
    const trap = cpu.run(1);
    expect(trap.kind).toBe('budget');
    expect(cpu.get('rax')).toBe(4n);
    expect(cpu.get('rflags') & 0x8d5n).toBe(0x11n);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(3n);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(0xff03n);
    cpu.run(1);
    expect(cpu.get('rip')).toBe(BigInt(TEST.code + 10));
    expect(cpu.get('rax')).toBe(0xff02n);
  });
  it('moves memory', () => {
    const cpu = bootTestCpu(
      '48 89 0B 8B 43 02 48 8B 04 8B 48 8B 83 F9 0F 00 00 48 89 83 F9 0F 00 00 48 8B 83 F9 1F 00 00',
    );
    cpu.set('rbx', TEST.data);
    cpu.set('rcx', 0x1122334455667788n);
    cpu.run(2);
    expect(cpu.get64(TEST.data)).toBe(0x1122334455667788n);
    expect(cpu.get('rax')).toBe(0x33445566n);
    cpu.set('rcx', 1);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(0x11223344n);
    cpu.set64(TEST.data + 4096, 0xddn);
    cpu.run(1);
    expect(cpu.get('rax')).toBe(0xddn << 56n);
    cpu.set('rax', 0xaabbccddeeff0011n);
    cpu.run(1);
    expect(cpu.get64(TEST.data + 4096)).toBe(0xaan);
    const trap = cpu.run(1);
    expect(trap).toMatchObject({
      kind: 'exception',
      vector: 14,
      errorCode: 4,
      address: TEST.data + 8192,
      executed: 0,
    });
    expect(cpu.get('rip')).toBe(BigInt(TEST.code + 24));
  });
});

it('every variant of every form can be generated', () => {
  const machine = createMachine({ cpuCount: 1, memoryBytes: 64 << 20, cpuModel: 'v3' });
  for (const entry of machine.code.map.entries) {
    const isOffset = entry.letters.some((letter) => letter.startsWith('O'));
    const hasMemory =
      isOffset || (entry.operands.some((operand) => operand.field === 'rm') && (entry.modes & 2) !== 0);
    const hasRegister = !isOffset && (entry.modes & 1) !== 0;
    const repeats = { no: ['none'], rep: ['none', 'rep'], repz: ['none', 'rep', 'repne'] } as const;
    for (const operandSize of entry.usesOperandSize ? ([2, 4, 8] as const) : ([4] as const))
      for (const addressing of ['none', 'index', 'full'] as const) {
        if (addressing === 'none' ? !hasRegister : !hasMemory) continue;
        for (const repeat of repeats[entry.can.repeat])
          for (const address32 of entry.can.address32 ? [false, true] : [false])
            requestHandler(machine.linker, entry, { operandSize, addressing, repeat, address32 });
      }
    expect(
      () => finishHandlers(machine.linker),
      `${entry.instruction.mnemonic} ${entry.encoding}`,
    ).not.toThrow();
  }
});
