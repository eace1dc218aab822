// Virtual time against host time. Live: virtual time never runs ahead of the host, an idle machine waits. Fast: idle time
// is skipped. The pace changes when things happen on the host, never what happens inside.

export type Pace = 'live' | 'fast';

export interface PaceClock {
  pace: Pace;
  /** Host ms and virtual ns at which counting began: at start, after each pause, and when the machine fell behind. */
  hostMs: number;
  virtualNs: number;
}

export const newPaceClock = (pace: Pace, hostMs: number, virtualNs: number): PaceClock => ({
  pace,
  hostMs,
  virtualNs,
});

/** Lagging more than this is forgotten: a machine that was busy does not race afterwards. */
const FORGIVEN_LAG_NS = 50_000_000;

/** How far virtual time may have come at this moment. */
export function allowedNs(clock: PaceClock, hostMs: number): number {
  if (clock.pace === 'fast') return Infinity;
  return clock.virtualNs + (hostMs - clock.hostMs) * 1e6;
}

/** Called while the machine is busy: a lag beyond what is forgiven is written off. */
export function forgiveLag(clock: PaceClock, hostMs: number, virtualNs: number): void {
  if (clock.pace === 'fast' || clock.virtualNs + (hostMs - clock.hostMs) * 1e6 - virtualNs <= FORGIVEN_LAG_NS)
    return;
  restartClock(clock, hostMs, virtualNs + FORGIVEN_LAG_NS);
}

/** Counting begins anew here. */
export function restartClock(clock: PaceClock, hostMs: number, virtualNs: number): void {
  clock.hostMs = hostMs;
  clock.virtualNs = virtualNs;
}
