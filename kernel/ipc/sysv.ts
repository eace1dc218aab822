// What the three kinds of SysV objects share: ids, keys, permissions (ipc/util.c).
import { EACCES, EEXIST, EIDRM, EINVAL, ENOENT, ENOSPC, EPERM, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { IPC_CREAT, IPC_EXCL, IPC_PRIVATE } from '../abi/sysv.ts';
import type { Task } from '../sched/task.ts';
import type { IpcPermissions, SysvState } from './sysv-state.ts';

/** Ids count up; the lower 15 bits are the place, the rest the sequence number that ipc_perm shows. */
const SEQUENCE_BITS = 15;
const MAX_ID = 2 ** 31;

interface Owned {
  permissions: IpcPermissions;
}

const has = (task: Task, capability: number): boolean =>
  (task.credentials.effective & capabilityBit(capability)) !== 0n;

function inGroup(task: Task, gid: number): boolean {
  return task.credentials.egid === gid || task.credentials.groups.includes(gid);
}

/** Whether the task may do what a mode like 0400 or 0600 says. */
export function mayUse(task: Task, { uid, gid, cuid, cgid, mode }: IpcPermissions, wanted: number): boolean {
  const { euid } = task.credentials;
  const requested = (wanted >> 6) | (wanted >> 3) | wanted;
  const granted =
    euid === cuid || euid === uid ? mode >> 6 : inGroup(task, cgid) || inGroup(task, gid) ? mode >> 3 : mode;
  return (requested & ~granted & 7) === 0 || has(task, CAP.IPC_OWNER);
}

export function ownsObject(task: Task, { uid, cuid }: IpcPermissions): boolean {
  return task.credentials.euid === uid || task.credentials.euid === cuid || has(task, CAP.SYS_ADMIN);
}

/** Finds an object by key, or makes one. `fits` looks at one that is there already. */
export function getObject<T extends Owned>(
  task: Task, objects: Map<number, T>, counters: SysvState['sequences'], kind: keyof SysvState['sequences'], limit: number,
  key: number, flags: number, fits: (object: T) => 0 | Failure, make: (permissions: IpcPermissions) => T | Failure,
): number | Failure {
  if (key !== IPC_PRIVATE) {
    for (const [id, object] of objects) {
      if (object.permissions.key !== key) continue;
      if (flags & IPC_CREAT && flags & IPC_EXCL) return EEXIST;
      if (!mayUse(task, object.permissions, flags & 0o777)) return EACCES;
      const fit = fits(object);
      return failed(fit) ? fit : id;
    }
    if ((flags & IPC_CREAT) === 0) return ENOENT;
  }
  if (objects.size >= limit) return ENOSPC;
  let id = counters[kind];
  while (objects.has(id)) id = (id + 1) % MAX_ID;
  const { euid, egid } = task.credentials;
  const made = make({ key, id, uid: euid, gid: egid, cuid: euid, cgid: egid, mode: flags & 0o777, sequence: id >> SEQUENCE_BITS });
  if (failed(made)) return made;
  counters[kind] = (id + 1) % MAX_ID;
  objects.set(id, made);
  return id;
} // prettier-ignore

/** The object of an id; EIDRM when it was removed while the call slept. */
export function objectOf<T>(task: Task, objects: Map<number, T>, id: number): T | Failure {
  return objects.get(id) ?? (task.call === null ? EINVAL : EIDRM);
}

/** The object at a place of the table, for the STAT commands of ipcs, and its id. */
export function objectAt<T>(objects: Map<number, T>, index: number): { id: number; object: T } | Failure {
  for (const [id, object] of objects) if ((id & (2 ** SEQUENCE_BITS - 1)) === index) return { id, object };
  return EINVAL;
}

/** Highest used place, as IPC_INFO gives it. */
export function highestIndex(objects: Map<number, unknown>): number {
  return [...objects.keys()].reduce((highest, id) => Math.max(highest, id & (2 ** SEQUENCE_BITS - 1)), 0);
}

/** IPC_SET: a new owner and mode. */
export function setOwner(
  task: Task,
  object: Owned,
  { uid, gid, mode }: { uid: number; gid: number; mode: number },
): 0 | Failure {
  if (!ownsObject(task, object.permissions)) return EPERM;
  object.permissions = { ...object.permissions, uid, gid, mode: (object.permissions.mode & ~0o777) | mode };
  return 0;
}
