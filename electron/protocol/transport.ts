/**
 * Envelopes: what goes over a WebSocket or a message port, in either direction.
 *
 *   screen → host   ask {id, name, ask} · cancel {id} · follow {name, topic} · leave {name, topic} · seen {sequence}
 *   host → screen   answer {id, answer} · error {id, error} · progress {id, progress} · event {name, topic, event}
 *
 * An envelope without binary data travels as JSON text. One with typed arrays travels as bytes: the kind
 * byte 1, the length of the JSON text (u32, little endian), the text, where each array is replaced by
 * {"$binary": [type, offset, length]}, padding to 8, then the arrays' memory, each aligned to 8.
 * A telemetry frame is the kind byte 2, then what frames.ts says. No message has a field named "$binary".
 */
import { ProtocolError } from './codec.ts';
import type { Problem } from './codec.ts';

export type ToHost =
  | { kind: 'ask'; id: number; name: string; ask: unknown }
  | { kind: 'cancel'; id: number }
  | { kind: 'follow' | 'leave'; name: string; topic: string }
  | { kind: 'seen'; sequence: number };
export type ToScreen =
  | { kind: 'answer'; id: number; answer: unknown }
  | { kind: 'error'; id: number; error: Problem }
  | { kind: 'progress'; id: number; progress: unknown }
  | { kind: 'event'; name: string; topic: string; event: unknown };

export type Packet = string | Uint8Array;
export const ENVELOPE = 1;
export const TELEMETRY = 2;
/** A packet larger than this is refused. */
export const LARGEST_PACKET = 512 * 1024 * 1024;

const HEADER = 5;
type Column = Uint8Array | Float64Array | Int32Array;
const align8 = (length: number) => (length + 7) & ~7;

export function encodeEnvelope(envelope: ToHost | ToScreen): Packet {
  const columns: Column[] = [];
  let offset = 0;
  const lift = (value: unknown): unknown => {
    if (value instanceof Uint8Array || value instanceof Float64Array || value instanceof Int32Array) {
      const type = value instanceof Uint8Array ? 'u8' : value instanceof Float64Array ? 'f64' : 'i32';
      const place = { $binary: [type, offset, value.length] };
      columns.push(value);
      offset += align8(value.byteLength);
      return place;
    }
    if (Array.isArray(value)) return value.map(lift);
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, lift(field)]));
    }
    return value;
  };
  const json = JSON.stringify(lift(envelope));
  if (columns.length === 0) return json;
  const text = new TextEncoder().encode(json);
  const start = align8(HEADER + text.length);
  const packet = new Uint8Array(start + offset);
  packet[0] = ENVELOPE;
  new DataView(packet.buffer).setUint32(1, text.length, true);
  packet.set(text, HEADER);
  let at = start;
  for (const column of columns) {
    packet.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), at);
    at += align8(column.byteLength);
  }
  return packet;
}

/** The envelope of a packet that is not telemetry. Its fields are unchecked but for `kind` and ids. */
export function decodeToHost(packet: Packet): ToHost {
  const { kind, id, name, topic, sequence, ask } = fieldsOf(packet);
  if (kind === 'ask' && isId(id) && typeof name === 'string') return { kind, id, name, ask };
  if (kind === 'cancel' && isId(id)) return { kind, id };
  if ((kind === 'follow' || kind === 'leave') && typeof name === 'string' && typeof topic === 'string') {
    return { kind, name, topic };
  }
  if (kind === 'seen' && isId(sequence)) return { kind, sequence };
  throw new ProtocolError('bad-message', 'A packet that is no request was refused.');
}

export function decodeToScreen(packet: Packet): ToScreen {
  const { kind, id, name, topic, answer, error, progress, event } = fieldsOf(packet);
  if (kind === 'answer' && isId(id)) return { kind, id, answer };
  if (kind === 'error' && isId(id)) return { kind, id, error: problemOf(error) };
  if (kind === 'progress' && isId(id)) return { kind, id, progress };
  if (kind === 'event' && typeof name === 'string' && typeof topic === 'string')
    return { kind, name, topic, event };
  throw new ProtocolError('bad-message', 'A packet that is no answer was refused.');
}

export function isTelemetry(packet: Packet): packet is Uint8Array {
  return typeof packet !== 'string' && packet[0] === TELEMETRY;
}

/** Any thrown value as what an error envelope carries. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ProtocolError) return { code: error.code, message: error.message, hint: error.hint };
  const fields = typeof error === 'object' && error !== null ? error : {};
  const code = 'code' in fields && typeof fields.code === 'string' ? fields.code : 'failed';
  const message = 'message' in fields && typeof fields.message === 'string' ? fields.message : String(error);
  const hint = 'hint' in fields && typeof fields.hint === 'string' ? fields.hint : null;
  return { code, message, hint };
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function fieldsOf(packet: Packet): Record<string, unknown> {
  const value = typeof packet === 'string' ? parseJson(packet) : parseBinary(packet);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError('bad-message', 'A packet that is no object was refused.');
  }
  return { ...value };
}

function parseJson(text: string, revive?: (value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, revive === undefined ? undefined : (_name, value: unknown) => revive(value));
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError('bad-message', 'A packet that is not JSON was refused.');
  }
}

function parseBinary(packet: Uint8Array): unknown {
  if (packet.length < HEADER || packet[0] !== ENVELOPE) {
    throw new ProtocolError('bad-message', 'A packet of an unknown kind was refused.');
  }
  const length = new DataView(packet.buffer, packet.byteOffset, packet.byteLength).getUint32(1, true);
  const start = align8(HEADER + length);
  if (HEADER + length > packet.length) throw new ProtocolError('bad-message', 'A packet was cut short.');
  const text = new TextDecoder().decode(packet.subarray(HEADER, HEADER + length));
  return parseJson(text, (value) => columnOf(packet, start, value));
}

/** Copies the column out, for the packet's memory may be reused and may not be aligned. */
function columnOf(packet: Uint8Array, start: number, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$binary' in value)) return value;
  if (!Array.isArray(value.$binary)) return value;
  const place: unknown[] = value.$binary;
  const [type, offset, length] = place;
  if (!isId(offset) || !isId(length)) throw new ProtocolError('bad-message', 'A column has no place.');
  const width = type === 'f64' ? 8 : type === 'i32' ? 4 : 1;
  const from = start + offset;
  if (from + length * width > packet.length)
    throw new ProtocolError('bad-message', 'A column was cut short.');
  const memory = new Uint8Array(length * width); // Node's Buffer would share its pool in slice()
  memory.set(packet.subarray(from, from + length * width));
  if (type === 'f64') return new Float64Array(memory.buffer, 0, length);
  if (type === 'i32') return new Int32Array(memory.buffer, 0, length);
  return memory;
}
