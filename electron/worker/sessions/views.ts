// A session as the screen reads it: a range as so many pixels of series and CPU lanes, rows of events, sums.
import type { LaneColumns, SeriesColumns, SessionSums, TraceRow } from '../../protocol/reports.ts';
import type { StoredSession } from './store.ts';
import type { TraceEvent, TraceSeries } from './trace.ts';

/** What a CPU ran, from one switch to the next, by CPU. Made once a session. */
export interface Lane {
  readonly startNs: number[];
  readonly endNs: number[];
  readonly tid: number[];
}

/** Lanes from the switches of a session; idle time has no slice. */
export function lanesOf(session: StoredSession): Lane[] {
  const lanes: Lane[] = Array.from({ length: session.cpus }, () => ({ startNs: [], endNs: [], tid: [] }));
  const since = new Array<number>(session.cpus).fill(session.startNs);
  const running = new Array<number>(session.cpus).fill(0);
  const isKnown = new Array<boolean>(session.cpus).fill(false);
  const close = (cpu: number, atNs: number): void => {
    const lane = lanes[cpu];
    const tid = running[cpu] ?? 0;
    const startNs = since[cpu] ?? 0;
    if (lane === undefined || tid === 0 || atNs <= startNs) return;
    lane.startNs.push(startNs);
    lane.endNs.push(atNs);
    lane.tid.push(tid);
  };
  for (const { name, cpu, atNs, fields } of session.events()) {
    if (name !== 'sched_switch') continue;
    if (isKnown[cpu] !== true) running[cpu] = Number(fields['prev_pid']); // the first switch tells who ran before it
    isKnown[cpu] = true;
    close(cpu, atNs);
    running[cpu] = Number(fields['next_pid']);
    since[cpu] = atNs;
  }
  for (let cpu = 0; cpu < session.cpus; cpu++) close(cpu, session.endNs);
  return lanes;
}

/** First index whose value is above `value`, in an ascending list. */
function upperBound(list: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A range of a lane as at most about `pixels` slices: those shorter than a pixel come merged. */
export function readLane(lane: Lane, cpu: number, fromNs: number, toNs: number, pixels: number): LaneColumns {
  const pixelNs = Math.max(1, (toNs - fromNs) / pixels);
  const out = {
    startNs: [] as number[],
    endNs: [] as number[],
    busyNs: [] as number[],
    tid: [] as number[],
    merged: [] as number[],
  };
  let shares = new Map<number, number>();
  for (let i = upperBound(lane.endNs, fromNs); i < lane.startNs.length; i++) {
    const startNs = Math.max(fromNs, lane.startNs[i] ?? 0);
    if (startNs >= toNs) break;
    const endNs = Math.min(toNs, lane.endNs[i] ?? 0);
    const tid = lane.tid[i] ?? 0;
    const last = out.startNs.length - 1;
    const joins = last >= 0 && endNs - (out.startNs[last] ?? 0) < pixelNs;
    if (!joins) {
      out.startNs.push(startNs);
      out.endNs.push(endNs);
      out.busyNs.push(endNs - startNs);
      out.tid.push(tid);
      out.merged.push(1);
      shares = new Map([[tid, endNs - startNs]]);
      continue;
    }
    out.endNs[last] = endNs;
    out.busyNs[last] = (out.busyNs[last] ?? 0) + endNs - startNs;
    out.merged[last] = (out.merged[last] ?? 0) + 1;
    shares.set(tid, (shares.get(tid) ?? 0) + endNs - startNs);
    if ((shares.get(tid) ?? 0) > (shares.get(out.tid[last] ?? 0) ?? 0)) out.tid[last] = tid;
  }
  return {
    cpu, startNs: Float64Array.from(out.startNs), endNs: Float64Array.from(out.endNs), busyNs: Float64Array.from(out.busyNs),
    tid: Int32Array.from(out.tid), merged: Int32Array.from(out.merged),
  }; // prettier-ignore
}

/** A range of a series, at most one point a pixel, with the peaks of each. Rates come per second. */
export function readSeries(series: TraceSeries, fromNs: number, toNs: number, pixels: number): SeriesColumns {
  const first = Math.max(0, upperBound(series.atNs, fromNs) - 1);
  const end = Math.min(series.atNs.length, upperBound(series.atNs, toNs) + 1);
  const perPoint = Math.max(1, Math.ceil((end - first) / pixels));
  const atNs: number[] = [];
  const mean: number[] = [];
  const low: number[] = [];
  const high: number[] = [];
  const valueAt = (i: number): number => {
    if (series.kind === 'level') return series.values[i] ?? 0;
    const before = Math.max(0, i - 1);
    const spanNs = (series.atNs[i] ?? 0) - (series.atNs[before] ?? 0);
    return spanNs <= 0 ? 0 : (((series.values[i] ?? 0) - (series.values[before] ?? 0)) * 1e9) / spanNs;
  };
  for (let i = first; i < end; i += perPoint) {
    const values = Array.from({ length: Math.min(perPoint, end - i) }, (_, k) => valueAt(i + k));
    atNs.push(series.atNs[Math.min(end - 1, i + (perPoint >> 1))] ?? 0);
    mean.push(values.reduce((sum, value) => sum + value, 0) / values.length);
    low.push(Math.min(...values));
    high.push(Math.max(...values));
  }
  return {
    name: series.name,
    atNs: Float64Array.from(atNs),
    mean: Float64Array.from(mean),
    low: Float64Array.from(low),
    high: Float64Array.from(high),
  };
}

const fieldText = ({ fields }: TraceEvent): string => Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(' '); // prettier-ignore

/** Rows of a range, oldest first. */
export function readRows(
  session: StoredSession,
  {
    fromNs,
    toNs,
    name,
    text,
    offset,
    limit,
  }: { fromNs: number; toNs: number; name: string | null; text: string; offset: number; limit: number },
): { total: number; rows: TraceRow[] } {
  const comms = new Map(session.tasks.map((task) => [task.tid, task.comm]));
  const wanted = text.toLowerCase();
  const rows: TraceRow[] = [];
  let total = 0;
  for (const event of session.events()) {
    if (event.atNs < fromNs || event.atNs > toNs) continue;
    const full = `${event.system}:${event.name}`;
    if (name !== null && full !== name) continue;
    const comm = comms.get(event.tid) ?? '';
    if (wanted !== '' && !`${full} ${comm} ${fieldText(event)}`.toLowerCase().includes(wanted)) continue;
    if (total >= offset && rows.length < limit) {
      rows.push({
        atNs: event.atNs,
        cpu: event.cpu,
        tid: event.tid,
        comm,
        name: full,
        text: fieldText(event),
      });
    }
    total++;
  }
  return { total, rows };
}

/** Sums of a range: run time, run-queue wait and switches by task, events by name. */
export function sumRange(
  session: StoredSession,
  lanes: readonly Lane[],
  fromNs: number,
  toNs: number,
): SessionSums {
  const tasks = new Map<number, { runNs: number; waitNs: number; switches: number }>();
  const of = (tid: number) => {
    const known = tasks.get(tid) ?? { runNs: 0, waitNs: 0, switches: 0 };
    tasks.set(tid, known);
    return known;
  };
  for (const lane of lanes) {
    lane.tid.forEach((tid, i) => {
      const ns = Math.min(toNs, lane.endNs[i] ?? 0) - Math.max(fromNs, lane.startNs[i] ?? 0);
      if (ns <= 0) return;
      of(tid).runNs += ns;
      of(tid).switches++;
    });
  }
  const counts = new Map<string, number>();
  const waitingSince = new Map<number, number>();
  for (const event of session.events()) {
    const { atNs, fields } = event;
    if (atNs > toNs) break;
    if (event.name === 'sched_wakeup') waitingSince.set(Number(fields['pid']), atNs);
    if (event.name === 'sched_switch') {
      const next = Number(fields['next_pid']);
      const since = waitingSince.get(next);
      waitingSince.delete(next);
      if (since !== undefined && atNs > fromNs && next !== 0)
        of(next).waitNs += Math.max(0, atNs - Math.max(fromNs, since)); // CPUs' clocks differ by up to a slice
      if (fields['prev_state'] === 'R' && Number(fields['prev_pid']) !== 0)
        waitingSince.set(Number(fields['prev_pid']), atNs);
    }
    if (atNs < fromNs) continue;
    const full = `${event.system}:${event.name}`;
    counts.set(full, (counts.get(full) ?? 0) + 1);
  }
  const comms = new Map(session.tasks.map((task) => [task.tid, task.comm]));
  return {
    tasks: [...tasks].map(([tid, sums]) => ({ tid, comm: comms.get(tid) ?? '', ...sums })).sort((a, b) => b.runNs - a.runNs),
    events: [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count),
  }; // prettier-ignore
}
