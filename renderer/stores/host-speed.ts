/** How fast the host runs the machine, from two frames: measured in host time, nothing of it exists inside. */
import type { TelemetryFrame } from '../../electron/protocol/frames.ts';

export interface HostSpeed {
  /** Million instructions of user mode in a second of the host's work on the machine; NaN while it stands still. */
  readonly mips: number;
  /** Of those instructions; NaN when none ran. */
  readonly compiledShare: number;
  readonly compilerOn: boolean;
  /** From here on: since the machine was opened. */
  readonly regions: number;
  readonly regionsDropped: number;
  readonly wasmBytes: number;
  readonly compileNs: number;
}

type Frame = Pick<TelemetryFrame, 'instructions' | 'host'>;

/** Speed between the two frames; `before` is null while there is only one. */
export function hostSpeed(now: Frame, before: Frame | null): HostSpeed {
  const { host } = now;
  // a frame of the machine before it was opened again has counted further
  const grown = (of: (frame: Frame) => number): number =>
    before === null ? 0 : Math.max(0, of(now) - of(before));
  const instructions = grown((frame) => frame.instructions);
  const busyNs = grown((frame) => frame.host.busyNs);
  const compiled = grown((frame) => frame.host.compiledInstructions);
  return {
    mips: instructions > 0 && busyNs > 0 ? (instructions * 1e3) / busyNs : Number.NaN,
    compiledShare: instructions > 0 ? Math.min(1, compiled / instructions) : Number.NaN,
    compilerOn: host.compilerOn !== 0,
    regions: host.regions,
    regionsDropped: host.regionsDropped,
    wasmBytes: host.wasmBytes,
    compileNs: host.compileNs,
  };
}
