// The last 64 KiB that a terminal has shown, so that a machine opened again shows its screens.
const RECENT_BYTES = 65_536;

export interface RecentOutput {
  /** A ring, made at the first output. */
  ring: Uint8Array;
  /** Bytes ever shown. */
  total: number;
}

export const newRecentOutput = (): RecentOutput => ({ ring: new Uint8Array(0), total: 0 });

export function addRecent(recent: RecentOutput, bytes: Uint8Array): void {
  if (recent.ring.length === 0) recent.ring = new Uint8Array(RECENT_BYTES);
  const kept = bytes.subarray(Math.max(0, bytes.length - RECENT_BYTES));
  const at = (recent.total + bytes.length - kept.length) % RECENT_BYTES;
  const first = Math.min(kept.length, RECENT_BYTES - at);
  recent.ring.set(kept.subarray(0, first), at);
  recent.ring.set(kept.subarray(first), 0);
  recent.total += bytes.length;
}

/** What is kept, oldest first. */
export function recentBytes(recent: RecentOutput): Uint8Array {
  if (recent.total <= recent.ring.length) return recent.ring.slice(0, recent.total);
  const at = recent.total % RECENT_BYTES;
  const bytes = new Uint8Array(recent.ring.length);
  bytes.set(recent.ring.subarray(at), 0);
  bytes.set(recent.ring.subarray(0, at), recent.ring.length - at);
  return bytes;
}
