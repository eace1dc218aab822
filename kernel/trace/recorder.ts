// Where events go: into the run's hash (state, so that a resumed run ends with the same hash) and into a buffer that the
// host drains while it records a session. The buffer is output only: nothing in the machine reads it.
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import type { FieldType, FieldValues, Tracepoint } from './tracepoint.ts';

/** Events as columns: each is `time, tracepoint id, CPU, tid` and its fields; texts are indexes into `texts`. */
export interface RecordedEvents {
  numbers: number[];
  texts: string[];
  textIndex: Map<string, number>;
  eventCount: number;
  lost: number;
}

/** More than this waits for the host no longer: further events are counted as lost. */
const MAX_WAITING_NUMBERS = 16_000_000;

const newRecordedEvents = (): RecordedEvents => ({
  numbers: [],
  texts: [],
  textIndex: new Map(),
  eventCount: 0,
  lost: 0,
});

export function record(
  kernel: Kernel,
  point: Tracepoint,
  values: FieldValues<Readonly<Record<string, FieldType>>>,
): void {
  const { trace } = kernel;
  trace.eventCount++;
  const tid = kernel.sched.runQueues[kernel.cpu]?.current?.tid ?? 0;
  const atNs = now(kernel);
  if (trace.hashing) {
    mixNumber(trace.hash, atNs);
    mixNumber(trace.hash, point.id * 65_536 + kernel.cpu);
    mixNumber(trace.hash, tid);
    for (const name in point.fields) {
      const value = values[name];
      if (typeof value === 'string') mixText(trace.hash, value);
      else if (value !== undefined) mixNumber(trace.hash, value);
    }
  }
  if (trace.recording) append(eventBuffer(kernel), point, values, atNs, kernel.cpu, tid);
}

function append(
  buffer: RecordedEvents, point: Tracepoint, values: FieldValues<Readonly<Record<string, FieldType>>>, atNs: number, cpu: number, tid: number,
): void {
  if (buffer.numbers.length > MAX_WAITING_NUMBERS) {
    buffer.lost++;
    return;
  }
  buffer.eventCount++;
  buffer.numbers.push(atNs, point.id, cpu, tid);
  for (const name in point.fields) {
    const value = values[name] ?? 0;
    buffer.numbers.push(typeof value === 'string' ? textIndexOf(buffer, value) : value);
  }
} // prettier-ignore

function textIndexOf(buffer: RecordedEvents, text: string): number {
  const known = buffer.textIndex.get(text);
  if (known !== undefined) return known;
  const index = buffer.texts.push(text) - 1;
  buffer.textIndex.set(text, index);
  return index;
}

function eventBuffer(kernel: Kernel): RecordedEvents {
  const { recorder } = kernel;
  recorder.events ??= newRecordedEvents();
  return recorder.events;
}

/** Hands over what was recorded since the last call, or null for nothing. */
export function takeEvents(kernel: Kernel): RecordedEvents | null {
  const { events } = kernel.recorder;
  kernel.recorder.events = null;
  return events;
}

// Two FNV-1a hashes side by side over 32-bit words: not against forgers, but any two runs that differ show it.
function mixWord(hash: Uint32Array, word: number): void {
  hash[0] = Math.imul((hash[0] ?? 0) ^ word, 0x01000193);
  hash[1] = Math.imul(((hash[1] ?? 0) ^ word) + (word >>> 15), 0x85ebca6b) ^ ((hash[1] ?? 0) >>> 13);
}

function mixNumber(hash: Uint32Array, value: number): void {
  mixWord(hash, value | 0);
  mixWord(hash, Math.floor(value / 0x1_0000_0000) | 0);
}

function mixText(hash: Uint32Array, text: string): void {
  for (let i = 0; i < text.length; i++) mixWord(hash, text.charCodeAt(i));
  mixWord(hash, 0xff00 + text.length);
}

/** The hash over every trace event of the run so far, 16 hexadecimal digits. */
export function traceHash(kernel: Kernel): string {
  return [...kernel.trace.hash].map((word) => word.toString(16).padStart(8, '0')).join('');
}
