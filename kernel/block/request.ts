// What travels to a device: a Bio is one wish of a file system or of mm (a run of blocks and the frames to fill, or the
// bytes to write), a Request is a run of Bios that the device serves at once.
import { tracepoint } from '../trace/tracepoint.ts';

/** What happens when a Bio is done: `kind` names an entry of blockCompletions, the rest is its plain data. */
export interface BlockCompletion {
  readonly kind: string;
  readonly [detail: string]: unknown;
}

export interface Bio {
  readonly write: boolean;
  readonly first: number;
  readonly count: number;
  /** Reads: where the blocks go, one frame a block. */
  readonly frames: readonly number[];
  /** Writes: the content as it was at submission, so that later changes do not slip in. */
  readonly bytes: Uint8Array | null;
  readonly completion: BlockCompletion;
}

export interface Request {
  readonly id: number;
  readonly kind: 'read' | 'write' | 'flush';
  first: number;
  count: number;
  bios: Bio[];
  /** Flush the device's cache before writing, and make the write durable before it completes. */
  readonly preflush: boolean;
  readonly fua: boolean;
  /** Somebody waits for it: reads and synchronous writes. */
  readonly sync: boolean;
  readonly tid: number;
  readonly comm: string;
  readonly submittedNs: number;
  issuedNs: number;
  doneNs: number;
  /** Completed writes when it was issued: what its flush makes durable. */
  covers: number;
}

export interface BioOptions {
  readonly preflush?: boolean;
  readonly fua?: boolean;
  readonly sync?: boolean;
}

const fields = { dev: 'u32', sector: 'u64', nr_sector: 'u32', rwbs: 'text', comm: 'text' } as const;
export const blockRqInsert = tracepoint('block', 'block_rq_insert', fields);
export const blockRqIssue = tracepoint('block', 'block_rq_issue', fields);
export const blockRqComplete = tracepoint('block', 'block_rq_complete', { ...fields, error: 's32' });

/** The letters of Linux's rwbs field: F flush, R W, F fua, S sync. */
export function rwbsOf(request: Request): string {
  if (request.kind === 'flush') return 'FF';
  const letters = `${request.preflush ? 'F' : ''}${request.kind === 'read' ? 'R' : 'W'}${request.fua ? 'F' : ''}`;
  return request.sync && request.kind === 'write' ? `${letters}S` : letters;
}
