// The benchmark's figures as text: a line for each program, and one for each group's means.
import { groupMeans, ratiosOf, timingOf, type Contender, type Row } from './statistics.ts';

const MISSING = '–';

/** Three figures that count, or a dash. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return MISSING;
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10
    ? value.toFixed(1)
    : Math.abs(value) >= 1
      ? value.toFixed(2)
      : value.toFixed(3);
}

const times = (value: number): string => (Number.isFinite(value) ? `${figure(value)}×` : MISSING);

/** Columns as wide as their widest cell; the first flush left, the others flush right. */
export function columns(lines: readonly (readonly string[])[]): string[] {
  const count = Math.max(0, ...lines.map((line) => line.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines.map((line) =>
    widths
      .map((width, column) =>
        column === 0 ? (line[0] ?? '').padEnd(width) : (line[column] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd(),
  );
}

export const HEADINGS = [
  'program', 'n', 'native s', 'qemu s', '/native', 'Ringside s', '/native', 'qemu/Ringside', 'with start-up', 'MIPS',
]; // prettier-ignore

function secondsOf(row: Row, contender: Contender): string {
  const samples = row.samples[contender];
  if (samples === undefined) return MISSING;
  const { loopSeconds, wholeSeconds } = timingOf(samples);
  return figure(samples.empty.length > 0 ? loopSeconds : wholeSeconds);
}

/** A program's line: times of the loop where n = 0 was run too, else of the whole run. */
export function lineOf(row: Row): string[] {
  const name = row.problems.length === 0 ? row.program : `${row.program} (!)`;
  const loop = ratiosOf(row, 'loop');
  const ringside = row.samples.ringside;
  const hasEmpty = (ringside?.empty.length ?? 0) > 0;
  return [
    name,
    String(row.n),
    secondsOf(row, 'native'),
    secondsOf(row, 'qemu'),
    times(loop.qemuToNative),
    secondsOf(row, 'ringside'),
    times(loop.ringsideToNative),
    times(loop.qemuToRingside),
    hasEmpty ? times(ratiosOf(row, 'whole').qemuToRingside) : MISSING,
    ringside === undefined ? MISSING : figure(timingOf(ringside).mips),
  ];
}

/** The whole table, with its geometric means below. */
export function tableOf(rows: readonly Row[]): string {
  const means = groupMeans(rows).map(({ group, programs, loop, whole, slowest }) => [
    group,
    String(programs),
    times(loop.qemuToNative),
    times(loop.ringsideToNative),
    times(loop.qemuToRingside),
    times(slowest),
    times(whole.qemuToRingside),
  ]);
  const meansHead = [
    'geometric means', 'programs', 'qemu/native', 'Ringside/native', 'qemu/Ringside', 'slowest', 'with start-up',
  ]; // prettier-ignore
  const problems = rows.flatMap(({ program, problems: found }) =>
    found.map((text) => `(!) ${program}: ${text}`),
  );
  return [
    ...columns([HEADINGS, ...rows.map(lineOf)]),
    '',
    ...columns([meansHead, ...means]),
    ...(problems.length === 0 ? [] : ['', ...problems]),
  ].join('\n');
}
