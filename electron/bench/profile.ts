// Where this process spends its time while something runs: V8's sampling profiler, by function and by part of the project.
import { Session } from 'node:inspector/promises';
import type { Profiler } from 'node:inspector';
import { columns } from './table.ts';
import type { ProfiledFunction } from './spec.ts';

const SAMPLE_US = 250;

/** Samples that are not the work's: the profiler's own, and waiting. */
const NOT_WORK = /^node:inspector|^\((idle|root)\)$/;

/** `kernel/trap/loop.ts:35` for our own files, `wasm 7f7109b2` for a wasm module. */
function placeOf(url: string, line: number): string {
  if (url.startsWith('wasm:')) return `wasm ${url.slice(url.lastIndexOf('/') + 1)}`;
  const file = url.replace(/^.*\/(?=(kernel|electron|images|node_modules)\/)/, '');
  return file === '' ? '' : `${file}:${line + 1}`;
}

/** Self time by function, the longest first. */
export function selfTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): ProfiledFunction[] {
  const functionOf = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      { name: functionName === '' ? '(anonymous)' : functionName, place: placeOf(url, lineNumber) },
    ]),
  );
  const found = new Map<string, { name: string; place: string; selfMs: number }>();
  samples.forEach((id, index) => {
    const known = functionOf.get(id);
    if (known === undefined || NOT_WORK.test(known.name) || NOT_WORK.test(known.place)) return;
    const { name, place } = known;
    const key = `${name} ${place}`;
    const entry = found.get(key) ?? { name, place, selfMs: 0 };
    entry.selfMs += (timeDeltas[index] ?? 0) / 1000;
    found.set(key, entry);
  });
  return [...found.values()].sort((a, b) => b.selfMs - a.selfMs);
}

export async function profiled<T>(
  work: () => Promise<T>,
): Promise<{ result: T; functions: ProfiledFunction[]; totalMs: number }> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
    await session.post('Profiler.start');
    const result = await work();
    const { profile } = await session.post('Profiler.stop');
    const functions = selfTimes(profile);
    return { result, functions, totalMs: functions.reduce((sum, { selfMs }) => sum + selfMs, 0) };
  } finally {
    session.disconnect();
  }
}

/** The part of the project that a function belongs to; wasm by module: the interpreter's is one, a compiled region's another. */
function partOf({ name, place }: ProfiledFunction): string {
  if (place.startsWith('wasm')) return place;
  const folders = place.split('/').slice(0, -1);
  if (['kernel', 'electron', 'images'].includes(folders[0] ?? ''))
    return folders.slice(0, folders[1] === 'machine' ? 3 : 2).join('/');
  return place === '' ? name : (folders[0] ?? place);
}

export interface PartTime {
  readonly part: string;
  readonly selfMs: number;
}

const MODULES_SHOWN = 2;

/** Self time by part, the longest first; of the wasm modules the longest by name, the others together. */
export function partTimes(functions: readonly ProfiledFunction[]): PartTime[] {
  const times = new Map<string, number>();
  for (const one of functions) times.set(partOf(one), (times.get(partOf(one)) ?? 0) + one.selfMs);
  const sorted = [...times].map(([part, selfMs]) => ({ part, selfMs })).sort((a, b) => b.selfMs - a.selfMs);
  const modules = sorted.filter(({ part }) => part.startsWith('wasm '));
  const others = modules.slice(MODULES_SHOWN);
  if (others.length === 0) return sorted;
  const selfMs = others.reduce((sum, one) => sum + one.selfMs, 0);
  const named = sorted.filter((one) => !others.includes(one));
  return [...named, { part: `wasm, ${others.length} further modules`, selfMs }].sort(
    (a, b) => b.selfMs - a.selfMs,
  );
}

/** The functions and the parts that take longest, as text. */
export function profileText(
  functions: readonly ProfiledFunction[],
  totalMs: number,
  functionCount: number,
  partCount: number,
): string {
  const line = (name: string, selfMs: number): string[] => [
    name,
    selfMs.toFixed(1),
    `${((100 * selfMs) / totalMs).toFixed(1)} %`,
  ];
  const top = functions
    .slice(0, functionCount)
    .map(({ name, place, selfMs }) => line(`${name}  ${place}`, selfMs));
  const parts = partTimes(functions)
    .slice(0, partCount)
    .map(({ part, selfMs }) => line(part, selfMs));
  return [
    ...columns([['function', 'self ms', 'share'], ...top]),
    '',
    ...columns([['part', 'self ms', 'share'], ...parts]),
  ].join('\n');
}
