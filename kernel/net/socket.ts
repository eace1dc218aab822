// The socket: one end of a conversation (Linux's struct sock). Stream pairs and datagrams work alike for AF_UNIX and for
// loopback AF_INET; the families differ in how sockets are named and found (unix-names.ts, ports.ts).
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { newPageBuffer, type PageBuffer } from '../ipc/page-buffer.ts';
import type { Progress } from '../lib/progress.ts';
import type { Task } from '../sched/task.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';

export type Family = 'unix' | 'inet' | 'inet6';
export type SocketType = 'stream' | 'dgram' | 'seqpacket';

/** An address as programs see it, and the key under which the family finds it. */
export interface Address {
  /** sockaddr, of its true length. */
  readonly bytes: Uint8Array;
  readonly key: string;
}

/** struct ucred. */
export interface Ucred {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What lies in a receive queue: its bytes are in the queue's buffer, in the same order. */
export interface Message {
  length: number;
  readonly from: Address | null;
  readonly credentials: Ucred;
  /** SCM_RIGHTS: each counts as a reference. */
  files: OpenFile[];
}

export interface Socket {
  readonly id: number;
  readonly family: Family;
  readonly type: SocketType;
  readonly protocol: number;
  state: 'unconnected' | 'listening' | 'connecting' | 'connected' | 'disconnected';
  /** Other end of a stream; where a connected datagram socket sends to. */
  peer: Socket | null;
  name: Address | null;
  peerName: Address | null;
  /** Who made it, connected or listened; and that of the other end (SO_PEERCRED). */
  credentials: Ucred;
  peerCredentials: Ucred | null;
  buffer: PageBuffer;
  messages: Message[];
  /** Connections that wait for accept. */
  pending: Socket[];
  backlog: number;
  /** The other end sends no more, or this one reads no more; this end sends no more. */
  readShut: boolean;
  writeShut: boolean;
  /** Positive errno to report once (SO_ERROR). */
  error: number;
  closed: boolean;
  /** The other end of a TCP connection has gone: the next write fails. */
  broken: boolean;
  /** Values set by setsockopt, by "level:option". */
  options: Map<string, number>;
  sendBytes: number;
  receiveBytes: number;
  receiveTimeoutNs: number;
  sendTimeoutNs: number;
  readable: WaitQueue;
  writable: WaitQueue;
  sending: Progress;
  /** Inode of its open file, for /proc/net; 0 before accept. */
  inode: number;
}

const DEFAULT_BYTES = 212_992;

export const credentialsOf = ({ process, credentials }: Task): Ucred => ({
  pid: process.pid,
  uid: credentials.euid,
  gid: credentials.egid,
});

export function newSocket(
  kernel: Kernel,
  family: Family,
  type: SocketType,
  protocol: number,
  credentials: Ucred,
): Socket {
  const socket: Socket = {
    id: ++kernel.net.lastSocket, family, type, protocol, state: 'unconnected', peer: null, name: null, peerName: null,
    credentials, peerCredentials: null, buffer: newPageBuffer('socket'), messages: [], pending: [], backlog: 0,
    readShut: false, writeShut: false, error: 0, closed: false, broken: false, options: new Map(),
    sendBytes: DEFAULT_BYTES, receiveBytes: DEFAULT_BYTES, receiveTimeoutNs: 0, sendTimeoutNs: 0,
    readable: newWaitQueue(), writable: newWaitQueue(), sending: new Map(), inode: 0,
  }; // prettier-ignore
  kernel.net.sockets.add(socket);
  return socket;
}

export const isStream = (socket: Socket): boolean => socket.type === 'stream';
export const isConnectionOriented = (socket: Socket): boolean => socket.type !== 'dgram';
export const isUnix = (socket: Socket): boolean => socket.family === 'unix';

/** What the socket of an open file is; undefined for other files (ENOTSOCK). */
export const socketOf = (file: OpenFile): Socket | undefined =>
  file.operations === 'socket' ? (file.data as Socket) : undefined;
