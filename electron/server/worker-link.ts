// The hub's end of a worker thread: asks with numbers, answers as promises, events and frames to listeners.
import { Worker } from 'node:worker_threads';
import { ProtocolError } from '../protocol/codec.ts';
import type { AskContext } from '../protocol/host-end.ts';
import { progress as progressCheck } from '../protocol/reports.ts';
import type { FromWorker, ToWorker } from '../protocol/thread.ts';

export interface WorkerLink {
  ask(name: string, ask: unknown, connection: number, context: AskContext): Promise<unknown>;
  /** The connection is gone: its telemetry ends. */
  forget(connection: number): void;
  end(): Promise<void>;
}

export interface WorkerListener {
  event(name: string, topic: string, event: unknown): void;
  frame(connection: number, bytes: Uint8Array): void;
  /** The thread ended; `problem` says why when nobody asked it to. */
  ended(problem: Error | null): void;
}

interface Waiting {
  settle(answer: unknown): void;
  fail(error: Error): void;
  context: AskContext;
}

/** Starts a thread from a module and speaks with it. */
export function startWorker(module: URL, workerData: unknown, listener: WorkerListener): WorkerLink {
  const worker = new Worker(module, { workerData });
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let ending = false;
  const post = (message: ToWorker): void => worker.postMessage(message);

  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'event') return listener.event(message.name, message.topic, message.event);
    if (message.kind === 'frame') return listener.frame(message.connection, message.bytes);
    const asker = waiting.get(message.id);
    if (asker === undefined) return;
    if (message.kind === 'progress')
      return asker.context.progress(progressCheck.parse(message.progress, 'progress'));
    waiting.delete(message.id);
    if (message.kind === 'answer') return asker.settle(message.answer);
    const { code, message: text, hint } = message.error;
    asker.fail(new ProtocolError(code, text, hint));
  });
  let crashed: Error | null = null;
  worker.on('error', (error) => (crashed = error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => {
    const hint = 'Open the machine again; what it had written to its disk is kept.';
    const problem = new ProtocolError('ended', crashed?.message ?? "The machine's worker has ended.", hint);
    for (const asker of waiting.values()) asker.fail(problem);
    waiting.clear();
    listener.ended(ending ? null : (crashed ?? problem));
  });

  return {
    ask: (name, ask, connection, context) =>
      new Promise((settle, fail) => {
        const id = ++lastId;
        waiting.set(id, { settle, fail, context });
        context.signal.addEventListener('abort', () => post({ kind: 'cancel', id }), { once: true });
        post({ kind: 'ask', id, name, ask, connection });
      }),
    forget: (connection) => post({ kind: 'gone', connection }),
    async end() {
      ending = true;
      await worker.terminate();
    },
  };
}
