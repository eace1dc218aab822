// When and what to compile: samples of where the interpreter is.

import * as layout from '../layout.ts';
import { COMPILED, CONTEXT, RECORD } from '../layout.ts';
import type { Compiler, Place } from './compiler.ts';
import { SAMPLES_MAX, compileAt, isFresh, placeAt } from './compiler.ts';
import { isHead } from './region.ts';

const { CODE_INDEX_BYTES, RECORD_BYTES } = layout;

/** Instructions between samples at most, and at half of that at least. */
const PERIOD_MAX = 10_000;

/**
 * How often a place is met before it is compiled. Compiling a region takes as long as interpreting some hundred thousand
 * instructions; the first ones take many times that, while the compiler's own code is cold, which short programs would not
 * earn back: tcc on hello.c takes twice as long with few samples (npm run bench -- startup; cpu --only w_).
 */
const SAMPLES_FIRST = 500;
const SAMPLES_LAST = 80;
const WARM_REGIONS = 128;

/** The interpreter is on its way from where it took over if it came no further than that; else it is on its own. */
const STRETCH_MAX = 2000;

/** Code is looked at in places of so many bytes, as a power of 2. */
const PLACE_SHIFT = 8;

/** The period where nothing is compiled: long, but it ends, as that may change. */
const PERIOD_OFF = 100_000;

function samplesWanted({ statistics }: Compiler): number {
  const warm = Math.min(statistics.regions / WARM_REGIONS, 1);
  return SAMPLES_FIRST + (SAMPLES_LAST - SAMPLES_FIRST) * warm;
}

/** The head of the block that a record belongs to, as far as the run in which it was decoded goes back. */
function headOf(compiler: Compiler, record: number, first: number): number {
  const { bytes, words16 } = compiler.cache;
  const offsetOf = (of: number): number => words16[(of + RECORD.offset) >> 1] ?? 0;
  let at = record;
  while (!isHead(bytes, at)) {
    const before = at - RECORD_BYTES;
    const handler = words16[before >> 1] ?? 0;
    // The loop's own handlers (look up, cross, go on) are no instructions
    if (before < first || handler === 0 || handler === 2 || handler === 3) break;
    if (offsetOf(before) + (bytes[before + RECORD.length] ?? 0) !== offsetOf(at)) break;
    at = before;
  }
  return at;
}

/** How many instructions are interpreted between two samples; it varies, so as not to keep step with a loop. */
function samplePeriod(compiler: Compiler): number {
  const { threshold } = compiler.settings;
  compiler.jitter = (compiler.jitter * 1_103_515_245 + 12_345) % 2 ** 31;
  const period = Math.min(threshold * 8, PERIOD_MAX) >> 1;
  return period + (compiler.jitter % period);
}

/** The address where RIP's block begins, as far as it is known. */
function headAddress(compiler: Compiler, { page, record }: Place, rip: bigint): bigint {
  const head = headOf(compiler, record, page.slot + CODE_INDEX_BYTES + RECORD_BYTES);
  return (rip & -4096n) + BigInt(compiler.cache.words16[(head + RECORD.offset) >> 1] ?? 0);
}

/**
 * So much was interpreted since the last sample. A place that is met again and again is compiled: where the interpreter
 * took over, if that was a moment ago, as what is compiled is to go on from there; else the block in which it is.
 * (Sampling costs the interpreter nothing; counts in records would.)
 */
export function takeSample(compiler: Compiler, context: number, isOn: boolean): void {
  const { cache, settings, samples } = compiler;
  const view = new DataView(cache.bytes.buffer);
  view.setUint32(context + COMPILED.sampleLeft, isOn ? samplePeriod(compiler) : PERIOD_OFF, true);
  if (!isOn || !settings.enabled) return;
  const rip = view.getBigInt64(context + CONTEXT.rip, true);
  const stretch = view.getUint32(context + COMPILED.fromLeft, true) - view.getUint32(context + CONTEXT.remaining, true);
  const from = view.getBigInt64(context + COMPILED.from, true);
  const here = stretch <= STRETCH_MAX ? undefined : placeAt(compiler, context, rip);
  const address = here === undefined ? from : headAddress(compiler, here, rip);
  const place = placeAt(compiler, context, address);
  if (place === undefined || !isFresh(compiler, place.record)) return;
  const name = place.page.slot + (Number(address & 4095n) >> (here === undefined ? 0 : PLACE_SHIFT));
  const count = (samples.get(name) ?? 0) + 1;
  samples.set(name, count);
  if (samples.size > SAMPLES_MAX) samples.clear();
  if (count < Math.min(settings.threshold, samplesWanted(compiler))) return;
  samples.delete(name);
  compileAt(compiler, context, address, place);
} // prettier-ignore

/** Compiles what RIP stands before, unless it is compiled: where everything is. */
export function compileMet(compiler: Compiler, context: number): void {
  const address = new DataView(compiler.cache.bytes.buffer).getBigInt64(context + CONTEXT.rip, true);
  const place = placeAt(compiler, context, address);
  if (place === undefined) return;
  const head = headAddress(compiler, place, address);
  const start = placeAt(compiler, context, head);
  if (start !== undefined && isFresh(compiler, start.record)) compileAt(compiler, context, head, start);
}
