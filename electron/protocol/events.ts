/**
 * What the worker and the shell report unasked. A connection gets the events it follows: `follow` names an
 * event and a topic, which is a machine's id, or '' for events of the whole lab. Nobody who follows gets
 * nothing at first: ask for the present state (`machine.report`, `library.list`), then apply events.
 */
import { bytes, integer, nullable, object, oneOf, string } from './codec.ts';
import type { Of } from './codec.ts';
import { hostTimeMs, machineId, machineReport, nothing, terminal, terminalId } from './reports.ts';

export const events = {
  // topic: a machine
  'machine.report': machineReport,
  'terminal.output': object({ terminal: terminalId, bytes: bytes() }),
  /** A terminal came, or its program ended. */
  'terminal.changed': object({ terminal }),
  'snapshots.changed': nothing,
  'sessions.changed': nothing,
  /** Files of the guest changed below this directory, as far as the lab itself knows. */
  'files.changed': object({ directory: string() }),

  // topic: ''
  /** Machines or images came, went or changed state. */
  'library.changed': nothing,
  log: object({
    atMs: hostTimeMs,
    level: oneOf('info', 'warning', 'error'),
    /** `kernel` for the guest's kernel log, `worker`, `server`, `set-up`. */
    source: string(),
    machine: nullable(machineId),
    text: string(),
  }),
  /** Something failed that no request waits for. */
  problem: object({
    code: string(),
    message: string(),
    hint: nullable(string()),
    machine: nullable(machineId),
    /** How often the same has happened since it was last said. */
    times: integer(1),
  }),
} as const;

export type EventName = keyof typeof events;
export type EventOf<N extends EventName> = Of<(typeof events)[N]>;

export function isEventName(name: string): name is EventName {
  return Object.hasOwn(events, name);
}
