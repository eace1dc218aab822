/**
 * The telemetry frame: what the instruments show, 10 to 30 times a second, as one packet (kind byte 2,
 * layout version, then the fields in the order below). Counters count from power-on and only grow, so that
 * a lost frame costs nothing: the screen shows differences between the frames that it has, over `virtualNs`.
 * A worker fills a plain `TelemetryFrame` and calls `encodeFrame`; what it cannot tell it leaves 0 or empty.
 *
 * Histograms are log2: entry i counts values from 2^i to 2^(i+1) - 1, in the unit of its name.
 */
import { ProtocolError } from './codec.ts';
import { blob, count, fields, figure, list, maybe, newReader, newWriter, signed, text } from './binary.ts';
import type { LayoutOf } from './binary.ts';
import { TELEMETRY } from './transport.ts';

const LAYOUT_VERSION = 2;

const queuedTask = fields({
  tid: count,
  comm: text,
  policy: text,
  vruntimeNs: count,
  /** As in /proc: R while queued. The running task is not in the list, but in `running`. */
  state: text,
});

const cpu = fields({
  userNs: count,
  niceNs: count,
  systemNs: count,
  irqNs: count,
  softirqNs: count,
  iowaitNs: count,
  idleNs: count,
  contextSwitches: count,
  migrationsIn: count,
  /** null: idle. */
  running: maybe(queuedTask),
  /** First to run first; at most 64, `queueLength` counts them all. */
  queue: list(queuedTask),
  queueLength: count,
});
export type CpuFrame = LayoutOf<typeof cpu>;

/** What a CPU ran since the frame before, for the live timeline. */
const slice = fields({
  cpu: count,
  tid: count,
  comm: text,
  startNs: count,
  durationNs: count,
  /** The task's state as it left: R was preempted. */
  left: text,
});
export type SliceFrame = LayoutOf<typeof slice>;

const wakeup = fields({ atNs: count, tid: count, fromCpu: count, toCpu: count });

const memory = fields({
  totalBytes: count,
  freeBytes: count,
  anonymousBytes: count,
  pageCacheBytes: count,
  slabBytes: count,
  pageTableBytes: count,
  /** Kernel image, stacks, memory map and what no other line counts. */
  kernelBytes: count,
  minimumBytes: count,
  lowBytes: count,
  highBytes: count,
  dirtyBytes: count,
  writebackBytes: count,
  activeAnonymousBytes: count,
  inactiveAnonymousBytes: count,
  activeFileBytes: count,
  inactiveFileBytes: count,
  /** Free runs of 2^index pages. */
  buddy: list(count),
  slabs: list(
    fields({
      name: text,
      objects: count,
      objectsTotal: count,
      objectBytes: count,
      slabs: count,
      pagesPerSlab: count,
    }),
  ),
});
export type MemoryFrame = LayoutOf<typeof memory>;

/** Linux's names in /proc/vmstat, summed over zones. */
const vm = fields({
  pgfault: count,
  pgmajfault: count,
  pgpgin: count,
  pgpgout: count,
  pswpin: count,
  pswpout: count,
  pgscanKswapd: count,
  pgscanDirect: count,
  pgstealKswapd: count,
  pgstealDirect: count,
  workingsetRefaultAnon: count,
  workingsetRefaultFile: count,
  oomKill: count,
});

const caches = fields({
  pageHits: count,
  pageMisses: count,
  dentryHits: count,
  dentryMisses: count,
  dentries: count,
  inodeHits: count,
  inodeMisses: count,
  inodes: count,
});

const swap = fields({
  totalBytes: count,
  usedBytes: count,
  /** The area in equal parts: 0 free to 255 all slots used. At most 1024. */
  map: blob,
});

const disk = fields({
  name: text,
  profile: text,
  reads: count,
  writes: count,
  readBytes: count,
  writtenBytes: count,
  flushes: count,
  merged: count,
  /** Requests that began where the one before had ended. */
  sequential: count,
  queueDepth: count,
  /** Virtual time with at least one request in the device. */
  busyNs: count,
  readLatencyNs: list(count),
  writeLatencyNs: list(count),
  requestBytes: list(count),
});
export type DiskFrame = LayoutOf<typeof disk>;

const task = fields({
  tid: count,
  pid: count,
  parent: count,
  comm: text,
  /** R S D T t Z X I, as in /proc/PID/stat. */
  state: text,
  cpu: count,
  nice: signed,
  policy: text,
  uid: count,
  userNs: count,
  systemNs: count,
  waitNs: count,
  residentBytes: count,
  virtualBytes: count,
  swappedBytes: count,
  minorFaults: count,
  majorFaults: count,
  readBytes: count,
  writtenBytes: count,
  /** Kernel threads have no address space. */
  kernelThread: count,
});
export type TaskFrame = LayoutOf<typeof task>;

const pressure = fields({
  some10: figure,
  some60: figure,
  someNs: count,
  full10: figure,
  full60: figure,
  fullNs: count,
});
export type PressureFrame = LayoutOf<typeof pressure>;

/**
 * How fast the host runs the machine: measured in host time since the machine was opened, not from power-on. Nothing of it
 * exists inside, and it differs from run to run.
 */
const host = fields({
  /** Host time spent in running the machine, compiling included. */
  busyNs: count,
  /** 0: hot code is not compiled. */
  compilerOn: count,
  /** Of the frame's `instructions`, those that ran in compiled code. */
  compiledInstructions: count,
  regions: count,
  /** Of them, those forgotten since: their code was changed or unmapped, or their place was needed. */
  regionsDropped: count,
  wasmBytes: count,
  compileNs: count,
});

const frame = fields({
  sequence: count,
  virtualNs: count,
  hostRatio: figure,
  instructions: count,
  host,
  cpus: list(cpu),
  /** At most 2,000, the longest; `slicesLost` counts the others since power-on. */
  slices: list(slice),
  slicesLost: count,
  wakeups: list(wakeup),
  runQueueLatencyNs: list(count),
  voluntarySwitches: count,
  involuntarySwitches: count,
  memory,
  vm,
  caches,
  swap,
  disks: list(disk),
  /** In every fifth frame or so; null in between. Every thread is a row. */
  tasks: maybe(list(task)),
  taskCount: count,
  syscalls: count,
  /** The calls made so far, the most frequent first; at most 40. */
  syscallCounts: list(fields({ name: text, count, errors: count, totalNs: count })),
  interrupts: list(fields({ line: text, name: text, perCpu: list(count) })),
  /** null: the kernel does not keep it. */
  pressure: fields({ cpu: maybe(pressure), memory: pressure, io: maybe(pressure) }),
  loads: list(figure),
});
export type TelemetryFrame = LayoutOf<typeof frame>;

export function encodeFrame(value: TelemetryFrame): Uint8Array {
  const writer = newWriter();
  count.put(writer, TELEMETRY);
  count.put(writer, LAYOUT_VERSION);
  frame.put(writer, value);
  return writer.bytes.slice(0, writer.at);
}

export function decodeFrame(packet: Uint8Array): TelemetryFrame {
  const reader = newReader(packet);
  if (count.take(reader) !== TELEMETRY || count.take(reader) !== LAYOUT_VERSION) {
    throw new ProtocolError(
      'bad-frame',
      'The machine sends telemetry of another version.',
      'Reload the window; if it stays, restart the lab.',
    );
  }
  return frame.take(reader);
}

/** A frame of a machine that has just been powered on: everything 0 or empty. */
export function emptyFrame(): TelemetryFrame {
  const noPressure = { some10: 0, some60: 0, someNs: 0, full10: 0, full60: 0, fullNs: 0 };
  return {
    sequence: 0,
    virtualNs: 0,
    hostRatio: 0,
    instructions: 0,
    host: {
      busyNs: 0,
      compilerOn: 1,
      compiledInstructions: 0,
      regions: 0,
      regionsDropped: 0,
      wasmBytes: 0,
      compileNs: 0,
    },
    cpus: [],
    slices: [],
    slicesLost: 0,
    wakeups: [],
    runQueueLatencyNs: [],
    voluntarySwitches: 0,
    involuntarySwitches: 0,
    memory: {
      totalBytes: 0,
      freeBytes: 0,
      anonymousBytes: 0,
      pageCacheBytes: 0,
      slabBytes: 0,
      pageTableBytes: 0,
      kernelBytes: 0,
      minimumBytes: 0,
      lowBytes: 0,
      highBytes: 0,
      dirtyBytes: 0,
      writebackBytes: 0,
      activeAnonymousBytes: 0,
      inactiveAnonymousBytes: 0,
      activeFileBytes: 0,
      inactiveFileBytes: 0,
      buddy: [],
      slabs: [],
    },
    vm: {
      pgfault: 0,
      pgmajfault: 0,
      pgpgin: 0,
      pgpgout: 0,
      pswpin: 0,
      pswpout: 0,
      pgscanKswapd: 0,
      pgscanDirect: 0,
      pgstealKswapd: 0,
      pgstealDirect: 0,
      workingsetRefaultAnon: 0,
      workingsetRefaultFile: 0,
      oomKill: 0,
    },
    caches: {
      pageHits: 0,
      pageMisses: 0,
      dentryHits: 0,
      dentryMisses: 0,
      dentries: 0,
      inodeHits: 0,
      inodeMisses: 0,
      inodes: 0,
    },
    swap: { totalBytes: 0, usedBytes: 0, map: new Uint8Array(0) },
    disks: [],
    tasks: null,
    taskCount: 0,
    syscalls: 0,
    syscallCounts: [],
    interrupts: [],
    pressure: { cpu: null, memory: noPressure, io: null },
    loads: [],
  };
}
