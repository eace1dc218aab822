// The words of `npm run bench -- …`.
import { hasOption, optionOf, parseArguments, parseNumber, parseSize, UsageError, type OptionSpecs } from '../cli/arguments.ts'; // prettier-ignore

const specs = {
  only: { value: 'NAMES', about: 'these programs only: a_fib,b_nbody or a beginning such as a_' },
  runs: { value: 'N', about: 'runs of each program on each contender (default: 3)' },
  quick: { value: '', about: 'a tenth of the work' },
  json: { value: 'FILE', about: 'write every figure as JSON' },
  'no-qemu': { value: '', about: 'leave qemu out' },
  'no-native': { value: '', about: 'leave the host out' },
  'only-ringside': { value: '', about: 'leave both out' },
  clock: {
    value: 'wall|cpu',
    about: 'what the table shows: time passed, or processor time where others work (default: wall)',
  },
  compiler: { value: 'on|off', about: "Ringside's compiler tier (default: on)" },
  cpus: { value: 'N', about: "the machine's CPUs (default: 2)" },
  memory: { value: 'SIZE', about: "the machine's RAM (default: 512M)" },
  timeout: { value: 'S', about: 'give a run up after this many seconds (default: 900)' },
} as const satisfies OptionSpecs;

export const MODES = ['cpu', 'kernel', 'startup', 'profile'] as const;
export type Mode = (typeof MODES)[number];

export interface BenchOptions {
  readonly mode: Mode;
  readonly only: readonly string[];
  readonly runs: number;
  readonly quick: boolean;
  readonly json: string | undefined;
  readonly qemu: boolean;
  readonly native: boolean;
  readonly clock: 'wall' | 'cpu';
  readonly compiler: 'on' | 'off';
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly timeoutMs: number;
}

export function usage(): string {
  const lines = Object.entries(specs).map(
    ([name, { value, about }]) => `  ${`--${name} ${value}`.padEnd(20)} ${about}`,
  );
  return [
    'Usage: npm run bench -- cpu|kernel|startup|profile [options]',
    '',
    '  cpu      integer, floating point and whole programs: the host, qemu-user and Ringside side by side',
    '  kernel   system calls, pipes, fork, page faults',
    '  startup  tcc on hello.c in a fresh machine; million instructions a second without the compiler',
    '  profile  where host time goes in Ringside while the programs of --only run',
    '',
    ...lines,
  ].join('\n');
}

export function parseOptions(line: readonly string[]): BenchOptions {
  const args = parseArguments(line, specs, usage());
  const [word = '', ...more] = args.words;
  const mode = MODES.find((one) => one === word);
  if (mode === undefined || more.length > 0 || args.rest !== null) throw new UsageError(usage());
  const compiler = optionOf(args, 'compiler') ?? 'on';
  if (compiler !== 'on' && compiler !== 'off') throw new UsageError('--compiler: write on or off.');
  const clock = optionOf(args, 'clock') ?? 'wall';
  if (clock !== 'wall' && clock !== 'cpu') throw new UsageError('--clock: write wall or cpu.');
  const alone = hasOption(args, 'only-ringside');
  return {
    mode,
    only: (optionOf(args, 'only') ?? '').split(',').filter((name) => name !== ''),
    runs: parseNumber(optionOf(args, 'runs') ?? '3', 'runs', 1, 1000),
    quick: hasOption(args, 'quick'),
    json: optionOf(args, 'json'),
    qemu: !alone && !hasOption(args, 'no-qemu'),
    native: !alone && !hasOption(args, 'no-native'),
    clock,
    compiler,
    cpus: parseNumber(optionOf(args, 'cpus') ?? '2', 'cpus', 1, 16),
    memoryBytes: parseSize(optionOf(args, 'memory') ?? '512M', 'memory'),
    timeoutMs: parseNumber(optionOf(args, 'timeout') ?? '900', 'timeout', 1, 100_000) * 1000,
  };
}

/** Whether --only asks for a program: its name, or a beginning that ends in an underscore. */
export function isWanted(name: string, only: readonly string[]): boolean {
  return (
    only.length === 0 || only.some((word) => word === name || (word.endsWith('_') && name.startsWith(word)))
  );
}
