/**
 * The answering end of one connection, for a WebSocket, an Electron port or a test alike. The shell gives
 * it packets as they come (`receive`) and a way to send; it checks asks, calls the handler of that name,
 * checks nothing on the way out but shape errors of our own making, and turns whatever a handler throws
 * into an error envelope. Nothing that comes in can make it throw.
 */
import { ProtocolError } from './codec.ts';
import { events, isEventName } from './events.ts';
import type { EventName, EventOf } from './events.ts';
import { isRequestName, requests } from './requests.ts';
import type { AnswerOf, AskOf, RequestName } from './requests.ts';
import type { Progress } from './reports.ts';
import { decodeToHost, encodeEnvelope, problemOf } from './transport.ts';
import type { Packet, ToScreen } from './transport.ts';

export interface AskContext {
  progress(progress: Progress): void;
  /** Aborted when the screen cancels or goes away. */
  readonly signal: AbortSignal;
}
export type Handler<N extends RequestName> = (
  ask: AskOf<N>,
  context: AskContext,
) => AnswerOf<N> | Promise<AnswerOf<N>>;
export type Handlers<Names extends RequestName = RequestName> = { [N in Names]: Handler<N> };

/** Called for a checked ask; the hub may answer itself or forward it to a worker. */
export type Dispatch = (name: RequestName, ask: unknown, context: AskContext) => Promise<unknown>;

/** A dispatch from a table of handlers; requests without one fail with `not-here`. */
export function dispatchTo(handlers: Partial<Handlers>): Dispatch {
  return async (name, ask, context) => {
    const handler = handlers[name] as Handler<RequestName> | undefined; // checked against `name` by the caller
    if (handler === undefined) throw new ProtocolError('not-here', `"${name}" is not answered here.`);
    return handler(ask as never, context);
  };
}

const MOST_UNSEEN_FRAMES = 2;

export interface HostEnd {
  receive(packet: Packet): void;
  /** Sends the event to this connection if it follows. */
  emit<N extends EventName>(name: N, topic: string, event: EventOf<N>): void;
  /** Sends a telemetry frame, or drops it while the screen is behind; says whether it was sent. */
  sendFrame(packet: Uint8Array): boolean;
  follows(name: EventName, topic: string): boolean;
  /** The connection is gone: running asks are aborted. */
  close(): void;
}

export function hostEnd(send: (packet: Packet) => void, dispatch: Dispatch): HostEnd {
  const followed = new Set<string>();
  const running = new Map<number, AbortController>();
  let unseen = 0;
  const reply = (envelope: ToScreen) => send(encodeEnvelope(envelope));

  async function answer(id: number, name: string, ask: unknown): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      if (!isRequestName(name)) throw new ProtocolError('unknown-request', `There is no request "${name}".`);
      const checked = requests[name].ask.parse(ask, name);
      const context: AskContext = {
        signal: controller.signal,
        progress: (progress) => reply({ kind: 'progress', id, progress }),
      };
      reply({ kind: 'answer', id, answer: await dispatch(name, checked, context) });
    } catch (error) {
      reply({ kind: 'error', id, error: problemOf(error) });
    } finally {
      running.delete(id);
    }
  }

  return {
    receive(packet) {
      try {
        const envelope = decodeToHost(packet);
        if (envelope.kind === 'ask') void answer(envelope.id, envelope.name, envelope.ask);
        else if (envelope.kind === 'cancel') running.get(envelope.id)?.abort();
        else if (envelope.kind === 'seen') unseen = Math.max(0, unseen - 1);
        else if (isEventName(envelope.name)) {
          const key = `${envelope.name} ${envelope.topic}`;
          if (envelope.kind === 'follow') followed.add(key);
          else followed.delete(key);
        }
      } catch (error) {
        const event = { ...problemOf(error), machine: null, times: 1 };
        reply({ kind: 'event', name: 'problem', topic: '', event });
      }
    },
    emit(name, topic, event) {
      if (followed.has(`${name} ${topic}`))
        reply({ kind: 'event', name, topic, event: events[name].parse(event, name) });
    },
    sendFrame(packet) {
      if (unseen >= MOST_UNSEEN_FRAMES) return false;
      unseen++;
      send(packet);
      return true;
    },
    follows: (name, topic) => followed.has(`${name} ${topic}`),
    close() {
      for (const controller of running.values()) controller.abort();
      followed.clear();
    },
  };
}
