// Reads a session back from the machine file as a SessionTrace. A machine file is hostile: columns are read within bounds.
import type { MachineFile } from '../../../images/index.ts';
import type { SessionMeta } from './recorder.ts';
import type { SessionTrace, TraceEvent, TraceSeries } from './trace.ts';

const HEADER = 4; // time, tracepoint, CPU, tid

function floats(bytes: Uint8Array | undefined): Float64Array {
  if (bytes === undefined) return new Float64Array();
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  return new Float64Array(aligned.buffer, aligned.byteOffset, Math.floor(aligned.byteLength / 8));
}

function parseTexts(bytes: Uint8Array | undefined): string[] {
  const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array([0x5b, 0x5d])));
  return Array.isArray(parsed) ? parsed.map(String) : [];
}

export interface StoredSession extends SessionTrace {
  readonly name: string;
  readonly meta: SessionMeta;
}

export function loadSession(file: MachineFile, name: string): StoredSession {
  const { info, chunks } = file.readSession(name);
  const meta = info.meta as SessionMeta;
  const width = meta.series.length;
  const samples = chunks
    .filter(({ stream }) => stream === 'counters')
    .map(({ columns }) => ({ atNs: floats(columns['atNs']), values: floats(columns['values']) }));
  const length = samples.reduce((sum, { atNs }) => sum + atNs.length, 0);
  const times = new Float64Array(length);
  const series: TraceSeries[] = meta.series.map((about) => ({
    ...about,
    atNs: times,
    values: new Float64Array(length),
  }));
  let at = 0;
  for (const { atNs, values } of samples) {
    atNs.forEach((ns, row) => {
      times[at] = ns;
      for (let column = 0; column < width; column++) {
        const target = series[column];
        if (target !== undefined) target.values[at] = values[row * width + column] ?? 0;
      }
      at++;
    });
  }
  const eventChunks = chunks
    .filter(({ stream }) => stream === 'events')
    .map(({ columns }) => ({ numbers: floats(columns['numbers']), texts: parseTexts(columns['texts']) }));
  return {
    name, meta, startNs: info.startNs, endNs: info.endNs, cpus: meta.cpus, tasks: meta.tasks, series,
    *events(): Iterable<TraceEvent> {
      for (const chunk of eventChunks) yield* eventsOf(chunk, meta);
    },
  }; // prettier-ignore
}

function* eventsOf(
  { numbers, texts }: { numbers: Float64Array; texts: readonly string[] },
  meta: SessionMeta,
): Iterable<TraceEvent> {
  for (let i = 0; i + HEADER <= numbers.length;) {
    const point = meta.points[numbers[i + 1] ?? -1];
    if (point === undefined) return; // a damaged chunk: what follows cannot be told apart
    const fields: Record<string, number | string> = {};
    let next = i + HEADER;
    for (const [name, type] of Object.entries(point.fields)) {
      const value = numbers[next++] ?? 0;
      fields[name] = type === 'text' ? (texts[value] ?? '') : value;
    }
    yield {
      atNs: numbers[i] ?? 0,
      cpu: numbers[i + 2] ?? 0,
      tid: numbers[i + 3] ?? 0,
      system: point.system,
      name: point.name,
      fields,
    };
    i = next;
  }
}
