/**
 * The records that requests, answers and events share: a machine as the library lists it, its report while
 * it is open, files, tasks, sessions. Each is a check (`machineReport`) and the type that follows from it
 * (`MachineReport`). Units stand last in the names; addresses are hexadecimal text ("0x7ffe…"), for they
 * may use all 64 bits.
 */
import {
  array,
  boolean,
  int32s,
  float64s,
  integer,
  nullable,
  number,
  object,
  oneOf,
  record,
  string,
} from './codec.ts';
import type { Of } from './codec.ts';

/** The library's name for a machine file; opaque to the screen. */
export const machineId = string(512);
export const sessionId = string(512);
export const snapshotId = string(512);
/** tty1 … ttyN, or what `terminal.exec` and `program.run` gave. */
export const terminalId = string(64);
export const guestPath = string(4096);
export const hostPath = string(4096);
export const nanoseconds = number();
/** Host wall-clock time, as Date.now() counts. */
export const hostTimeMs = number();
export const count = integer(0);
export const tid = integer(0, 0x7fffffff);
export const nothing = object({});

export const disk = oneOf('hdd', 'ssd', 'nvme');
export const machineSettings = object({
  name: string(200),
  image: string(200),
  cpus: integer(1, 16),
  memoryBytes: integer(64 * 1024 * 1024, 3 * 1024 * 1024 * 1024),
  swapBytes: count,
  seed: integer(0, 0xffffffff),
  disk,
});
export type MachineSettings = Of<typeof machineSettings>;

export const libraryMachine = object({
  machine: machineId,
  file: hostPath,
  settings: machineSettings,
  fileBytes: count,
  changedAtMs: hostTimeMs,
  /** `saved`: opening resumes it. `off`: opening boots it. `unreadable`: see `problem`. */
  state: oneOf('off', 'saved', 'open', 'unreadable'),
  virtualNs: nanoseconds,
  snapshotCount: count,
  sessionCount: count,
  problem: nullable(string()),
});
export type LibraryMachine = Of<typeof libraryMachine>;

export const guestProgram = object({ path: guestPath, title: string(), about: string() });
export const image = object({
  name: string(200),
  title: string(),
  about: string(),
  /** `missing`: `image.build` makes it. */
  state: oneOf('ready', 'missing', 'building', 'failed'),
  sizeBytes: count,
  problem: nullable(string()),
  /** What a newcomer may open first. */
  programs: array(guestProgram),
});
export type Image = Of<typeof image>;

export const machineStatus = oneOf('off', 'booting', 'running', 'paused', 'saving', 'halted', 'broken');
export type MachineStatus = Of<typeof machineStatus>;
/** Sent a few times a second while a machine is open, and at once when its status changes. */
export const machineReport = object({
  machine: machineId,
  name: string(200),
  status: machineStatus,
  /** Why it is halted or broken, in words. */
  reason: nullable(string()),
  virtualNs: nanoseconds,
  /** Virtual seconds per host second over the last second: 1 keeps up, 0.5 lags. */
  hostRatio: number(),
  pace: oneOf('live', 'fast'),
  loads: array(number()),
  cpus: count,
  memoryBytes: count,
  memoryUsedBytes: count,
  swapBytes: count,
  swapUsedBytes: count,
  diskBytesPerSecond: number(),
  seed: count,
  savedAtMs: nullable(hostTimeMs),
  /** The session being recorded. */
  recording: nullable(object({ session: sessionId, name: string(), sinceNs: nanoseconds, events: count })),
});
export type MachineReport = Of<typeof machineReport>;

export const terminal = object({
  terminal: terminalId,
  title: string(),
  kind: oneOf('tty', 'exec'),
  /** The exit status of what ran in it, as a shell's `$?`; null while it runs and for ttys. */
  ended: nullable(integer()),
});
export type Terminal = Of<typeof terminal>;

export const fileKind = oneOf('file', 'directory', 'symlink', 'char', 'block', 'fifo', 'socket');
export const fileInfo = object({
  name: string(255),
  kind: fileKind,
  sizeBytes: count,
  mode: count,
  uid: count,
  gid: count,
  modifiedNs: nanoseconds,
  /** Where a symbolic link points, and whether that is a directory. */
  target: nullable(string()),
  opensAsDirectory: boolean(),
});
export type FileInfo = Of<typeof fileInfo>;

export const diagnostic = object({
  file: guestPath,
  line: integer(0),
  /** 0 when the compiler does not say. */
  column: integer(0),
  severity: oneOf('error', 'warning', 'note'),
  text: string(),
});
export type Diagnostic = Of<typeof diagnostic>;

export const snapshot = object({
  snapshot: snapshotId,
  name: string(200),
  virtualNs: nanoseconds,
  takenAtMs: hostTimeMs,
  sizeBytes: count,
  /** The snapshot it descends from. */
  parent: nullable(snapshotId),
});
export type Snapshot = Of<typeof snapshot>;

export const memoryMapRow = object({
  start: string(18),
  end: string(18),
  /** As in /proc/PID/maps: rwxp. */
  permissions: string(4),
  offsetBytes: count,
  path: string(),
  residentBytes: count,
  swappedBytes: count,
});
export const openFileRow = object({
  fd: count,
  path: string(),
  kind: string(),
  offsetBytes: count,
  /** As in an open(2) call: O_RDWR|O_APPEND. */
  flags: string(),
});
/** One task with all that the inspector shows. */
export const taskDetails = object({
  tid,
  pid: tid,
  parent: tid,
  comm: string(),
  commandLine: array(string()),
  executable: nullable(string()),
  workingDirectory: nullable(string()),
  state: string(2),
  /** What a sleeping task waits for, as in /proc/PID/wchan. */
  waitChannel: nullable(string()),
  policy: string(),
  nice: integer(),
  priority: integer(),
  cpu: count,
  affinity: array(count),
  vruntimeNs: nanoseconds,
  userNs: nanoseconds,
  systemNs: nanoseconds,
  voluntarySwitches: count,
  involuntarySwitches: count,
  minorFaults: count,
  majorFaults: count,
  residentBytes: count,
  virtualBytes: count,
  swappedBytes: count,
  uid: count,
  gid: count,
  processGroup: tid,
  session: tid,
  terminal: nullable(string()),
  startedNs: nanoseconds,
  /** Register name to hexadecimal value, in the manual's order. */
  registers: record(string()),
  /** 16 hexadecimal digits each, as in /proc/PID/status. */
  signals: object({ pending: string(), blocked: string(), ignored: string(), caught: string() }),
  maps: array(memoryMapRow),
  files: array(openFileRow),
  /** The fields of the descriptor that have no place above. */
  more: record(string()),
});
export type TaskDetails = Of<typeof taskDetails>;

export const cachedFile = object({
  path: string(),
  sizeBytes: count,
  cachedPages: count,
  dirtyPages: count,
  writebackPages: count,
});
export type CachedFile = Of<typeof cachedFile>;

export const session = object({
  session: sessionId,
  name: string(200),
  startNs: nanoseconds,
  endNs: nanoseconds,
  recordedAtMs: hostTimeMs,
  eventCount: count,
  sizeBytes: count,
  running: boolean(),
});
export type Session = Of<typeof session>;
export const sessionDetails = object({
  about: session,
  cpus: count,
  /**
   * `rate`: a counter, whose columns come as growth per second. `level`: as it is. Units that the screen
   * knows: B, ns, share (0 to 1); others are written as they are.
   */
  series: array(object({ name: string(), group: string(), unit: string(), kind: oneOf('rate', 'level') })),
  /** How often each tracepoint fired. */
  events: array(object({ name: string(), count })),
  tasks: array(object({ tid, pid: tid, comm: string(), firstNs: nanoseconds, lastNs: nanoseconds })),
  /** Console output with its instants, for the whole lab at one time. */
  seed: count,
});
export type SessionDetails = Of<typeof sessionDetails>;

/** One series of a range, at most one point a pixel. `low` and `high` keep the peaks that `mean` hides. */
export const seriesColumns = object({
  name: string(),
  atNs: float64s(),
  mean: float64s(),
  low: float64s(),
  high: float64s(),
});
export type SeriesColumns = Of<typeof seriesColumns>;
/**
 * What one CPU ran. Slices shorter than a pixel come merged: `tid` is the task with the most time and
 * `merged` says how many slices it stands for (1: it is exact). `busyNs` is what was not idle.
 */
export const laneColumns = object({
  cpu: count,
  startNs: float64s(),
  endNs: float64s(),
  busyNs: float64s(),
  tid: int32s(),
  merged: int32s(),
});
export type LaneColumns = Of<typeof laneColumns>;
export const traceRow = object({
  atNs: nanoseconds,
  cpu: count,
  tid,
  comm: string(),
  name: string(),
  text: string(),
});
export type TraceRow = Of<typeof traceRow>;
export const sessionSums = object({
  tasks: array(object({ tid, comm: string(), runNs: nanoseconds, waitNs: nanoseconds, switches: count })),
  events: array(object({ name: string(), count })),
});
export type SessionSums = Of<typeof sessionSums>;

export const progress = object({
  /** What is being done, in words: "Unpacking libc6". */
  step: string(),
  /** 0 to 1; null when it cannot be known. */
  share: nullable(number()),
  /** How long it may still take; null when it cannot be known. */
  remainingMs: nullable(number()),
});
export type Progress = Of<typeof progress>;
