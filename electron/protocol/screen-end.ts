/**
 * The asking end of one connection: requests with progress and cancel, events, telemetry frames. The
 * renderer wraps it with reconnection; tests use it as it is. Answers and events are checked here too,
 * so that a host of another version shows up as a message and not as a broken screen.
 */
import { ProtocolError } from './codec.ts';
import { decodeFrame } from './frames.ts';
import type { TelemetryFrame } from './frames.ts';
import { events, isEventName } from './events.ts';
import type { EventName, EventOf } from './events.ts';
import { progress as progressCheck } from './reports.ts';
import type { Progress } from './reports.ts';
import { requests } from './requests.ts';
import type { AnswerOf, AskOf, RequestName } from './requests.ts';
import { decodeToScreen, encodeEnvelope, isTelemetry } from './transport.ts';
import type { Packet, ToHost } from './transport.ts';

export interface AskOptions {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}
interface Waiting {
  settle(answer: unknown): void;
  fail(error: ProtocolError): void;
  onProgress: ((progress: Progress) => void) | undefined;
}
type Listener = (event: unknown) => void;

export interface ScreenEnd {
  receive(packet: Packet): void;
  request<N extends RequestName>(name: N, ask: AskOf<N>, options?: AskOptions): Promise<AnswerOf<N>>;
  /** Listens until the returned function is called. */
  subscribe<N extends EventName>(name: N, topic: string, listener: (event: EventOf<N>) => void): () => void;
  onFrame(listener: (frame: TelemetryFrame) => void): () => void;
  /** The connection broke: every request that waits fails with `disconnected`; subscriptions stay. */
  disconnected(): void;
  /** There is a new connection: follows again what is subscribed. */
  connected(): void;
}

export function screenEnd(send: (packet: Packet) => void): ScreenEnd {
  let lastId = 0;
  const waiting = new Map<number, Waiting>();
  const listeners = new Map<string, Set<Listener>>();
  const frameListeners = new Set<(frame: TelemetryFrame) => void>();
  const post = (envelope: ToHost) => send(encodeEnvelope(envelope));
  const keyOf = (name: string, topic: string) => `${name} ${topic}`;

  function receiveFrame(packet: Uint8Array): void {
    const frame = decodeFrame(packet);
    try {
      for (const listener of frameListeners) listener(frame);
    } finally {
      post({ kind: 'seen', sequence: frame.sequence });
    }
  }

  return {
    receive(packet) {
      if (isTelemetry(packet)) return receiveFrame(packet);
      const envelope = decodeToScreen(packet);
      if (envelope.kind === 'event') {
        const set = listeners.get(keyOf(envelope.name, envelope.topic));
        if (set === undefined || !isEventName(envelope.name)) return;
        const event = events[envelope.name].parse(envelope.event, envelope.name);
        for (const listener of set) listener(event);
        return;
      }
      const asker = waiting.get(envelope.id);
      if (asker === undefined) return;
      if (envelope.kind === 'progress') {
        asker.onProgress?.(progressCheck.parse(envelope.progress, 'progress'));
        return;
      }
      waiting.delete(envelope.id);
      if (envelope.kind === 'answer') return asker.settle(envelope.answer);
      const { code, message, hint } = envelope.error;
      asker.fail(new ProtocolError(code, message, hint));
    },

    request(name, ask, options = {}) {
      const id = ++lastId;
      const cancel = () => post({ kind: 'cancel', id });
      const answered = new Promise<AnswerOf<typeof name>>((resolve, reject) => {
        waiting.set(id, {
          fail: reject,
          onProgress: options.onProgress,
          settle(answer) {
            try {
              resolve(requests[name].answer.parse(answer, name) as AnswerOf<typeof name>); // the same entry of the table
            } catch (error) {
              reject(error instanceof Error ? error : new ProtocolError('bad-message', String(error)));
            }
          },
        });
        options.signal?.addEventListener('abort', cancel, { once: true });
        try {
          post({ kind: 'ask', id, name, ask });
        } catch (error) {
          waiting.delete(id);
          reject(error instanceof Error ? error : new ProtocolError('disconnected', String(error)));
        }
      });
      return answered.finally(() => options.signal?.removeEventListener('abort', cancel));
    },

    subscribe(name, topic, listener) {
      const key = keyOf(name, topic);
      const set = listeners.get(key) ?? new Set();
      const untyped = listener as Listener; // receive() has checked the event against its name
      if (set.size === 0) post({ kind: 'follow', name, topic });
      set.add(untyped);
      listeners.set(key, set);
      return () => {
        set.delete(untyped);
        if (set.size > 0 || listeners.get(key) !== set) return;
        listeners.delete(key);
        post({ kind: 'leave', name, topic });
      };
    },

    onFrame(listener) {
      frameListeners.add(listener);
      return () => frameListeners.delete(listener);
    },

    disconnected() {
      const problem = new ProtocolError(
        'disconnected',
        'The connection to the lab was lost.',
        'It reconnects by itself.',
      );
      for (const asker of waiting.values()) asker.fail(problem);
      waiting.clear();
    },

    connected() {
      for (const key of listeners.keys()) {
        const [name = '', topic = ''] = key.split(/ (.*)/s);
        post({ kind: 'follow', name, topic });
      }
    },
  };
}
