/** What the CPUs ran lately, gathered from telemetry slices into the columns that the timeline draws. */
import type { TelemetryFrame } from '../../electron/protocol/frames.ts';

export interface Lane {
  readonly cpu: number;
  /** Parallel columns, oldest first. `first` is where the kept part begins. */
  startNs: number[];
  endNs: number[];
  tid: number[];
  first: number;
  /** Who runs now, and since when: a slice is reported when it ends. */
  open: { tid: number; sinceNs: number } | null;
}
export interface LiveLanes {
  lanes: Lane[];
  comms: Map<number, string>;
  /** Where the frame before stood. */
  seenNs: number;
}

export function newLiveLanes(): LiveLanes {
  return { lanes: [], comms: new Map(), seenNs: 0 };
}

export function addSlices(live: LiveLanes, frame: TelemetryFrame, keepNs: number): void {
  for (let cpu = live.lanes.length; cpu < frame.cpus.length; cpu++) {
    live.lanes.push({ cpu, startNs: [], endNs: [], tid: [], first: 0, open: null });
  }
  for (const slice of frame.slices) {
    const lane = live.lanes[slice.cpu];
    if (lane === undefined) continue;
    live.comms.set(slice.tid, slice.comm);
    lane.startNs.push(slice.startNs);
    lane.endNs.push(slice.startNs + slice.durationNs);
    lane.tid.push(slice.tid);
  }
  frame.cpus.forEach((cpu, index) => {
    const lane = live.lanes[index];
    if (lane === undefined) return;
    if (cpu.running === null) lane.open = null;
    else {
      // a task that was not there in the frame before has come since then
      const known = lane.open?.tid === cpu.running.tid ? lane.open.sinceNs : live.seenNs;
      const sinceNs = Math.max(known, lane.endNs.at(-1) ?? 0);
      lane.open = { tid: cpu.running.tid, sinceNs: Math.min(sinceNs, frame.virtualNs) };
      live.comms.set(cpu.running.tid, cpu.running.comm);
    }
  });
  live.seenNs = frame.virtualNs;
  for (const lane of live.lanes) trim(lane, frame.virtualNs - keepNs);
}

function trim(lane: Lane, beforeNs: number): void {
  while (lane.first < lane.endNs.length && (lane.endNs[lane.first] ?? 0) < beforeNs) lane.first++;
  if (lane.first < 20_000) return;
  lane.startNs = lane.startNs.slice(lane.first);
  lane.endNs = lane.endNs.slice(lane.first);
  lane.tid = lane.tid.slice(lane.first);
  lane.first = 0;
}
