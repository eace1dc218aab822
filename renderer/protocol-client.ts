/**
 * The one connection to the lab: a WebSocket to the page's own origin, or the port that Electron's preload
 * puts at `window.ringside`. Reconnects by itself, a little slower each time, and says in `connection` how
 * things stand. Subscriptions survive; requests that waited fail with `disconnected`.
 */
import { shallowRef } from 'vue';
import { ProtocolError } from '../electron/protocol/codec.ts';
import { screenEnd } from '../electron/protocol/screen-end.ts';
import type { ScreenEnd } from '../electron/protocol/screen-end.ts';
import type { Packet } from '../electron/protocol/transport.ts';

/** What the preload exposes: packets are strings or Uint8Array. */
export interface RingsidePort {
  send(packet: Packet): void;
  onMessage(listener: (packet: Packet) => void): void;
  onClose?(listener: () => void): void;
}
declare global {
  interface Window {
    readonly ringside?: RingsidePort;
  }
}

export type ConnectionState = 'connecting' | 'connected' | 'lost' | 'refused';
export const connection = shallowRef<ConnectionState>('connecting');
/** Called for packets that the other side should not have sent. */
export const protocolTrouble = shallowRef<string | null>(null);

const LONGEST_DELAY_MS = 5000;
let transmit: ((packet: Packet) => void) | null = null;

export const protocol: ScreenEnd = screenEnd((packet) => {
  if (transmit !== null) return transmit(packet);
  if (typeof packet === 'string' && /"kind":"(follow|leave|seen|cancel)"/.test(packet)) return; // sent again on connect
  throw new ProtocolError(
    'disconnected',
    'The lab is not connected.',
    'It reconnects by itself; try again then.',
  );
});

function receive(packet: Packet): void {
  try {
    protocol.receive(packet);
  } catch (error) {
    protocolTrouble.value = error instanceof Error ? error.message : String(error);
  }
}

function connectPort(port: RingsidePort): void {
  transmit = (packet) => port.send(packet);
  port.onMessage((packet) => receive(typeof packet === 'string' ? packet : new Uint8Array(packet)));
  port.onClose?.(() => {
    transmit = null;
    connection.value = 'lost';
    protocol.disconnected();
  });
  connection.value = 'connected';
  protocol.connected();
}

function connectSocket(address: string, delayMs: number): void {
  const socket = new WebSocket(address);
  socket.binaryType = 'arraybuffer';
  let opened = false;
  socket.addEventListener('open', () => {
    opened = true;
    transmit = (packet) => socket.send(typeof packet === 'string' ? packet : packet.slice());
    connection.value = 'connected';
    protocol.connected();
  });
  socket.addEventListener('message', (event: MessageEvent<unknown>) => {
    if (typeof event.data === 'string') receive(event.data);
    else if (event.data instanceof ArrayBuffer) receive(new Uint8Array(event.data));
  });
  socket.addEventListener('close', () => {
    transmit = null;
    if (opened) protocol.disconnected();
    connection.value = opened || connection.value === 'lost' ? 'lost' : 'connecting';
    const next = opened ? 250 : Math.min(delayMs * 2, LONGEST_DELAY_MS);
    setTimeout(() => void tryAgain(address, next), next);
  });
}

/** A failed handshake does not tell why; the page's own address does: 401 means that the token is another server's. */
async function tryAgain(address: string, delayMs: number): Promise<void> {
  const page = await fetch(location.href, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  if (page?.status === 401 || page?.status === 403) connection.value = 'refused';
  else connectSocket(address, delayMs);
}

export function connect(): void {
  if (window.ringside !== undefined) return connectPort(window.ringside);
  const address = new URL('ws', location.href);
  address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  address.hash = '';
  address.search = location.search; // carries the token, if the server put it there and not in a cookie
  connectSocket(address.href, 250);
}
