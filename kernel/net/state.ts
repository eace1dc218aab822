// What the network keeps for the whole machine: names to which sockets are bound, ports, limits.
import type { Socket } from './socket.ts';

export interface NetState {
  lastSocket: number;
  /** AF_UNIX sockets that are bound to a file, by super block and inode ("3:117"). */
  unixFiles: Map<string, Socket>;
  /** Those in the abstract name space, by name without the leading NUL. */
  unixNames: Map<string, Socket>;
  /** Every open socket, for /proc/net. */
  sockets: Set<Socket>;
  /** /proc/sys/net/core/somaxconn and net/unix/max_dgram_qlen. */
  maxBacklog: number;
  maxDatagrams: number;
  /** Next port that an unbound socket gets. */
  nextPort: number;
  /** What went over the loopback interface. */
  loopback: { packets: number; bytes: number };
}

export const newNetState = (): NetState => ({
  lastSocket: 0, unixFiles: new Map(), unixNames: new Map(), sockets: new Set(), maxBacklog: 4096, maxDatagrams: 10,
  nextPort: 32_768, loopback: { packets: 0, bytes: 0 },
}); // prettier-ignore
