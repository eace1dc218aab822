// A running machine in this thread: steps the kernel in portions that leave the thread free for messages, takes input in
// and stamps it, tells listeners what comes out. Knows nothing of files or screens.
import {
  applyInput, idleUntilNs, machineNs, step, type DiskBackend, type HostDoor, type Kernel, type MachineInput,
} from '../../kernel/index.ts'; // prettier-ignore
import { allowedNs, forgiveLag, newPaceClock, restartClock, type Pace, type PaceClock } from './pace.ts';

export interface EngineEvents {
  terminalOutput(terminal: string, bytes: Uint8Array): void;
  commandOutput(command: number, stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
  commandExited(command: number, waitStatus: number): void;
  requestDone(request: number, result: unknown): void;
  /** Every input, as it is taken in: for the input log. */
  inputTaken(entry: LoggedInput): void;
  /** The machine went off, halted or broke; `problem` is null when the guest powered off. */
  stopped(problem: Error | null): void;
}

/** An input with the instant at which it was taken in: what a replay needs. */
export interface LoggedInput {
  readonly step: number;
  readonly atNs: number;
  readonly input: MachineInput;
}

export interface Engine {
  readonly kernel: Kernel;
  readonly clock: PaceClock;
  readonly events: EngineEvents;
  running: boolean;
  /** An answer came out: the portion ends here, so that those who await it come first. */
  readonly pauses: { asked: boolean };
  /** Called after each portion of steps, while the machine stands between two steps. */
  afterPortion: () => void;
  /** Host ms spent in running steps. */
  busyMs: number;
  timer: NodeJS.Timeout | NodeJS.Immediate | null;
}

/** How long steps may hold the thread before messages are looked at. */
const PORTION_MS = 8;
/** Steps between two looks at the host's clock; one step is at most 0.4 ms of virtual time. */
const STEPS_A_LOOK = 4;

/**
 * The door through which the kernel's output reaches the engine's listeners. Answers ask for a pause: whoever awaits one
 * then goes on at this very step, however fast the host is, and a run with inputs that hang on answers repeats exactly.
 */
export function doorOf(
  disks: Readonly<Record<string, DiskBackend>>,
  events: EngineEvents,
  pauses: { asked: boolean },
): HostDoor {
  return {
    disks,
    terminalOutput: (terminal, bytes) => events.terminalOutput(terminal, bytes.slice()),
    commandOutput: (command, stream, bytes) => events.commandOutput(command, stream, bytes.slice()),
    commandExited: (command, status) => {
      pauses.asked = true;
      events.commandExited(command, status);
    },
    requestDone: (request, result) => {
      pauses.asked = true;
      events.requestDone(request, result);
    },
  };
}

export function newEngine(
  kernel: Kernel,
  events: EngineEvents,
  pauses: { asked: boolean },
  pace: Pace,
): Engine {
  const clock = newPaceClock(pace, performance.now(), machineNs(kernel));
  return {
    kernel,
    clock,
    events,
    running: false,
    pauses,
    afterPortion: () => undefined,
    busyMs: 0,
    timer: null,
  };
}

/** Lets the machine run until it is paused, goes off or breaks. */
export function startEngine(engine: Engine): void {
  if (engine.running) return;
  engine.running = true;
  restartClock(engine.clock, performance.now(), machineNs(engine.kernel));
  schedule(engine, 0);
}

/** Stops between two steps: the machine can then be frozen. */
export function pauseEngine(engine: Engine): void {
  engine.running = false;
  cancelTimer(engine);
}

/** How far virtual time has come: an idle machine at the live pace moves on with the host's clock, up to its next event. */
export function engineNs({ kernel, clock, running }: Engine): number {
  const reachedNs = machineNs(kernel);
  const idleNs = idleUntilNs(kernel);
  if (!running || clock.pace !== 'live' || idleNs === -Infinity) return reachedNs;
  return Math.max(reachedNs, Math.min(idleNs, Math.round(allowedNs(clock, performance.now()))));
}

/** Takes an input in at once, between two steps. */
export function feedEngine(engine: Engine, input: MachineInput): void {
  const { kernel } = engine;
  const atNs = engineNs(engine);
  engine.events.inputTaken({ step: kernel.trap.steps, atNs, input });
  try {
    applyInput(kernel, input, atNs);
  } catch (error) {
    stop(engine, asError(error));
    return;
  }
  if (engine.running) schedule(engine, 0);
}

function schedule(engine: Engine, delayMs: number): void {
  cancelTimer(engine);
  engine.timer =
    delayMs < 1 ? setImmediate(() => portion(engine)) : setTimeout(() => portion(engine), delayMs);
}

function cancelTimer(engine: Engine): void {
  if (engine.timer === null) return;
  if (typeof engine.timer === 'object' && 'refresh' in engine.timer) clearTimeout(engine.timer);
  else clearImmediate(engine.timer);
  engine.timer = null;
}

function portion(engine: Engine): void {
  engine.timer = null;
  if (!engine.running) return;
  const { kernel } = engine;
  const startMs = performance.now();
  let waitMs = 0;
  try {
    for (;;) {
      const nowMs = performance.now();
      if (nowMs - startMs >= PORTION_MS) break;
      const untilNs = idleUntilNs(kernel);
      if (untilNs === -Infinity) forgiveLag(engine.clock, nowMs, machineNs(kernel));
      const limitNs = allowedNs(engine.clock, nowMs);
      if (untilNs > limitNs) {
        waitMs = untilNs === Infinity ? Infinity : (untilNs - limitNs) / 1e6;
        break;
      }
      if (untilNs === -Infinity && machineNs(kernel) > limitNs) {
        waitMs = (machineNs(kernel) - limitNs) / 1e6;
        break;
      }
      if (runSteps(engine) !== 'ran') {
        waitMs = Infinity;
        break;
      }
      if (engine.pauses.asked) break;
    }
    engine.pauses.asked = false;
    engine.afterPortion();
  } catch (error) {
    stop(engine, asError(error));
    return;
  } finally {
    engine.busyMs += performance.now() - startMs;
  }
  if (kernel.powerState !== 'on') {
    stop(engine, null);
    return;
  }
  if (waitMs !== Infinity) schedule(engine, waitMs);
}

function runSteps({ kernel, pauses }: Engine): 'ran' | 'idle' | 'off' {
  for (let i = 0; i < STEPS_A_LOOK; i++) {
    const result = step(kernel);
    if (result !== 'ran') return result;
    if (pauses.asked || idleUntilNs(kernel) !== -Infinity) return 'ran';
  }
  return 'ran';
}

function stop(engine: Engine, problem: Error | null): void {
  pauseEngine(engine);
  engine.events.stopped(problem);
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
