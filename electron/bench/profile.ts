// Where this process spends its time while something runs: V8's sampling profiler, by function.
import { Session } from 'node:inspector/promises';
import type { Profiler } from 'node:inspector';
import { columns } from './table.ts';
import type { ProfiledFunction } from './spec.ts';

const SAMPLE_US = 250;

/** Self time by function, the longest first. */
export function selfTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): ProfiledFunction[] {
  const functionOf = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const found = new Map<string, { name: string; place: string; selfMs: number }>();
  samples.forEach((id, index) => {
    const frame = functionOf.get(id);
    if (frame === undefined) return;
    const file = frame.url
      .replace(/^.*\/(?=(kernel|electron|images|node_modules)\/)/, '')
      .replace(/^wasm:.*/, 'wasm');
    const place = file === '' ? '' : `${file}:${frame.lineNumber + 1}`;
    const name = frame.functionName === '' ? '(anonymous)' : frame.functionName;
    const key = `${name} ${file === 'wasm' ? file : place}`;
    const entry = found.get(key) ?? { name, place: file === 'wasm' ? file : place, selfMs: 0 };
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

/** The functions that take longest, as text. */
export function profileText(functions: readonly ProfiledFunction[], totalMs: number, count: number): string {
  const lines = functions
    .slice(0, count)
    .map(({ name, place, selfMs }) => [
      `${name}  ${place}`,
      selfMs.toFixed(1),
      `${((100 * selfMs) / totalMs).toFixed(1)} %`,
    ]);
  return columns([['function', 'self ms', 'share'], ...lines]).join('\n');
}
