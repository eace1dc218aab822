// --compiler, for all that runs machines. It is no setting of a machine, for it changes nothing inside.
import type { CompilerSwitch } from '../worker/machine.ts';
import { optionOf, UsageError, type Arguments, type OptionSpecs } from './arguments.ts';

export const compilerOption = {
  compiler: { value: 'on|off', about: 'compile hot code of the guest (default: on); never changes a run' },
} as const satisfies OptionSpecs;

export function compilerOf(args: Arguments): CompilerSwitch {
  const text = optionOf(args, 'compiler') ?? 'on';
  if (text !== 'on' && text !== 'off') throw new UsageError(`--compiler ${text}: write on or off.`);
  return text;
}
