// The trace's bytes are read back by a decoder of their own and held against Perfetto's field numbers.
import { describe, expect, it } from 'vitest';
import { toCsv } from './csv.ts';
import { toPerfetto } from './perfetto.ts';
import type { SessionTrace, TraceEvent } from './trace.ts';
import { lanesOf, readLane, readSeries } from './views.ts';
import type { StoredSession } from './store.ts';

const switchTo = (atNs: number, prev: number, next: number, state = 'S'): TraceEvent => ({
  atNs, cpu: 0, tid: prev, system: 'sched', name: 'sched_switch',
  fields: { prev_comm: `t${prev}`, prev_pid: prev, prev_prio: 120, prev_state: state, next_comm: `t${next}`, next_pid: next, next_prio: 120 },
}); // prettier-ignore

const recorded: TraceEvent[] = [
  switchTo(1_000, 0, 7),
  {
    atNs: 2_000,
    cpu: 0,
    tid: 7,
    system: 'raw_syscalls',
    name: 'sys_enter',
    fields: { id: 1, arg0: 2 ** 40 },
  },
  switchTo(3_000, 7, 0, 'D'),
];
const trace: SessionTrace = {
  startNs: 500, endNs: 4_000, cpus: 1, tasks: [{ tid: 7, pid: 7, parent: 1, comm: 'cat, "the"' }],
  series: [{ name: 'free', group: 'memory', unit: 'bytes', kind: 'level', atNs: Float64Array.of(500, 1_500), values: Float64Array.of(10, 20.5) }],
  events: () => recorded,
}; // prettier-ignore

type Decoded = { [field: number]: (number | Uint8Array)[] };

function decode(bytes: Uint8Array): Decoded {
  const fields: Decoded = {};
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const list = (fields[key >> 3] ??= []);
    if ((key & 7) === 0) list.push(varint());
    else if ((key & 7) === 1) {
      list.push(new DataView(bytes.buffer, bytes.byteOffset + at).getFloat64(0, true));
      at += 8;
    } else {
      const length = varint();
      list.push(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return fields;
}

const nested = (message: Decoded, field: number): Decoded[] =>
  (message[field] ?? []).map((bytes) => decode(bytes as Uint8Array));
const text = (message: Decoded | undefined, field: number): string =>
  new TextDecoder().decode(message?.[field]?.[0] as Uint8Array);

describe('Perfetto export', () => {
  const packets = nested(decode(toPerfetto(trace)), 1);
  it('names processes and threads', () => {
    const [tree] = packets.flatMap((packet) => nested(packet, 2));
    expect(tree).toBeDefined();
    if (tree !== undefined) expect(text(nested(tree, 2)[0], 2)).toBe('cat, "the"');
  });
  it('carries switches, other events with their fields, and counters', () => {
    const events = packets.flatMap((packet) => nested(packet, 1)).flatMap((bundle) => nested(bundle, 2));
    expect(events.map((event) => event[1]?.[0])).toEqual([1_000, 2_000, 3_000]);
    const last = nested(events[2] ?? {}, 4)[0];
    expect([last?.[2]?.[0], last?.[4]?.[0], last?.[6]?.[0]]).toEqual([7, 2, 0]); // D is 2
    const generic = nested(events[1] ?? {}, 327)[0] ?? {};
    expect(text(generic, 1)).toBe('sys_enter');
    expect(nested(generic, 2).map((field) => [text(field, 1), field[4]?.[0]])).toEqual([['id', 1], ['arg0', 2 ** 40]]); // prettier-ignore
    const values = packets.flatMap((packet) => nested(packet, 11)).map((event) => event[44]?.[0]);
    expect(values).toEqual([10, 20.5]);
  });
});

describe('views of a session', () => {
  const session = { ...trace, name: 's' } as unknown as StoredSession;
  it('draws what a CPU ran, idle time left out', () => {
    const [lane] = lanesOf(session);
    expect(lane).toEqual({ startNs: [1_000], endNs: [3_000], tid: [7] });
    if (lane === undefined) return;
    expect([...readLane(lane, 0, 0, 4_000, 100).busyNs]).toEqual([2_000]);
  });
  it('keeps the peaks of merged points', () => {
    const [series] = trace.series;
    if (series === undefined) throw new Error('there is a series');
    const read = readSeries(series, 0, 4_000, 1);
    expect([[...read.low], [...read.high]]).toEqual([[10], [20.5]]);
  });
  it('quotes CSV cells', () => {
    expect(toCsv(trace)).toContain('time_ns,free (bytes)\r\n500,10\r\n1500,20.5\r\n');
    expect(toCsv(trace)).toContain('2000,0,7,raw_syscalls:sys_enter,id=1 arg0=1099511627776');
  });
});
