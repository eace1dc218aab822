/**
 * The machine's telemetry: the newest frame, a bounded history of figures, and whole frames of past seconds for
 * the time cursor. Arrays are shallow; a frame is never changed once it is here.
 */
import { defineStore } from 'pinia';
import { computed, markRaw, ref, shallowRef, watch } from 'vue';
import type { TaskFrame, TelemetryFrame } from '../../electron/protocol/frames.ts';
import { append, clearHistory, newHistory } from '../charts/history.ts';
import { connection, protocol } from '../protocol-client.ts';
import { addSlices, newLiveLanes } from './live-lanes.ts';
import { useLogStore } from './log.ts';
import { useMachineStore } from './machine.ts';
import { figuresOf, metricNames } from './metrics.ts';
import { useTimeCursorStore } from './time-cursor.ts';

const RATE_HZ = 12;
const HISTORY_FRAMES = 12_000;
const MOST_KEYFRAMES = 900;
/** Thousands of tasks in each kept frame would fill the window's memory: fewer frames are kept then. */
const MOST_KEPT_TASKS = 300_000;
/** A frame is kept whole each second: of virtual time, or of the host's when the machine lags behind it. */
const KEYFRAME_NS = 1e9;
const KEEP_SLICES_NS = 60e9;
/** Rates in words and tables are taken over about this time. */
const RATE_SPAN_NS = 0.9e9;
const RATE_FRAMES = 15;
/** Drawn rates are taken over this time, so that one busy frame is not a needle. */
const SMOOTH_NS = 0.2e9;

export interface TaskRow extends TaskFrame {
  /** Of one CPU, over the last second; NaN while it cannot be known. */
  cpuShare: number;
  faultRate: number;
}

export const useTelemetryStore = defineStore('telemetry', () => {
  const machine = useMachineStore();
  const cursor = useTimeCursorStore();
  const log = useLogStore();
  const latest = shallowRef<TelemetryFrame | null>(null);
  /** The frame that rates of `latest` are taken against: about a second older. */
  const earlier = shallowRef<TelemetryFrame | null>(null);
  // raw: a proxy around columns would cost more than drawing them
  const history = markRaw(newHistory(metricNames, HISTORY_FRAMES));
  const lanes = markRaw(newLiveLanes());
  /** Grows with every frame: pictures of `history` and `lanes` watch it. */
  const version = ref(0);
  const keyframes = shallowRef<TelemetryFrame[]>([]);
  const recent: TelemetryFrame[] = [];
  /** The newest frame with a table of tasks; most frames have none. */
  const tasksFrame = shallowRef<TelemetryFrame | null>(null);
  let last: TelemetryFrame | null = null;

  function clear(): void {
    latest.value = earlier.value = last = null;
    clearHistory(history);
    lanes.lanes = [];
    lanes.seenNs = 0;
    keyframes.value = [];
    recent.length = 0;
    tasksFrame.value = null;
    version.value++;
  }

  function take(frame: TelemetryFrame): void {
    if (last !== null && frame.virtualNs < last.virtualNs) clear();
    if (frame.tasks !== null) tasksFrame.value = frame;
    const before =
      recent.findLast((old) => frame.virtualNs - old.virtualNs >= SMOOTH_NS) ?? recent[0] ?? null;
    append(history, frame.virtualNs, figuresOf(frame, before));
    addSlices(lanes, frame, KEEP_SLICES_NS);
    recent.push(frame);
    while (recent.length > 2 && isLongEnough(frame, recent[1] ?? frame)) recent.shift();
    const lastKey = keyframes.value.at(-1);
    if (frame.tasks !== null && (lastKey === undefined || isKeyframeDue(frame, lastKey))) {
      const most = Math.max(
        20,
        Math.min(MOST_KEYFRAMES, Math.floor(MOST_KEPT_TASKS / (frame.tasks.length + 1))),
      );
      keyframes.value = [...keyframes.value.slice(-most + 1), { ...frame, slices: [], wakeups: [] }];
    }
    last = frame;
    earlier.value = recent[0] === frame ? null : (recent[0] ?? null);
    latest.value = frame;
    version.value++;
  }
  function isKeyframeDue(now: TelemetryFrame, before: TelemetryFrame): boolean {
    return now.virtualNs - before.virtualNs >= KEYFRAME_NS || now.sequence - before.sequence >= RATE_HZ;
  }
  /** Whether rates between the two frames are steady: a machine that lags makes a second last long. */
  function isLongEnough(now: TelemetryFrame, before: TelemetryFrame): boolean {
    return now.virtualNs - before.virtualNs >= RATE_SPAN_NS || now.sequence - before.sequence >= RATE_FRAMES;
  }
  protocol.onFrame(take);

  watch(
    () => [machine.current, machine.generation, connection.value] as const,
    ([current]) => {
      clear();
      if (current === null || connection.value !== 'connected') return;
      void log.attempt('Asking for telemetry', () =>
        protocol.request('machine.telemetry', { machine: current, rateHz: RATE_HZ }),
      );
    },
    { immediate: true },
  );

  const pastIndex = computed(() => {
    const at = cursor.atNs;
    if (at === null) return -1;
    let found = 0;
    keyframes.value.forEach((frame, index) => {
      if (frame.virtualNs <= at) found = index;
    });
    return found;
  });
  /** The frame that instruments show: the newest, or that of the time cursor. */
  const shown = computed(() =>
    cursor.atNs === null ? latest.value : (keyframes.value[pastIndex.value] ?? null),
  );
  const shownBefore = computed(() =>
    cursor.atNs === null ? earlier.value : (keyframes.value[pastIndex.value - 1] ?? null),
  );
  const shownTasks = computed(() => (cursor.atNs === null ? tasksFrame.value : shown.value)?.tasks ?? []);

  /** The whole frame that many seconds before the shown one; the oldest when there are fewer. */
  function keyframeBefore(steps: number): TelemetryFrame | null {
    const index = cursor.atNs === null ? keyframes.value.length - 1 : pastIndex.value;
    return keyframes.value[Math.max(0, index - steps)] ?? null;
  }

  /** Growth per second of a counter, over the last second. */
  function rateOf(of: (frame: TelemetryFrame) => number): number {
    const [now, before] = [shown.value, shownBefore.value];
    if (now === null || before === null || now.virtualNs <= before.virtualNs) return 0;
    return Math.max(0, ((of(now) - of(before)) * 1e9) / (now.virtualNs - before.virtualNs));
  }

  const taskRows = computed<TaskRow[]>(() => {
    const at = cursor.atNs === null ? tasksFrame.value : shown.value;
    const key = keyframes.value.findLast(
      (frame) => at !== null && frame.virtualNs < at.virtualNs && isLongEnough(at, frame),
    );
    const spanNs = key === undefined || at === null ? 0 : at.virtualNs - key.virtualNs;
    const before = new Map((key?.tasks ?? []).map((task) => [task.tid, task]));
    return shownTasks.value.map((task) => {
      const old = before.get(task.tid);
      const busyNs = task.userNs + task.systemNs - (old === undefined ? 0 : old.userNs + old.systemNs);
      const faults =
        task.minorFaults + task.majorFaults - (old === undefined ? 0 : old.minorFaults + old.majorFaults);
      return {
        ...task,
        cpuShare: spanNs > 0 ? Math.min(1, Math.max(0, busyNs / spanNs)) : Number.NaN,
        faultRate: spanNs > 0 ? Math.max(0, (faults * 1e9) / spanNs) : Number.NaN,
      };
    });
  });

  return {
    latest,
    history,
    lanes,
    version,
    keyframes,
    shown,
    shownBefore,
    shownTasks,
    taskRows,
    rateOf,
    keyframeBefore,
  };
});
