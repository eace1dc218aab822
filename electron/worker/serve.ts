// A worker thread's end of the link with the hub: runs the handler of each ask, and sends back what comes.
import { parentPort } from 'node:worker_threads';
import { ProtocolError } from '../protocol/codec.ts';
import type { EventName, EventOf } from '../protocol/events.ts';
import type { AskContext } from '../protocol/host-end.ts';
import { problemOf } from '../protocol/transport.ts';
import type { FromWorker, ToWorker } from '../protocol/thread.ts';

export interface ThreadContext extends AskContext {
  readonly connection: number;
}

/** Handlers by request name. Asks were checked by the hub; each handler knows its own shape. */
export type ThreadHandlers = Readonly<Record<string, (ask: never, context: ThreadContext) => unknown>>;

export interface Thread {
  emit<N extends EventName>(name: N, topic: string, event: EventOf<N>): void;
  frame(connection: number, bytes: Uint8Array): void;
}

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

/** Answers asks until the thread is ended. */
export function serveThread(
  handlersOf: (thread: Thread) => ThreadHandlers,
  gone: (connection: number) => void,
): void {
  const running = new Map<number, AbortController>();
  const thread: Thread = {
    emit: (name, topic, event) => post({ kind: 'event', name, topic, event }),
    frame: (connection, bytes) => post({ kind: 'frame', connection, bytes }),
  };
  const handlers = handlersOf(thread);
  parentPort?.on('message', (message: ToWorker) => {
    if (message.kind === 'cancel') running.get(message.id)?.abort();
    else if (message.kind === 'gone') gone(message.connection);
    else void answer(message.id, message.name, message.ask, message.connection);
  });

  async function answer(id: number, name: string, ask: unknown, connection: number): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const handler = handlers[name];
      if (handler === undefined) throw new ProtocolError('not-here', `"${name}" is not answered here.`);
      const context = {
        connection,
        signal: controller.signal,
        progress: (progress: unknown) => post({ kind: 'progress', id, progress }),
      };
      post({ kind: 'answer', id, answer: await handler(ask as never, context) });
    } catch (error) {
      post({ kind: 'error', id, error: problemOf(error) });
    } finally {
      running.delete(id);
    }
  }
}
