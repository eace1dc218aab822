/**
 * Every request that the screen and the command line can make: its ask, its answer, and who answers.
 * `at: 'machine'` requests have a `machine` field and go to the worker that holds it, which must be open;
 * `at: 'host'` requests are answered by the shell (library, images, settings).
 *
 * A request fails with a `Problem` {code, message, hint}; it may send progress and can be cancelled
 * (see transport.ts). A change that others must see is followed by an event (see events.ts).
 */
import {
  array,
  boolean,
  bytes,
  integer,
  nullable,
  number,
  object,
  oneOf,
  optional,
  string,
} from './codec.ts';
import type { Check, Of } from './codec.ts';
import {
  cachedFile,
  count,
  diagnostic,
  fileInfo,
  guestPath,
  hostPath,
  image,
  laneColumns,
  libraryMachine,
  machineId,
  machineReport,
  machineSettings,
  nanoseconds,
  nothing,
  sessionDetails,
  session,
  sessionId,
  sessionSums,
  seriesColumns,
  snapshot,
  snapshotId,
  taskDetails,
  terminal,
  terminalId,
  tid,
  traceRow,
} from './reports.ts';

function host<A, B>(ask: Check<A>, answer: Check<B>) {
  return { at: 'host', ask, answer } as const;
}
function machine<A, B>(ask: Check<A>, answer: Check<B>) {
  return { at: 'machine', ask, answer } as const;
}

const ofMachine = object({ machine: machineId });
const report = object({ report: machineReport });
const ofPath = object({ machine: machineId, path: guestPath });
const columns = integer(2, 1000);
const rows = integer(1, 1000);
const range = { machine: machineId, session: sessionId, fromNs: nanoseconds, toNs: nanoseconds };

export const requests = {
  'app.info': host(
    nothing,
    object({
      version: string(),
      shell: oneOf('electron', 'browser'),
      platform: string(),
      node: string(),
      libraryFolder: hostPath,
      /** What this shell can do, by name: `dialogs`, `reveal`. */
      features: array(string()),
      /** What set-up still lacks, in words; empty when all is there. */
      missing: array(object({ what: string(), hint: string() })),
    }),
  ),
  'settings.get': host(object({ key: string(200) }), object({ value: nullable(string()) })),
  /** `value` is JSON text that only the screen understands; null forgets it. Durable on answer. */
  'settings.set': host(object({ key: string(200), value: nullable(string(8_000_000)) }), nothing),

  'library.list': host(nothing, object({ folder: hostPath, machines: array(libraryMachine) })),
  'library.create': host(object({ settings: machineSettings }), object({ machine: machineId })),
  'library.duplicate': host(
    object({ machine: machineId, name: string(200) }),
    object({ machine: machineId }),
  ),
  'library.rename': host(object({ machine: machineId, name: string(200) }), object({ machine: machineId })),
  'library.delete': host(ofMachine, nothing),
  /** From a path of the host (Electron, command line) or from bytes (a browser's file). */
  'library.import': host(
    object({ name: string(200), path: optional(hostPath), bytes: optional(bytes()) }),
    object({ machine: machineId }),
  ),
  /** To a path of the host, or else the file's bytes in the answer. */
  'library.export': host(
    object({ machine: machineId, path: optional(hostPath) }),
    object({ fileName: string(), bytes: nullable(bytes()) }),
  ),

  'image.list': host(nothing, object({ images: array(image) })),
  /** Long; sends progress; cancelling leaves nothing behind but the package cache. */
  'image.build': host(object({ name: string(200) }), object({ image })),

  /** Starts the worker; resumes the saved state or boots. Answers an open machine at once. */
  'machine.open': host(ofMachine, report),
  /** Saves the running state into the file and ends the worker. */
  'machine.close': host(ofMachine, nothing),
  /** Runs a paused machine, powers on one that is off. */
  'machine.start': machine(ofMachine, object({ atNs: nanoseconds })),
  'machine.pause': machine(ofMachine, object({ atNs: nanoseconds })),
  /** Runs one instruction, one slice or until the next system call, and pauses. */
  'machine.step': machine(
    object({ machine: machineId, unit: oneOf('instruction', 'slice', 'syscall') }),
    object({ atNs: nanoseconds }),
  ),
  'machine.reset': machine(ofMachine, nothing),
  'machine.powerOff': machine(ofMachine, nothing),
  'machine.pace': machine(object({ machine: machineId, pace: oneOf('live', 'fast') }), nothing),
  /** Saves the running state now, without closing. */
  'machine.save': machine(ofMachine, object({ savedAtMs: number() })),
  'machine.report': machine(ofMachine, report),
  /** Frames a second for this connection, 0 for none; a late reader loses frames. */
  'machine.telemetry': machine(object({ machine: machineId, rateHz: integer(0, 60) }), nothing),

  'snapshot.save': machine(object({ machine: machineId, name: string(200) }), object({ snapshot })),
  'snapshot.list': machine(ofMachine, object({ snapshots: array(snapshot) })),
  'snapshot.open': machine(object({ machine: machineId, snapshot: snapshotId }), report),
  'snapshot.delete': machine(object({ machine: machineId, snapshot: snapshotId }), nothing),

  'terminal.list': machine(ofMachine, object({ terminals: array(terminal) })),
  /** `backlog` is what the terminal has printed lately; later output comes as `terminal.output`. */
  'terminal.open': machine(
    object({ machine: machineId, terminal: terminalId, columns, rows }),
    object({ terminal, backlog: bytes() }),
  ),
  'terminal.input': machine(object({ machine: machineId, terminal: terminalId, bytes: bytes() }), nothing),
  'terminal.resize': machine(object({ machine: machineId, terminal: terminalId, columns, rows }), nothing),
  /** Hangs up an exec terminal; a tty stays. */
  'terminal.close': machine(object({ machine: machineId, terminal: terminalId }), nothing),
  /** Runs a command on a new pty. An empty `argv` runs the user's shell. */
  'terminal.exec': machine(
    object({
      machine: machineId,
      argv: array(string(), 1000),
      user: string(32),
      directory: guestPath,
      columns,
      rows,
    }),
    object({ terminal, pid: tid }),
  ),

  'files.list': machine(ofPath, object({ entries: array(fileInfo) })),
  'files.stat': machine(ofPath, object({ file: fileInfo })),
  'files.read': machine(ofPath, object({ bytes: bytes() })),
  /** Replaces or creates the file; on answer it is in the guest's file system, as write(2) leaves it. */
  'files.write': machine(
    object({ machine: machineId, path: guestPath, bytes: bytes(), mode: optional(integer(0, 0o7777)) }),
    nothing,
  ),
  'files.mkdir': machine(ofPath, nothing),
  'files.rename': machine(object({ machine: machineId, from: guestPath, to: guestPath }), nothing),
  /** A directory goes with all that is in it. */
  'files.remove': machine(ofPath, nothing),
  /** Paths of regular files below `root` whose path holds `text`, for Go to File. */
  'files.find': machine(
    object({ machine: machineId, root: guestPath, text: string(), limit: integer(1, 1000) }),
    object({ paths: array(guestPath) }),
  ),

  /**
   * Saves `text` (if there), compiles by suffix and starts the program. Answers when it has started, or when the
   * compiler refused it. `terminal` reuses an exec terminal whose program has ended.
   */
  'program.run': machine(
    object({
      machine: machineId,
      path: guestPath,
      text: optional(string()),
      arguments: array(string(), 1000),
      terminal: optional(terminalId),
      columns,
      rows,
    }),
    object({
      started: boolean(),
      /** As typed in a shell: "tcc -g -o /tmp/hello hello.c && /tmp/hello". */
      command: string(),
      terminal: nullable(terminal),
      diagnostics: array(diagnostic),
      /** What the compiler printed, unchanged. */
      compilerOutput: string(),
    }),
  ),

  'process.signal': machine(object({ machine: machineId, pid: tid, signal: integer(0, 64) }), nothing),
  'task.inspect': machine(object({ machine: machineId, tid }), object({ task: taskDetails })),

  /** What owns the page frames, in at most `cells` equal parts: one byte each, an index into `owners`. */
  'memory.frames': machine(
    object({ machine: machineId, cells: integer(1, 262144) }),
    object({ framesPerCell: number(), owners: array(string()), map: bytes() }),
  ),
  'memory.cachedFiles': machine(
    object({ machine: machineId, limit: integer(1, 10000) }),
    object({ files: array(cachedFile) }),
  ),
  /** /proc/meminfo and /proc/vmstat as numbers. */
  'memory.counters': machine(
    ofMachine,
    object({
      meminfo: array(object({ name: string(), bytes: count })),
      vmstat: array(object({ name: string(), value: count })),
    }),
  ),

  'sessions.start': machine(
    object({ machine: machineId, name: string(200) }),
    object({ session: sessionId }),
  ),
  'sessions.stop': machine(object({ machine: machineId }), object({ session })),
  'sessions.list': machine(ofMachine, object({ sessions: array(session) })),
  'sessions.describe': machine(
    object({ machine: machineId, session: sessionId }),
    object({ session: sessionDetails }),
  ),
  /** The range as `pixels` columns: the named series, and the lanes of all CPUs. */
  'sessions.read': machine(
    object({ ...range, pixels: integer(1, 16384), series: array(string(), 200), lanes: boolean() }),
    object({ series: array(seriesColumns), lanes: array(laneColumns) }),
  ),
  /** Rows of the range, oldest first; `name` and `text` filter. */
  'sessions.events': machine(
    object({ ...range, name: nullable(string()), text: string(), offset: count, limit: integer(1, 5000) }),
    object({ total: count, rows: array(traceRow) }),
  ),
  'sessions.sums': machine(object(range), object({ sums: sessionSums })),
  'sessions.export': machine(
    object({ machine: machineId, session: sessionId, format: oneOf('perfetto', 'csv') }),
    object({ fileName: string(), mediaType: string(), bytes: bytes() }),
  ),
  'sessions.rename': machine(object({ machine: machineId, session: sessionId, name: string(200) }), nothing),
  'sessions.delete': machine(object({ machine: machineId, session: sessionId }), nothing),
} as const;

export type RequestName = keyof typeof requests;
export type AskOf<N extends RequestName> = Of<(typeof requests)[N]['ask']>;
export type AnswerOf<N extends RequestName> = Of<(typeof requests)[N]['answer']>;
export type MachineRequestName = {
  [N in RequestName]: (typeof requests)[N]['at'] extends 'machine' ? N : never;
}[RequestName];
export type HostRequestName = Exclude<RequestName, MachineRequestName>;

export function isRequestName(name: string): name is RequestName {
  return Object.hasOwn(requests, name);
}
export function isMachineRequest(name: RequestName): name is MachineRequestName {
  return requests[name].at === 'machine';
}
