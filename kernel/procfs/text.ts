// Small texts that many files of /proc share.

/** 16 hex digits. */
export const hexMask = (mask: bigint): string => mask.toString(16).padStart(16, '0');
export const hex = (value: number, digits = 1): string => value.toString(16).padStart(digits, '0');

/** Bits of a mask as ranges: "0-3,6". */
export function bitList(mask: number): string {
  const ranges: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if (((mask >>> bit) & 1) === 0) continue;
    const first = bit;
    while (bit < 31 && ((mask >>> (bit + 1)) & 1) === 1) bit++;
    ranges.push(first === bit ? `${first}` : `${first}-${bit}`);
  }
  return ranges.join(',');
}

/** White space and other unfit bytes as \ooo, as seq_escape does for maps and mounts. Texts hold one char per byte. */
export function escapeBytes(text: string, unfit: string): string {
  let escaped = '';
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    escaped += unfit.includes(char) ? `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}` : char;
  }
  return escaped;
}
