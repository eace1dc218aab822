// Recording a session: every tracepoint's events and a sample of the counters each 10 ms of virtual time, into the machine
// file as it grows. Recording changes nothing in the machine.
import {
  enableTracepoints,
  machineNs,
  readCounters,
  takeEvents,
  tracepoints,
  type Kernel,
} from '../../../kernel/index.ts';
import type { SessionChunk } from '../../../images/index.ts';
import type { OpenMachine } from '../machine.ts';

/** What a session's meta holds beside its chunks. */
export interface SessionMeta {
  readonly cpus: number;
  readonly seed: number;
  readonly recordedAtMs: number;
  readonly eventCount: number;
  readonly lost: number;
  readonly series: readonly { name: string; group: string; unit: string; kind: 'rate' | 'level' }[];
  /** Declarations of the tracepoints by id, as they were when it was recorded. */
  readonly points: readonly { system: string; name: string; fields: Readonly<Record<string, string>> }[];
  readonly tasks: readonly {
    tid: number;
    pid: number;
    parent: number;
    comm: string;
    firstNs: number;
    lastNs: number;
  }[];
}

export interface CurrentSession {
  readonly name: string;
  readonly startNs: number;
  readonly series: SessionMeta['series'];
  readonly tasks: Map<
    number,
    { tid: number; pid: number; parent: number; comm: string; firstNs: number; lastNs: number }
  >;
  nextSampleNs: number;
  atNs: number[];
  values: number[];
  eventCount: number;
  lost: number;
  /** Console output with its instants. */
  console: { atNs: number; terminal: string; bytes: Uint8Array }[];
  wasTracing: { on: boolean; enabled: Uint8Array };
}

export interface Recorder {
  current: CurrentSession | null;
}

export const newRecorder = (): Recorder => ({ current: null });

export const SAMPLE_NS = 10_000_000;
/** Samples and events wait in memory until this many are there. */
const SAMPLES_A_CHUNK = 500;

/** Begins a session; the machine may run or stand. */
export function startRecording(recorder: Recorder, machine: OpenMachine, name: string): CurrentSession {
  if (recorder.current !== null) throw new Error('A session is being recorded already. Stop it first.');
  const { kernel } = machine.engine;
  const startNs = Math.floor(machineNs(kernel)); // the file keeps whole nanoseconds
  const series = readCounters(kernel).map(({ name: counter, group, unit, kind }) => ({
    name: counter,
    group,
    unit,
    kind,
  }));
  const current: CurrentSession = {
    name, startNs, series, tasks: new Map(), nextSampleNs: startNs, atNs: [], values: [], eventCount: 0, lost: 0, console: [],
    wasTracing: { on: kernel.trace.on, enabled: kernel.trace.enabled.slice() },
  }; // prettier-ignore
  machine.file.saveSession({ name, startNs, endNs: startNs, meta: metaOf(current, machine) }, []);
  enableTracepoints(kernel, 'all');
  kernel.trace.recording = true;
  recorder.current = current;
  sampleIfDue(recorder, machine);
  return current;
}

function metaOf(current: CurrentSession, machine: OpenMachine): SessionMeta {
  const config = machine.file.readConfig();
  return {
    cpus: config.cpus, seed: config.seed, recordedAtMs: Date.now(), eventCount: current.eventCount, lost: current.lost, series: current.series,
    points: tracepoints.map(({ system, name, fields }) => ({ system, name, fields })), tasks: [...current.tasks.values()],
  }; // prettier-ignore
}

function noteTasks(current: CurrentSession, kernel: Kernel): void {
  const atNs = machineNs(kernel);
  for (const task of kernel.tasks.values()) {
    const known = current.tasks.get(task.tid);
    const firstNs = known?.firstNs ?? Math.max(current.startNs, task.startNs);
    current.tasks.set(task.tid, {
      tid: task.tid,
      pid: task.process.pid,
      parent: task.process.parent,
      comm: task.comm,
      firstNs,
      lastNs: atNs,
    });
  }
}

/** Called between portions of steps: takes the sample that is due. */
export function sampleIfDue(recorder: Recorder, machine: OpenMachine): void {
  const { current } = recorder;
  if (current === null) return;
  const { kernel } = machine.engine;
  const atNs = machineNs(kernel);
  if (atNs < current.nextSampleNs) return;
  current.nextSampleNs = Math.floor(atNs / SAMPLE_NS) * SAMPLE_NS + SAMPLE_NS;
  current.atNs.push(atNs);
  for (const { value } of readCounters(kernel)) current.values.push(value);
  noteTasks(current, kernel);
  if (current.atNs.length >= SAMPLES_A_CHUNK) store(current, machine);
}

function store(current: CurrentSession, machine: OpenMachine): void {
  const { kernel } = machine.engine;
  const chunks: SessionChunk[] = [];
  if (current.atNs.length > 0) {
    chunks.push({
      stream: 'counters',
      columns: {
        atNs: asBytes(Float64Array.from(current.atNs)),
        values: asBytes(Float64Array.from(current.values)),
      },
    });
  }
  const events = takeEvents(kernel);
  if (events !== null) {
    current.eventCount += events.eventCount;
    current.lost += events.lost;
    const texts = new TextEncoder().encode(JSON.stringify(events.texts));
    chunks.push({
      stream: 'events',
      columns: { numbers: asBytes(Float64Array.from(events.numbers)), texts },
    });
  }
  for (const { atNs, terminal, bytes } of current.console) {
    chunks.push({ stream: `console ${terminal}`, columns: { atNs: asBytes(Float64Array.of(atNs)), bytes } });
  }
  current.atNs = [];
  current.values = [];
  current.console = [];
  machine.file.appendSessionChunks(current.name, Math.floor(machineNs(kernel)), chunks);
}

const asBytes = (column: Float64Array): Uint8Array =>
  new Uint8Array(column.buffer, column.byteOffset, column.byteLength);

/** Ends the session and makes it whole in the machine file. */
export function stopRecording(recorder: Recorder, machine: OpenMachine): string {
  const { current } = recorder;
  if (current === null) throw new Error('No session is being recorded.');
  const { kernel } = machine.engine;
  current.nextSampleNs = 0;
  sampleIfDue(recorder, machine);
  store(current, machine);
  machine.file.changeSession(current.name, { meta: metaOf(current, machine) });
  kernel.trace.recording = false;
  kernel.trace.on = current.wasTracing.on;
  kernel.trace.enabled.set(current.wasTracing.enabled);
  recorder.current = null;
  return current.name;
}
