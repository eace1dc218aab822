// Control messages (cmsg(3), unix(7)): open files and credentials that travel with a message.
import { EBADF, EINVAL, EPERM, ETOOMANYREFS, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import {
  CMSGHDR_BYTES,
  MSG,
  SCM_CREDENTIALS,
  SCM_MAX_FD,
  SCM_RIGHTS,
  SO,
  SOL_SOCKET,
  UCRED_BYTES,
} from '../abi/socket.ts';
import { fileOf, freeDescriptor, installFile } from '../fs/vfs/file-table.ts';
import { getFile, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { get32, get64, getSigned32, put32, put64 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import type { Received } from './receive.ts';
import type { Socket, Ucred } from './socket.ts';

export interface Control {
  readonly files: readonly OpenFile[];
  readonly credentials: Ucred | null;
}

export const NO_CONTROL: Control = { files: [], credentials: null };

const align = (length: number): number => Math.ceil(length / 8) * 8;

/** Reads what sendmsg was given. Levels other than SOL_SOCKET are for protocols that take none here. */
export function parseControl(task: Task, bytes: Uint8Array): Control | Failure {
  const files: OpenFile[] = [];
  let credentials: Ucred | null = null;
  for (let at = 0; at + CMSGHDR_BYTES <= bytes.length;) {
    const length = get64(bytes, at);
    if (length < CMSGHDR_BYTES || at + length > bytes.length) return EINVAL;
    const type = getSigned32(bytes, at + 12);
    const data = bytes.subarray(at + CMSGHDR_BYTES, at + length);
    at += align(length);
    if (getSigned32(bytes, at - align(length) + 8) !== SOL_SOCKET) continue;
    if (type === SCM_RIGHTS) {
      const found = filesOf(task, data);
      if (failed(found)) return found;
      files.push(...found);
      if (files.length > SCM_MAX_FD) return EINVAL;
    } else if (type === SCM_CREDENTIALS) {
      const checked = checkCredentials(task, data);
      if (failed(checked)) return checked;
      credentials = checked;
    } else return EINVAL;
  }
  return { files, credentials };
}

function filesOf(task: Task, data: Uint8Array): OpenFile[] | Failure {
  const files: OpenFile[] = [];
  for (let at = 0; at + 4 <= data.length; at += 4) {
    const file = fileOf(task, getSigned32(data, at));
    if (failed(file)) return EBADF;
    files.push(file);
  }
  return files.length > SCM_MAX_FD ? ETOOMANYREFS : files;
}

/** A process may claim its own ids; others need privilege (unix(7), SCM_CREDENTIALS). */
function checkCredentials(task: Task, data: Uint8Array): Ucred | Failure {
  if (data.length !== UCRED_BYTES) return EINVAL;
  const claimed = { pid: getSigned32(data, 0), uid: get32(data, 4), gid: get32(data, 8) };
  const { uid, euid, suid, gid, egid, sgid, effective } = task.credentials;
  const may = (capability: number): boolean => (effective & capabilityBit(capability)) !== 0n;
  const ownPid = claimed.pid === task.process.pid || may(CAP.SYS_ADMIN);
  const ownUid = [uid, euid, suid].includes(claimed.uid) || may(CAP.SETUID);
  const ownGid = [gid, egid, sgid].includes(claimed.gid) || may(CAP.SETGID);
  return ownPid && ownUid && ownGid ? claimed : EPERM;
}

function header(length: number, type: number): Uint8Array {
  const bytes = new Uint8Array(align(CMSGHDR_BYTES + length));
  put64(bytes, 0, CMSGHDR_BYTES + length);
  put32(bytes, 8, SOL_SOCKET);
  put32(bytes, 12, type);
  return bytes;
}

/**
 * What recvmsg gives back, at most `room` bytes: credentials when the socket asks for them, and received files as new
 * descriptors. Files without room are dropped, and MSG_CTRUNC says so. `peeked` files stay in the queue as well.
 */
export function buildControl(
  kernel: Kernel, task: Task, socket: Socket, received: Received, room: number, flags: number,
): { bytes: Uint8Array; flags: number } {
  const parts: Uint8Array[] = [];
  let left = room;
  let outFlags = 0;
  if (socket.options.get(`${SOL_SOCKET}:${SO.PASSCRED}`) === 1 && received.credentials !== null) {
    const part = header(UCRED_BYTES, SCM_CREDENTIALS);
    put32(part, 16, received.credentials.pid);
    put32(part, 20, received.credentials.uid);
    put32(part, 24, received.credentials.gid);
    if (left >= CMSGHDR_BYTES + UCRED_BYTES) {
      parts.push(part);
      left -= Math.min(left, part.length);
    } else outFlags |= MSG.CTRUNC;
  }
  if (received.files.length > 0) {
    const fits = Math.max(0, Math.floor((left - CMSGHDR_BYTES) / 4));
    const fds: number[] = [];
    const isPeek = (flags & MSG.PEEK) !== 0;
    for (const [index, file] of received.files.entries()) {
      const installed = index < fits && freeDescriptor(kernel, task) >= 0 && fds.length === index;
      if (installed) {
        const fd = installFile(kernel, task, isPeek ? getFile(file) : file, (flags & MSG.CMSG_CLOEXEC) !== 0);
        if (!failed(fd)) fds.push(fd);
      } else {
        outFlags |= MSG.CTRUNC;
        if (!isPeek) putFile(kernel, file);
      }
    }
    if (fds.length > 0) {
      const part = header(fds.length * 4, SCM_RIGHTS);
      fds.forEach((fd, index) => put32(part, CMSGHDR_BYTES + 4 * index, fd));
      parts.push(part);
    }
  }
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(Math.min(total, room));
  let at = 0;
  for (const part of parts) {
    bytes.set(part.subarray(0, bytes.length - at), at);
    at += part.length;
  }
  return { bytes, flags: outFlags };
} // prettier-ignore
