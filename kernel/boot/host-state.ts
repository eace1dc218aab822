// What the host asked of the machine and has not yet got: commands that run with their stdio on host pipes, and requests
// about the guest's files. All of it came through the input door and is replayed with it.
import type { FileKind } from '../fs/vfs/inode.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';

/** A program that the host started; its input arrives as input events. */
export interface HostCommand {
  readonly id: number;
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  readonly user: string;
  readonly directory: string;
  /** Bytes that the host sent and the program has not read. */
  input: Uint8Array[];
  inputEnded: boolean;
  readonly arrived: WaitQueue;
  /** Name of the terminal that it runs on, or '' for pipes. */
  readonly terminal: string;
  pid: number;
}

export interface HostRequest {
  readonly id: number;
  readonly ask: HostAsk;
  /** Progress of the request, kept by its step. */
  data: unknown;
}

/** A directory entry as the host sees it. Names are one char per byte. */
export interface GuestEntry {
  readonly name: string;
  readonly kind: FileKind;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: number;
  /** Of a symbolic link. */
  readonly target: string | null;
  readonly opensAsDirectory: boolean;
}

/** Paths are one char per byte. */
export type HostAsk =
  | { readonly kind: 'list'; readonly path: string }
  | { readonly kind: 'stat'; readonly path: string }
  | { readonly kind: 'read'; readonly path: string; readonly maxBytes: number }
  | {
      readonly kind: 'write';
      readonly path: string;
      readonly bytes: Uint8Array;
      readonly mode: number;
      readonly owner: string;
    }
  | { readonly kind: 'mkdir'; readonly path: string; readonly owner: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string };

export interface HostState {
  commands: Map<number, HostCommand>;
  requests: HostRequest[];
  readonly asked: WaitQueue;
  /** The system has booted: commands may start. */
  booted: boolean;
  readonly bootWait: WaitQueue;
  /** Free-running count for what the host starts without a number of its own. */
  lastCommand: number;
}

export const newHostState = (): HostState => ({
  commands: new Map(),
  requests: [],
  asked: newWaitQueue(),
  booted: false,
  bootWait: newWaitQueue(),
  lastCommand: 0,
});
