// Who a task acts as (credentials(7)). A record is never changed in place: setuid and its like put a new one.
import {
  ALL_CAPABILITIES, CAP, FS_CAPABILITIES, SECBIT, capabilityBit,
} from '../abi/capability.ts'; // prettier-ignore
import type { Task } from '../sched/task.ts';

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;

export interface Credentials {
  readonly uid: number;
  readonly euid: number;
  readonly suid: number;
  readonly fsuid: number;
  readonly gid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  readonly groups: readonly number[];
  /** Capability sets as 64-bit masks. */
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
  readonly secureBits: number;
  readonly noNewPrivs: boolean;
}

const NONE = 0n;

/** What init and kernel threads act as: root with everything. */
export const rootCredentials = (): Credentials => ({
  uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [],
  inheritable: NONE, permitted: ALL_CAPABILITIES, effective: ALL_CAPABILITIES, bounding: ALL_CAPABILITIES,
  ambient: NONE, secureBits: 0, noNewPrivs: false,
}); // prettier-ignore

/** Whether the task may use a capability now. */
export function capable(task: Task, capability: number): boolean {
  return (task.credentials.effective & capabilityBit(capability)) !== 0n;
}

/** setuid and its like (cap_emulate_setxuid): capabilities follow the uids unless securebits say otherwise. */
export function afterUidChange(old: Credentials, changed: Credentials): Credentials {
  if ((old.secureBits & SECBIT.NO_SETUID_FIXUP) !== 0) return changed;
  let { permitted, effective, ambient } = changed;
  const wasRoot = old.uid === 0 || old.euid === 0 || old.suid === 0;
  const isRoot = changed.uid === 0 || changed.euid === 0 || changed.suid === 0;
  if (wasRoot && !isRoot) {
    if ((old.secureBits & SECBIT.KEEP_CAPS) === 0) {
      permitted = 0n;
      effective = 0n;
    }
    ambient = 0n;
  }
  if (old.euid === 0 && changed.euid !== 0) effective = 0n;
  if (old.euid !== 0 && changed.euid === 0) effective = permitted;
  return { ...changed, permitted, effective, ambient };
}

/** setfsuid (cap_task_fix_setuid, LSM_SETID_FS): the file capabilities come and go with fsuid 0. */
export function afterFsuidChange(old: Credentials, changed: Credentials): Credentials {
  if ((old.secureBits & SECBIT.NO_SETUID_FIXUP) !== 0) return changed;
  if (old.fsuid === 0 && changed.fsuid !== 0)
    return { ...changed, effective: changed.effective & ~FS_CAPABILITIES };
  if (old.fsuid !== 0 && changed.fsuid === 0) {
    return { ...changed, effective: changed.effective | (changed.permitted & FS_CAPABILITIES) };
  }
  return changed;
}

export interface ExecutableOwner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** The mount allows set-id bits (no MS_NOSUID). */
  readonly allowsSetId: boolean;
}

/** What exec makes of the credentials (bprm_fill_uid, cap_bprm_creds_from_file), and whether the program is "secure". */
export function credentialsAfterExec(
  old: Credentials,
  file: ExecutableOwner,
): { readonly now: Credentials; readonly secure: boolean } {
  const honoured = file.allowsSetId && !old.noNewPrivs;
  const euid = honoured && (file.mode & S_ISUID) !== 0 ? file.uid : old.euid;
  const setsGid = (file.mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  const egid = honoured && setsGid ? file.gid : old.egid;
  const isSetId = euid !== old.uid || egid !== old.gid;
  let { permitted, effective, ambient } = old;
  if (isSetId) ambient = 0n;
  const noRoot = (old.secureBits & SECBIT.NOROOT) !== 0;
  permitted = ambient;
  effective = ambient;
  if (!noRoot && (euid === 0 || old.uid === 0)) {
    permitted = old.bounding | old.inheritable;
    if (euid === 0) effective = permitted;
  }
  const now: Credentials = {
    ...old, euid, egid, suid: euid, sgid: egid, fsuid: euid, fsgid: egid, permitted, effective, ambient,
    secureBits: old.secureBits & ~SECBIT.KEEP_CAPS,
  }; // prettier-ignore
  return { now, secure: isSetId };
}

/** kill(2): the sender's real or effective uid must be the target's real or saved uid. */
export function maySignal(sender: Task, target: Task): boolean {
  const from = sender.credentials;
  const to = target.credentials;
  if (sender.process === target.process) return true;
  const same = from.euid === to.suid || from.euid === to.uid || from.uid === to.suid || from.uid === to.uid;
  return same || capable(sender, CAP.KILL);
}
