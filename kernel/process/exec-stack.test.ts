import { describe, expect, it } from 'vitest';
import { AT } from '../abi/auxv.ts';
import { get64, latin1 } from '../lib/bytes.ts';
import { buildStack } from './exec-stack.ts';

const top = 0x7fff_ffff_f000;
const random = Uint8Array.from({ length: 16 }, (_, i) => i + 1);

function stackOf(argv: readonly string[], envp: readonly string[], gap = 0) {
  const stack = buildStack({
    top,
    fileName: '/bin/prog',
    argv,
    envp,
    auxv: [[AT.PAGESZ, 4096]],
    hwcap2: 0,
    random,
    gap,
  });
  const word = (address: number): number => get64(stack.bytes, address - stack.sp);
  const text = (address: number): string => {
    const rest = latin1(stack.bytes.subarray(address - stack.sp));
    return rest.slice(0, rest.indexOf('\0'));
  };
  return { ...stack, word, text };
}

function auxvOf(stack: ReturnType<typeof stackOf>, from: number): Map<number, number> {
  const found = new Map<number, number>();
  for (let at = from; ; at += 16) {
    found.set(stack.word(at), stack.word(at + 8));
    if (stack.word(at) === AT.NULL) return found;
  }
}

describe('the first stack', () => {
  it.each([
    [['prog'], []],
    [
      ['prog', 'a b', ''],
      ['A=1', 'PATH=/bin:/usr/bin'],
    ],
    [Array.from({ length: 99 }, (_, i) => `${i}`), ['X=y']],
  ])('holds argc, argv, envp and auxv where the ABI wants them: %j', (argv, envp) => {
    const stack = stackOf(argv, envp, 1234);
    expect(stack.sp % 16).toBe(0);
    expect(stack.word(stack.sp)).toBe(argv.length);
    const argvAt = stack.sp + 8;
    expect(argv.map((_, i) => stack.text(stack.word(argvAt + 8 * i)))).toEqual(argv);
    expect(stack.word(argvAt + 8 * argv.length)).toBe(0);
    const envAt = argvAt + 8 * (argv.length + 1);
    expect(envp.map((_, i) => stack.text(stack.word(envAt + 8 * i)))).toEqual(envp);
    expect(stack.word(envAt + 8 * envp.length)).toBe(0);
    const auxv = auxvOf(stack, envAt + 8 * (envp.length + 1));
    expect(auxv.get(AT.PAGESZ)).toBe(4096);
    expect(stack.text(auxv.get(AT.EXECFN) ?? 0)).toBe('/bin/prog');
    expect(stack.text(auxv.get(AT.PLATFORM) ?? 0)).toBe('x86_64');
    const at = (auxv.get(AT.RANDOM) ?? 0) - stack.sp;
    expect([...stack.bytes.subarray(at, at + 16)]).toEqual([...random]);
  });

  it('keeps strings in one piece below the file name, which ends 8 bytes below the top', () => {
    const stack = stackOf(['a', 'bc'], ['D=e']);
    expect(latin1(stack.bytes.subarray(stack.argStart - stack.sp, stack.envEnd - stack.sp))).toBe(
      'a\0bc\0D=e\0',
    );
    expect(stack.argEnd).toBe(stack.envStart);
    expect(stack.text(stack.envEnd)).toBe('/bin/prog');
    expect(stack.envEnd + '/bin/prog'.length + 1 + 8).toBe(top);
    expect(stack.sp + stack.bytes.length).toBe(top);
  });
});
