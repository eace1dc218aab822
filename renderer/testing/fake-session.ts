/**
 * TEST DOUBLE. A made-up session of five million events, computed where it is looked at, so that the session
 * view's panning and zooming can be tried at full size.
 */
import type {
  LaneColumns,
  SeriesColumns,
  SessionDetails,
  SessionSums,
  TraceRow,
} from '../../electron/protocol/reports.ts';

const TASKS: readonly [number, string][] = [
  [0, 'idle'],
  [1, 'init'],
  [9, 'kswapd0'],
  [41, 'sh'],
  [55, 'hog'],
  [56, 'make'],
  [57, 'tcc'],
  [58, 'tcc'],
];
const SLICE_NS = 8000;
const START = 2e9;
const END = 22e9;

function hash(value: number): number {
  let x = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 4294967296;
}
/** Who runs in the n-th slice of a CPU; phases of about a second are busier or calmer. */
function taskOf(cpu: number, slice: number): number {
  const phase = hash(Math.floor((slice * SLICE_NS) / 0.7e9) + cpu * 77);
  const long = hash(Math.floor(slice / (1 + Math.floor(phase * 60))) * 2 + cpu);
  return long > 0.25 + phase * 0.7
    ? 0
    : (TASKS[1 + Math.floor(hash(Math.floor(slice / 9) + cpu * 5) * 7)]?.[0] ?? 1);
}

export const fakeSession: SessionDetails = {
  about: {
    session: 's1',
    name: 'hog against make',
    startNs: START,
    endNs: END,
    recordedAtMs: 0,
    eventCount: 5_000_000,
    sizeBytes: 31_000_000,
    running: false,
  },
  cpus: 2,
  series: [
    ...[0, 1].flatMap((cpu) =>
      ['user', 'system', 'irq', 'iowait'].map((part) => ({
        name: `cpu${cpu} ${part}`,
        group: 'cpu',
        unit: 'ns',
        kind: 'rate' as const,
      })),
    ),
    { name: 'free', group: 'memory', unit: 'bytes', kind: 'level' },
    { name: 'page cache', group: 'memory', unit: 'bytes', kind: 'level' },
    { name: 'swap in', group: 'swap', unit: 'pages', kind: 'rate' },
    { name: 'swap out', group: 'swap', unit: 'pages', kind: 'rate' },
    { name: 'context switches', group: 'sched', unit: 'switches', kind: 'rate' },
    { name: 'vda reads', group: 'disk', unit: 'requests', kind: 'rate' },
  ],
  events: [
    { name: 'sched:sched_switch', count: 3_100_000 },
    { name: 'sched:sched_wakeup', count: 1_200_000 },
    { name: 'raw_syscalls:sys_enter', count: 500_000 },
    { name: 'block:block_rq_issue', count: 100_000 },
    { name: 'exceptions:page_fault_user', count: 100_000 },
  ],
  tasks: TASKS.slice(1).map(([tid, comm]) => ({ tid, pid: tid, comm, firstNs: START, lastNs: END })),
  seed: 1,
};

export function readLanes(fromNs: number, toNs: number, pixels: number): LaneColumns[] {
  return [0, 1].map((cpu) => {
    const [first, last] = [Math.floor((fromNs - START) / SLICE_NS), Math.ceil((toNs - START) / SLICE_NS)];
    const step = Math.max(1, Math.floor((last - first) / pixels));
    const columns = {
      startNs: [] as number[],
      endNs: [] as number[],
      busyNs: [] as number[],
      tid: [] as number[],
      merged: [] as number[],
    };
    for (let slice = first; slice < last; slice += step) {
      let busy = 0;
      let tid = 0;
      const samples = Math.min(step, 8);
      for (let sample = 0; sample < samples; sample++) {
        const ran = taskOf(cpu, slice + Math.floor((sample * step) / samples));
        if (ran !== 0) busy++;
        if (ran !== 0) tid = ran;
      }
      columns.startNs.push(START + slice * SLICE_NS);
      columns.endNs.push(START + (slice + step) * SLICE_NS);
      columns.busyNs.push((busy / samples) * step * SLICE_NS);
      columns.tid.push(tid);
      columns.merged.push(step);
    }
    return {
      cpu,
      startNs: Float64Array.from(columns.startNs),
      endNs: Float64Array.from(columns.endNs),
      busyNs: Float64Array.from(columns.busyNs),
      tid: Int32Array.from(columns.tid),
      merged: Int32Array.from(columns.merged),
    };
  });
}

export function readSeries(
  names: readonly string[],
  fromNs: number,
  toNs: number,
  pixels: number,
): SeriesColumns[] {
  const count = Math.min(pixels, Math.max(2, Math.floor((toNs - fromNs) / 10e6)));
  return names.map((name, place) => {
    const about = fakeSession.series.find((entry) => entry.name === name);
    const scale = about?.unit === 'bytes' ? 80e6 : about?.unit === 'ns' ? 0.14e9 : 400;
    const atNs = Float64Array.from(
      { length: count },
      (_, index) => fromNs + ((toNs - fromNs) * index) / (count - 1),
    );
    const mean = atNs.map(
      (at) =>
        scale * (1 + 0.7 * Math.sin(at / 1e9 / (1.3 + place)) + 0.2 * hash(Math.floor(at / 1e7) + place)),
    );
    return {
      name,
      atNs,
      mean,
      low: mean.map((value) => value * 0.8),
      high: mean.map((value) => value * 1.2),
    };
  });
}

export function readSums(fromNs: number, toNs: number): SessionSums {
  const share = (toNs - fromNs) / (END - START);
  return {
    tasks: TASKS.slice(1).map(([tid, comm]) => ({
      tid,
      comm,
      runNs: (toNs - fromNs) * hash(tid) * 0.6,
      waitNs: (toNs - fromNs) * hash(tid + 9) * 0.1,
      switches: Math.round(90_000 * share * hash(tid)),
    })),
    events: fakeSession.events.map((event) => ({ name: event.name, count: Math.round(event.count * share) })),
  };
}

export function readEvents(fromNs: number, offset: number, limit: number): TraceRow[] {
  return Array.from({ length: limit }, (_, index) => {
    const number = offset + index;
    const [tid, comm] = TASKS[1 + (number % 7)] ?? [1, 'init'];
    const name = fakeSession.events[number % 5]?.name ?? '';
    return {
      atNs: fromNs + number * 4000,
      cpu: number % 2,
      tid,
      comm,
      name,
      text: `prev_comm=${comm} prev_pid=${tid} prev_state=S ==> next_comm=sh next_pid=41`,
    };
  });
}
