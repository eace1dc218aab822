// CRC-32C (Castagnoli), as metadata_csum uses it, and CRC-16 (ANSI), as gdt_csum does. Neither inverts its result.

function tableOf(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc >>> 0;
  });
}

const CASTAGNOLI = tableOf(0x82f63b78);
const ANSI = tableOf(0xa001);

export function crc32c(seed: number, bytes: Uint8Array): number {
  let crc = seed >>> 0;
  for (const byte of bytes) crc = (CASTAGNOLI[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc >>> 0;
}

export function crc16(seed: number, bytes: Uint8Array): number {
  let crc = seed & 0xffff;
  for (const byte of bytes) crc = (ANSI[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc & 0xffff;
}

export function crc32cOf32(seed: number, value: number): number {
  return crc32c(seed, Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24));
}
