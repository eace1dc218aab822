// Records of the journal (jbd2): the running and the committing transaction, and what is not yet in its place.
import type { WaitQueue } from '../../sched/wait-queue.ts';
import type { Inode } from '../vfs/inode.ts';

export interface Transaction {
  readonly sequence: number;
  /** Changed metadata blocks and the frames of the buffer cache that hold them; each frame is pinned. */
  blocks: Map<number, number>;
  /** Content as of this transaction of blocks that a younger one has changed since (only while it commits). */
  frozen: Map<number, Uint8Array>;
  /** Metadata blocks freed: replay must not bring back older content. */
  revoked: Set<number>;
  /** Freed blocks by group, as bitmaps: not to be used again before the commit. */
  freed: Map<number, Uint8Array>;
  freedCount: number;
  /** Inodes whose new blocks' data must be on disk before the commit. */
  ordered: Set<Inode>;
  startedNs: number;
}

export type CommitPhase =
  'idle' | 'data' | 'log' | 'commit-block' | 'checkpoint' | 'checkpoint-flush' | 'tail';

export interface Journal {
  /** Runs of the journal inode: log block → disk block. */
  readonly runs: readonly { readonly logical: number; readonly physical: number; readonly count: number }[];
  /** The journal's superblock as it is on disk. */
  superBytes: Uint8Array;
  readonly firstBlock: number;
  readonly blockCount: number;
  /** Next log block to write. */
  head: number;
  /** First log block that recovery needs, and its transaction's sequence. */
  tail: number;
  tailSequence: number;
  running: Transaction;
  committing: Transaction | null;
  /** Committed transactions with blocks not yet in place, oldest first. */
  committed: { readonly sequence: number; readonly start: number; pending: number }[];
  /** Metadata blocks not yet in place → the transaction that holds their newest committed content. */
  checkpoint: Map<number, number>;
  /** Blocks on their way to their place → sequence of the content that goes there. */
  inPlace: Map<number, number>;
  lastCommitted: number;
  /** Commit up to this transaction as soon as possible. */
  wanted: number;
  /** Then put everything in its place. */
  wantCheckpoint: boolean;
  /** That checkpoint waits for this transaction's commit; -1 while there is none. */
  checkpointTarget: number;
  phase: CommitPhase;
  /** Log and superblock writes on their way. */
  outstanding: number;
  failed: boolean;
  commitStart: number;
  timer: number;
  /** Tasks that wait for a commit or for room in the log. */
  wait: WaitQueue;
  thread: WaitQueue;
  /** Counts for the screen. */
  commits: number;
  checkpoints: number;
  loggedBlocks: number;
}

export const newTransaction = (sequence: number): Transaction => ({
  sequence, blocks: new Map(), frozen: new Map(), revoked: new Set(), freed: new Map(), freedCount: 0, ordered: new Set(),
  startedNs: -1,
}); // prettier-ignore

export const isEmpty = (transaction: Transaction): boolean =>
  transaction.blocks.size === 0 && transaction.revoked.size === 0 && transaction.ordered.size === 0;
