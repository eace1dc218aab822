// Little-endian numbers and byte strings in Uint8Arrays: what guest structs are made of. Texts of the guest hold one char
// per byte (latin1), so that any bytes survive.

export function get16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

/** Unsigned 32 bits. */
export function get32(bytes: Uint8Array, offset: number): number {
  return (get16(bytes, offset) | (get16(bytes, offset + 2) << 16)) >>> 0;
}

export function getSigned32(bytes: Uint8Array, offset: number): number {
  return get32(bytes, offset) | 0;
}

/** Unsigned 64 bits as a number, rounded above 2^53. */
export function get64(bytes: Uint8Array, offset: number): number {
  return get32(bytes, offset + 4) * 0x1_0000_0000 + get32(bytes, offset);
}

/** Signed 64 bits as a number, rounded beyond ±2^53. */
export function getSigned64(bytes: Uint8Array, offset: number): number {
  return getSigned32(bytes, offset + 4) * 0x1_0000_0000 + get32(bytes, offset);
}

export function getBig64(bytes: Uint8Array, offset: number): bigint {
  return (BigInt(get32(bytes, offset + 4)) << 32n) | BigInt(get32(bytes, offset));
}

export function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value & 0xff;
  bytes[offset + 1] = (value >>> 8) & 0xff;
}

export function put32(bytes: Uint8Array, offset: number, value: number): void {
  put16(bytes, offset, value & 0xffff);
  put16(bytes, offset + 2, (value >>> 16) & 0xffff);
}

/** Writes a whole number of at most 53 bits; a negative one as two's complement. */
export function put64(bytes: Uint8Array, offset: number, value: number): void {
  put32(bytes, offset, value % 0x1_0000_0000);
  put32(bytes, offset + 4, Math.floor(value / 0x1_0000_0000));
}

export function putBig64(bytes: Uint8Array, offset: number, value: bigint): void {
  put32(bytes, offset, Number(BigInt.asUintN(32, value)));
  put32(bytes, offset + 4, Number(BigInt.asUintN(32, value >> 32n)));
}

/** One char per byte. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

/** The bytes of a one-char-per-byte text; chars above 255 lose their upper bits. */
export function bytesOfLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
