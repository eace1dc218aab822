// The protocol-buffer wire format, as much of it as a trace needs: varints, doubles, texts, nested messages
// (protobuf.dev, "Encoding"). A message is built as bytes and put into its parent.

export interface Message {
  bytes: Uint8Array;
  length: number;
}

export const newMessage = (): Message => ({ bytes: new Uint8Array(64), length: 0 });

/** What has been written, as a view. */
export const bytesOf = (message: Message): Uint8Array => message.bytes.subarray(0, message.length);

function room(message: Message, more: number): void {
  if (message.length + more <= message.bytes.length) return;
  const larger = new Uint8Array(Math.max(message.bytes.length * 2, message.length + more));
  larger.set(bytesOf(message));
  message.bytes = larger;
}

/** A whole number; a negative one as its 64-bit two's complement, ten bytes long. */
function varint(message: Message, value: number): void {
  room(message, 10);
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)));
    for (; rest >= 0x80n; rest >>= 7n) message.bytes[message.length++] = Number(rest & 0x7fn) | 0x80;
    message.bytes[message.length++] = Number(rest);
    return;
  }
  let rest = Math.trunc(value);
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) message.bytes[message.length++] = (rest % 0x80) | 0x80;
  message.bytes[message.length++] = rest;
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;

/** Field of type int32, int64, uint64, bool or an enum. */
export function putNumber(message: Message, field: number, value: number): void {
  varint(message, field * 8 + VARINT);
  varint(message, value);
}

export function putDouble(message: Message, field: number, value: number): void {
  varint(message, field * 8 + FIXED64);
  room(message, 8);
  new DataView(message.bytes.buffer, message.bytes.byteOffset).setFloat64(message.length, value, true);
  message.length += 8;
}

export function putBytes(message: Message, field: number, value: Uint8Array): void {
  varint(message, field * 8 + LENGTH);
  varint(message, value.length);
  room(message, value.length);
  message.bytes.set(value, message.length);
  message.length += value.length;
}

const encoder = new TextEncoder();

export function putText(message: Message, field: number, value: string): void {
  putBytes(message, field, encoder.encode(value));
}

/** A nested message, written by `fill`. */
export function putMessage(message: Message, field: number, fill: (nested: Message) => void): void {
  const nested = newMessage();
  fill(nested);
  putBytes(message, field, bytesOf(nested));
}
