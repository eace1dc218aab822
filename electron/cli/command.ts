// What a command of the command line is, and what all of them share: exit statuses, failing with a sentence.
import type { Arguments, OptionSpecs } from './arguments.ts';

export interface Command {
  /** Behind `ringside`, without options. */
  readonly usage: string;
  readonly about: string;
  readonly options: OptionSpecs;
  /** Gives the exit status. */
  run(args: Arguments): Promise<number> | number;
}

/** Ringside itself could not do what it was asked. */
export const EXIT_FAILED = 125;
export const EXIT_TIMEOUT = 124;

/** The usage text of one command with its options. */
export function usageOf(name: string, command: Command): string {
  const lines = Object.entries(command.options).map(
    ([option, { value, about }]) => `  --${`${option} ${value}`.padEnd(22)} ${about}`,
  );
  return [`ringside ${name} ${command.usage}`, `  ${command.about}`, ...lines].join('\n');
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function say(text: string): void {
  process.stderr.write(`ringside: ${text}\n`);
}
