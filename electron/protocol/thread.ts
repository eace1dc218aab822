/**
 * What the hub and its worker threads say to each other: requests go on with a number and the connection that asked,
 * answers, progress, events and frames come back. Typed arrays travel as they are (structured clone).
 */
import type { Problem } from './codec.ts';

export type ToWorker =
  | { kind: 'ask'; id: number; name: string; ask: unknown; connection: number }
  | { kind: 'cancel'; id: number }
  | { kind: 'gone'; connection: number };

export type FromWorker =
  | { kind: 'answer'; id: number; answer: unknown }
  | { kind: 'error'; id: number; error: Problem }
  | { kind: 'progress'; id: number; progress: unknown }
  | { kind: 'event'; name: string; topic: string; event: unknown }
  | { kind: 'frame'; connection: number; bytes: Uint8Array };
