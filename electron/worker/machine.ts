// A machine on this thread: its file, its kernel and the engine between them. Opening boots it or resumes its saved state;
// commands and requests of the host become promises here. The command line and the machine worker are both built on it.
import {
  CONTEXT_BYTES, FROZEN_CPU_BYTES, blankMachine, configureCompiler, freeze, powerOn, thaw, type BootConfig, type HostAsk, type HostDoor, type Kernel, type KernelState, type MachineInput,
} from '../../kernel/index.ts'; // prettier-ignore
import type { MachineFile } from '../../images/index.ts';
import {
  doorOf,
  feedEngine,
  newEngine,
  pauseEngine,
  startEngine,
  type Engine,
  type EngineEvents,
  type LoggedInput,
} from './engine.ts';
import type { Pace } from './pace.ts';

export interface MachineListener {
  terminalOutput?(terminal: string, bytes: Uint8Array): void;
  /** The machine is off (null) or broke. */
  stopped?(problem: Error | null): void;
}

export interface MachineOptions {
  readonly pace: Pace;
  /** Hash every trace event from power-on. */
  readonly hashTrace?: boolean;
  /** Boot even when the file holds a saved state. */
  readonly boot?: boolean;
  /** Go on from this snapshot. */
  readonly snapshot?: string;
  /** CLOCK_REALTIME at power-on, ns; the host's now when left out. */
  readonly wallBaseNs?: number;
  /** Whether hot code is compiled (default: on); makes the host faster or slower, never changes a run. */
  readonly compiler?: CompilerSwitch;
}

export type CompilerSwitch = 'on' | 'off';

export interface CommandSpec {
  readonly argv: readonly string[];
  readonly environment?: readonly string[];
  readonly user: string;
  readonly directory?: string;
  readonly terminal?: { readonly columns: number; readonly rows: number };
  output?(stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
}

export interface RunningCommand {
  readonly id: number;
  /** The wait status, as wait(2) gives it. */
  readonly exited: Promise<number>;
  send(bytes: Uint8Array): void;
  endInput(): void;
}

export interface OpenMachine {
  readonly file: MachineFile;
  readonly engine: Engine;
  readonly listeners: Set<MachineListener>;
  readonly commands: Map<
    number,
    { output: CommandSpec['output']; exit: (status: number) => void; fail: (error: Error) => void }
  >;
  readonly requests: Map<number, { done: (result: unknown) => void; fail: (error: Error) => void }>;
  /** Resumed from a saved state, not booted. */
  readonly resumed: boolean;
  readonly compiler: CompilerSwitch;
  lastId: number;
  stopped: { problem: Error | null } | null;
}

/** The configuration that the kernel boots with, from the machine file's. */
export function bootConfigOf(file: MachineFile): BootConfig {
  const config = file.readConfig();
  return {
    cpuCount: config.cpus, memoryBytes: config.memoryBytes, swapBytes: config.swapBytes, seed: config.seed,
    diskProfile: config.disk, commandLine: 'root=/dev/vda rw console=tty1', hostname: 'ringside',
    cpuModel: config.cpuModel ?? 'v2',
  }; // prettier-ignore
}

/** Boots the machine or resumes its saved state; it does not run yet. */
export function openMachine(file: MachineFile, options: MachineOptions): OpenMachine {
  const listeners = new Set<MachineListener>();
  const commands: OpenMachine['commands'] = new Map();
  const requests: OpenMachine['requests'] = new Map();
  const events: EngineEvents = {
    terminalOutput: (terminal, bytes) =>
      listeners.forEach((listener) => listener.terminalOutput?.(terminal, bytes)),
    commandOutput: (id, stream, bytes) => commands.get(id)?.output?.(stream, bytes),
    commandExited: (id, status) => {
      commands.get(id)?.exit(status);
      commands.delete(id);
    },
    requestDone: (id, result) => {
      requests.get(id)?.done(result);
      requests.delete(id);
    },
    inputTaken: (entry: LoggedInput) => file.appendInput(entry),
    stopped: (problem) => stop(machine, problem),
  };
  const disks = Object.fromEntries(file.diskNames().map((name) => [name, file.disk(name)]));
  const pauses = { asked: false };
  const door = doorOf(disks, events, pauses);
  const { kernel, resumed } = (options.boot === true ? null : resume(file, door, options.snapshot)) ?? {
    kernel: boot(file, options, door),
    resumed: false,
  };
  const { compiler = 'on' } = options;
  configureCompiler(kernel.machine, { enabled: compiler === 'on', now: () => performance.now() });
  const lastId = kernel.host.lastCommand;
  const machine: OpenMachine = {
    file, engine: newEngine(kernel, events, pauses, options.pace), listeners, commands, requests, resumed, compiler, lastId,
    stopped: null,
  }; // prettier-ignore
  return machine;
}

function boot(file: MachineFile, options: MachineOptions, door: HostDoor): Kernel {
  file.dropRunning();
  file.clearInputs();
  const wallBaseNs = options.wallBaseNs ?? Date.now() * 1e6;
  return powerOn({ ...bootConfigOf(file), wallBaseNs, hashTrace: options.hashTrace ?? false }, door);
}

/** The machine as a snapshot or its last close left it, or null when there is nothing that may be resumed. */
function resume(
  file: MachineFile,
  door: HostDoor,
  snapshot: string | undefined,
): { kernel: Kernel; resumed: boolean } | null {
  if (snapshot === undefined && file.findRunning() === undefined) return null;
  const config = bootConfigOf(file);
  const { machine, ram } = blankMachine(config);
  const target = { ram, isZeroed: true };
  const check = (state: unknown): KernelState => asKernelState(state, config);
  const loaded =
    snapshot === undefined ? file.loadRunning(target, check) : file.loadSnapshot(snapshot, target, check);
  if (loaded?.cpus.some((cpu) => cpu.length !== FROZEN_CPU_BYTES) === true) throw new Error(OLDER_STATE);
  return loaded === undefined
    ? null
    : { kernel: thaw(machine, loaded.kernel, loaded.cpus, door), resumed: true };
}

/** A stored state is a machine file's and so hostile: what the kernel relies on at its door is looked at here. */
function asKernelState(state: unknown, config: BootConfig): KernelState {
  const known = state as Partial<KernelState> | null;
  const fits =
    known?.config?.cpuCount === config.cpuCount &&
    known.config.memoryBytes === config.memoryBytes &&
    (known.config.cpuModel ?? 'v2') === config.cpuModel;
  if (!fits || !(known.tasks instanceof Map) || known.sched?.runQueues.length !== config.cpuCount) {
    throw new Error('The saved state does not belong to this machine. Delete it, or boot with --boot.');
  }
  for (const task of known.tasks.values())
    if (task.context.length !== CONTEXT_BYTES) throw new Error(OLDER_STATE);
  return state as KernelState;
}
const OLDER_STATE = 'The saved state is of an older version of Ringside. Delete it, or boot with --boot.';

function stop(machine: OpenMachine, problem: Error | null): void {
  machine.stopped = { problem };
  const error = problem ?? new Error('The machine was switched off.');
  for (const command of machine.commands.values()) command.fail(error);
  for (const request of machine.requests.values()) request.fail(error);
  machine.commands.clear();
  machine.requests.clear();
  machine.listeners.forEach((listener) => listener.stopped?.(problem));
}

/** Lets the machine run. */
export function startMachine(machine: OpenMachine): void {
  if (machine.stopped === null) startEngine(machine.engine);
}

export function pauseMachine(machine: OpenMachine): void {
  pauseEngine(machine.engine);
}

/** Sends an input in. */
export function feedMachine(machine: OpenMachine, input: MachineInput): void {
  if (machine.stopped === null) feedEngine(machine.engine, input);
}

/** Starts a program in the guest once it has booted; its output comes by callback. */
export function startCommand(machine: OpenMachine, spec: CommandSpec): RunningCommand {
  const id = ++machine.lastId;
  const exited = new Promise<number>((exit, fail) =>
    machine.commands.set(id, { output: spec.output, exit, fail }),
  );
  feedMachine(machine, {
    kind: 'command', id, argv: spec.argv, environment: spec.environment ?? [], user: spec.user,
    directory: spec.directory ?? '', terminal: spec.terminal ?? null,
  }); // prettier-ignore
  return {
    id,
    exited,
    send: (bytes) => feedMachine(machine, { kind: 'command-input', id, bytes }),
    endInput: () => feedMachine(machine, { kind: 'command-end', id }),
  };
}

/** What a request about the guest's files failed with: a Linux error number. */
export class GuestError extends Error {
  readonly errno: string;
  constructor(errno: string, what: string) {
    super(`${what}: ${errno}`);
    this.errno = errno;
  }
}

/** Asks something of the guest's file system; fails with a GuestError where Linux gives an errno. */
export async function askGuest(machine: OpenMachine, ask: HostAsk): Promise<unknown> {
  if (machine.stopped !== null) throw new Error('The machine is switched off.');
  const id = ++machine.lastId;
  const result = await new Promise<unknown>((done, fail) => {
    machine.requests.set(id, { done, fail });
    feedMachine(machine, { kind: 'request', id, ask });
  });
  if (typeof result === 'object' && result !== null && 'errno' in result) {
    throw new GuestError(String(result.errno), ask.path);
  }
  return result;
}

/** Waits until the start scripts are over. */
export async function untilBooted(machine: OpenMachine): Promise<void> {
  if (!machine.engine.kernel.host.booted) await askGuest(machine, { kind: 'stat', path: '/' });
}

/** Writes the whole machine into its file, so that opening it goes on from here. It must be paused. */
export function saveMachine(machine: OpenMachine): void {
  const { kernel } = machine.engine;
  kernel.host.lastCommand = machine.lastId;
  const frozen = freeze(kernel);
  machine.file.saveRunning(
    { kernel: frozen.state, cpus: [...frozen.cpus], ram: frozen.ram, framesInUse: frozen.framesInUse },
    { virtualNs: Math.max(...kernel.time.cpuNs), createdAt: new Date().toISOString() },
  );
}

/** Ends the machine; with `save` its state stays in the file. */
export function closeMachine(machine: OpenMachine, save: boolean): void {
  pauseMachine(machine);
  if (save && machine.stopped === null) saveMachine(machine);
  machine.stopped ??= { problem: null };
  machine.file.close();
}
