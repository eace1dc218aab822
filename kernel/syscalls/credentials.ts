// Who a task acts as: uids, gids, groups and capabilities (credentials(7), kernel/sys.c).
import { EFAULT, EINVAL, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import {
  CAP, CAPABILITY_VERSION_1, CAPABILITY_VERSION_2, CAPABILITY_VERSION_3, ALL_CAPABILITIES,
} from '../abi/capability.ts'; // prettier-ignore
import { get32, getSigned32, put32 } from '../lib/bytes.ts';
import { readUser, storeUser32, writeUser } from '../mm/user-memory.ts';
import { afterFsuidChange, afterUidChange, capable, type Credentials } from '../process/credentials.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { INT, POINTER, UINT, syscall } from './declare.ts';

/** (uid_t) -1: leave as it is. */
const UNCHANGED = 0xffff_ffff;
const NGROUPS_MAX = 65_536;

const own = (task: Task): Credentials => task.credentials;

export const getuid = syscall({
  number: 102,
  name: 'getuid',
  args: {},
  run: (_kernel, task) => own(task).uid,
});
export const geteuid = syscall({
  number: 107,
  name: 'geteuid',
  args: {},
  run: (_kernel, task) => own(task).euid,
});
export const getgid = syscall({
  number: 104,
  name: 'getgid',
  args: {},
  run: (_kernel, task) => own(task).gid,
});
export const getegid = syscall({
  number: 108,
  name: 'getegid',
  args: {},
  run: (_kernel, task) => own(task).egid,
});

/** New credentials take effect; a change of identity makes the memory undumpable and drops the death signal. */
function commit(task: Task, changed: Credentials): number {
  const old = task.credentials;
  task.credentials = changed;
  const sameIdentity =
    old.euid === changed.euid &&
    old.egid === changed.egid &&
    old.fsuid === changed.fsuid &&
    old.fsgid === changed.fsgid;
  if (!sameIdentity) {
    if (task.mm !== null) task.mm.dumpable = false;
    task.process.deathSignal = 0;
  }
  return 0;
}

export const setuid = syscall({
  number: 105,
  name: 'setuid',
  args: { uid: UINT },
  run(_kernel, task, { uid }) {
    const old = own(task);
    if (uid === UNCHANGED) return EINVAL;
    const privileged = capable(task, CAP.SETUID);
    if (!privileged && uid !== old.uid && uid !== old.suid) return EPERM;
    const all = privileged ? { uid, suid: uid } : {};
    return commit(task, afterUidChange(old, { ...old, ...all, euid: uid, fsuid: uid }));
  },
});

export const setgid = syscall({
  number: 106,
  name: 'setgid',
  args: { gid: UINT },
  run(_kernel, task, { gid }) {
    const old = own(task);
    if (gid === UNCHANGED) return EINVAL;
    const privileged = capable(task, CAP.SETGID);
    if (!privileged && gid !== old.gid && gid !== old.sgid) return EPERM;
    const all = privileged ? { gid, sgid: gid } : {};
    return commit(task, { ...old, ...all, egid: gid, fsgid: gid });
  },
});

export const setreuid = syscall({
  number: 113,
  name: 'setreuid',
  args: { ruid: UINT, euid: UINT },
  run(_kernel, task, { ruid, euid }) {
    const old = own(task);
    const privileged = capable(task, CAP.SETUID);
    const uid = ruid === UNCHANGED ? old.uid : ruid;
    const effective = euid === UNCHANGED ? old.euid : euid;
    if (!privileged && uid !== old.uid && uid !== old.euid) return EPERM;
    if (!privileged && ![old.uid, old.euid, old.suid].includes(effective)) return EPERM;
    const saves = ruid !== UNCHANGED || (euid !== UNCHANGED && effective !== old.uid);
    const suid = saves ? effective : old.suid;
    return commit(task, afterUidChange(old, { ...old, uid, euid: effective, suid, fsuid: effective }));
  },
});

export const setregid = syscall({
  number: 114,
  name: 'setregid',
  args: { rgid: UINT, egid: UINT },
  run(_kernel, task, { rgid, egid }) {
    const old = own(task);
    const privileged = capable(task, CAP.SETGID);
    const gid = rgid === UNCHANGED ? old.gid : rgid;
    const effective = egid === UNCHANGED ? old.egid : egid;
    if (!privileged && gid !== old.gid && gid !== old.egid) return EPERM;
    if (!privileged && ![old.gid, old.egid, old.sgid].includes(effective)) return EPERM;
    const saves = rgid !== UNCHANGED || (egid !== UNCHANGED && effective !== old.gid);
    const sgid = saves ? effective : old.sgid;
    return commit(task, { ...old, gid, egid: effective, sgid, fsgid: effective });
  },
});

export const setresuid = syscall({
  number: 117,
  name: 'setresuid',
  args: { ruid: UINT, euid: UINT, suid: UINT },
  run(_kernel, task, args) {
    const old = own(task);
    const mine = [old.uid, old.euid, old.suid];
    const wanted = [args.ruid, args.euid, args.suid].filter((id) => id !== UNCHANGED);
    if (!capable(task, CAP.SETUID) && wanted.some((id) => !mine.includes(id))) return EPERM;
    const euid = args.euid === UNCHANGED ? old.euid : args.euid;
    const uid = args.ruid === UNCHANGED ? old.uid : args.ruid;
    const suid = args.suid === UNCHANGED ? old.suid : args.suid;
    return commit(task, afterUidChange(old, { ...old, uid, euid, suid, fsuid: euid }));
  },
});

export const setresgid = syscall({
  number: 119,
  name: 'setresgid',
  args: { rgid: UINT, egid: UINT, sgid: UINT },
  run(_kernel, task, args) {
    const old = own(task);
    const mine = [old.gid, old.egid, old.sgid];
    const wanted = [args.rgid, args.egid, args.sgid].filter((id) => id !== UNCHANGED);
    if (!capable(task, CAP.SETGID) && wanted.some((id) => !mine.includes(id))) return EPERM;
    const egid = args.egid === UNCHANGED ? old.egid : args.egid;
    const gid = args.rgid === UNCHANGED ? old.gid : args.rgid;
    const sgid = args.sgid === UNCHANGED ? old.sgid : args.sgid;
    return commit(task, { ...old, gid, egid, sgid, fsgid: egid });
  },
});

function storeThree(
  kernel: Kernel,
  task: Task,
  addresses: readonly number[],
  values: readonly number[],
): number | Failure {
  for (const [i, address] of addresses.entries()) {
    const stored = storeUser32(kernel, task, address, values[i] ?? 0);
    if (failed(stored)) return stored;
  }
  return 0;
}

export const getresuid = syscall({
  number: 118,
  name: 'getresuid',
  args: { ruid: POINTER, euid: POINTER, suid: POINTER },
  run(kernel, task, { ruid, euid, suid }) {
    const { uid, euid: effective, suid: saved } = own(task);
    return storeThree(kernel, task, [ruid, euid, suid], [uid, effective, saved]);
  },
});

export const getresgid = syscall({
  number: 120,
  name: 'getresgid',
  args: { rgid: POINTER, egid: POINTER, sgid: POINTER },
  run(kernel, task, { rgid, egid, sgid }) {
    const { gid, egid: effective, sgid: saved } = own(task);
    return storeThree(kernel, task, [rgid, egid, sgid], [gid, effective, saved]);
  },
});

export const setfsuid = syscall({
  number: 122,
  name: 'setfsuid',
  args: { uid: UINT },
  run(_kernel, task, { uid }) {
    const old = own(task);
    const allowed = [old.uid, old.euid, old.suid, old.fsuid].includes(uid) || capable(task, CAP.SETUID);
    if (uid !== UNCHANGED && allowed && uid !== old.fsuid)
      commit(task, afterFsuidChange(old, { ...old, fsuid: uid }));
    return old.fsuid;
  },
});

export const setfsgid = syscall({
  number: 123,
  name: 'setfsgid',
  args: { gid: UINT },
  run(_kernel, task, { gid }) {
    const old = own(task);
    const allowed = [old.gid, old.egid, old.sgid, old.fsgid].includes(gid) || capable(task, CAP.SETGID);
    if (gid !== UNCHANGED && allowed && gid !== old.fsgid) commit(task, { ...old, fsgid: gid });
    return old.fsgid;
  },
});

export const getgroups = syscall({
  number: 115,
  name: 'getgroups',
  args: { size: INT, list: POINTER },
  run(kernel, task, { size, list }) {
    const { groups } = own(task);
    if (size < 0) return EINVAL;
    if (size === 0) return groups.length;
    if (groups.length > size) return EINVAL;
    const bytes = new Uint8Array(4 * groups.length);
    groups.forEach((gid, i) => put32(bytes, 4 * i, gid));
    const written = writeUser(kernel, task, list, bytes);
    return failed(written) ? written : groups.length;
  },
});

export const setgroups = syscall({
  number: 116,
  name: 'setgroups',
  args: { size: INT, list: POINTER },
  run(kernel, task, { size, list }) {
    if (!capable(task, CAP.SETGID)) return EPERM;
    if (size < 0 || size > NGROUPS_MAX) return EINVAL;
    const bytes = readUser(kernel, task, list, 4 * size);
    if (failed(bytes)) return bytes;
    const groups = Array.from({ length: size }, (_, i) => get32(bytes, 4 * i)).sort((a, b) => a - b);
    return commit(task, { ...own(task), groups });
  },
});

/** Words of capability sets that a header version has; null for an unknown version. */
function wordsOfVersion(version: number): number | null {
  if (version === CAPABILITY_VERSION_1) return 1;
  return version === CAPABILITY_VERSION_2 || version === CAPABILITY_VERSION_3 ? 2 : null;
}

/** The header's pid and the number of words, or what the call returns at once. */
function capabilityHeader(kernel: Kernel, task: Task, header: number, data: number) {
  const bytes = readUser(kernel, task, header, 8);
  if (failed(bytes)) return { done: bytes };
  const words = wordsOfVersion(get32(bytes, 0));
  if (words !== null) return { pid: getSigned32(bytes, 4), words };
  const stored = storeUser32(kernel, task, header, CAPABILITY_VERSION_3);
  if (failed(stored)) return { done: stored };
  return { done: data === 0 ? 0 : EINVAL };
}

export const capget = syscall({
  number: 125,
  name: 'capget',
  args: { header: POINTER, data: POINTER },
  run(kernel, task, { header, data }) {
    const asked = capabilityHeader(kernel, task, header, data);
    if (asked.done !== undefined) return asked.done;
    if (asked.pid < 0) return EINVAL;
    const target = asked.pid === 0 ? task : kernel.tasks.get(asked.pid);
    if (target === undefined) return ESRCH;
    if (data === 0) return 0;
    const { effective, permitted, inheritable } = target.credentials;
    const bytes = new Uint8Array(12 * asked.words);
    for (let word = 0; word < asked.words; word++) {
      [effective, permitted, inheritable].forEach((set, i) => {
        put32(bytes, 12 * word + 4 * i, Number((set >> BigInt(32 * word)) & 0xffff_ffffn));
      });
    }
    const written = writeUser(kernel, task, data, bytes);
    return failed(written) ? written : 0;
  },
});

export const capset = syscall({
  number: 126,
  name: 'capset',
  args: { header: POINTER, data: POINTER },
  run(kernel, task, { header, data }) {
    const asked = capabilityHeader(kernel, task, header, data);
    if (asked.done !== undefined) return asked.done === 0 ? EINVAL : asked.done;
    if (asked.pid !== 0 && asked.pid !== task.tid) return EPERM;
    const bytes = data === 0 ? EFAULT : readUser(kernel, task, data, 12 * asked.words);
    if (failed(bytes)) return bytes;
    const set = (index: number): bigint => {
      const high = asked.words === 2 ? BigInt(get32(bytes, 12 + 4 * index)) : 0n;
      return ((high << 32n) | BigInt(get32(bytes, 4 * index))) & ALL_CAPABILITIES;
    };
    const [effective, permitted, inheritable] = [set(0), set(1), set(2)];
    const old = own(task);
    if ((inheritable & ~(old.inheritable | old.permitted)) !== 0n && !capable(task, CAP.SETPCAP))
      return EPERM;
    if ((inheritable & ~(old.inheritable | old.bounding)) !== 0n) return EPERM;
    if ((permitted & ~old.permitted) !== 0n || (effective & ~permitted) !== 0n) return EPERM;
    const ambient = old.ambient & permitted & inheritable;
    return commit(task, { ...old, effective, permitted, inheritable, ambient });
  },
});
