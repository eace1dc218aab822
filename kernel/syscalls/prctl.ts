// prctl: attributes of the calling task and its process (kernel/sys.c).
import { EFAULT, EINVAL, ENAMETOOLONG, EPERM, failed, type Failure } from '../abi/errno.ts';
import { CAP, CAP_LAST, SECBIT, capabilityBit } from '../abi/capability.ts';
import { PR, PR_CAP_AMBIENT } from '../abi/prctl.ts';
import { SIGNAL_COUNT } from '../abi/signal.ts';
import { bytesOfLatin1, latin1 } from '../lib/bytes.ts';
import { readUser, readUserString, storeUser32, storeUserBig, writeUser } from '../mm/user-memory.ts';
import { capable, type Credentials } from '../process/credentials.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { INT, SIZE, syscall } from './declare.ts';

const COMM_BYTES = 16;
const DEFAULT_SLACK_NS = 50_000;
const SECUREBITS_ALL = 0xff;
const SECUREBITS_LOCKS =
  SECBIT.NOROOT_LOCKED |
  SECBIT.NO_SETUID_FIXUP_LOCKED |
  SECBIT.KEEP_CAPS_LOCKED |
  SECBIT.NO_CAP_AMBIENT_RAISE_LOCKED;

interface Arguments {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

type Option = (kernel: Kernel, task: Task, args: Arguments) => number | Failure;

const unused = ({ b, c, d }: Arguments): boolean => b === 0 && c === 0 && d === 0;

function change(task: Task, changed: Partial<Credentials>): number {
  task.credentials = { ...task.credentials, ...changed };
  return 0;
}

const setDumpable: Option = (_kernel, task, { a }) => {
  if (a > 1 || task.mm === null) return EINVAL;
  task.mm.dumpable = a === 1;
  return 0;
};

const setName: Option = (kernel, task, { a }) => {
  const name = readUserString(kernel, task, a, COMM_BYTES);
  if (failed(name) && name !== ENAMETOOLONG) return name;
  const bytes = failed(name) ? readUser(kernel, task, a, COMM_BYTES - 1) : null; // a longer name is cut
  if (failed(bytes)) return bytes;
  task.comm = bytes !== null ? latin1(bytes) : String(name);
  return 0;
};

const getName: Option = (kernel, task, { a }) => {
  const bytes = new Uint8Array(COMM_BYTES);
  bytes.set(bytesOfLatin1(task.comm));
  const written = writeUser(kernel, task, a, bytes);
  return failed(written) ? written : 0;
};

const setKeepCaps: Option = (_kernel, task, { a }) => {
  const { secureBits } = task.credentials;
  if (a > 1) return EINVAL;
  if ((secureBits & SECBIT.KEEP_CAPS_LOCKED) !== 0) return EPERM;
  return change(task, {
    secureBits: a === 1 ? secureBits | SECBIT.KEEP_CAPS : secureBits & ~SECBIT.KEEP_CAPS,
  });
};

const setSecureBits: Option = (_kernel, task, { a }) => {
  const { secureBits } = task.credentials;
  const locked = (secureBits & SECUREBITS_LOCKS) >> 1;
  const breaksLock = (locked & (secureBits ^ a)) !== 0 || (secureBits & SECUREBITS_LOCKS & ~a) !== 0;
  if (a > SECUREBITS_ALL || breaksLock || !capable(task, CAP.SETPCAP)) return EPERM;
  return change(task, { secureBits: a });
};

const dropFromBounding: Option = (_kernel, task, { a }) => {
  if (!capable(task, CAP.SETPCAP)) return EPERM;
  if (a > CAP_LAST) return EINVAL;
  return change(task, { bounding: task.credentials.bounding & ~capabilityBit(a) });
};

const ambient: Option = (_kernel, task, { a, b, c, d }) => {
  const { credentials } = task;
  if (c !== 0 || d !== 0) return EINVAL;
  if (a === PR_CAP_AMBIENT.CLEAR_ALL) return b === 0 ? change(task, { ambient: 0n }) : EINVAL;
  if (b > CAP_LAST) return EINVAL;
  const bit = capabilityBit(b);
  if (a === PR_CAP_AMBIENT.IS_SET) return (credentials.ambient & bit) === 0n ? 0 : 1;
  if (a === PR_CAP_AMBIENT.LOWER) return change(task, { ambient: credentials.ambient & ~bit });
  if (a !== PR_CAP_AMBIENT.RAISE) return EINVAL;
  const allowed = (credentials.permitted & credentials.inheritable & bit) !== 0n;
  if (!allowed || (credentials.secureBits & SECBIT.NO_CAP_AMBIENT_RAISE) !== 0) return EPERM;
  return change(task, { ambient: credentials.ambient | bit });
};

const setTimerSlack: Option = (_kernel, task, { a }) => {
  task.process.timerSlackNs = a === 0 ? DEFAULT_SLACK_NS : a;
  return 0;
};

const options: ReadonlyMap<number, Option> = new Map<number, Option>([
  [PR.SET_PDEATHSIG, (_kernel, task, { a }) => {
    if (a > SIGNAL_COUNT) return EINVAL;
    task.process.deathSignal = a;
    return 0;
  }],
  [PR.GET_PDEATHSIG, (kernel, task, { a }) => storeUser32(kernel, task, a, task.process.deathSignal)],
  [PR.GET_DUMPABLE, (_kernel, task) => (task.mm?.dumpable === true ? 1 : 0)],
  [PR.SET_DUMPABLE, setDumpable],
  [PR.GET_KEEPCAPS, (_kernel, task) => ((task.credentials.secureBits & SECBIT.KEEP_CAPS) === 0 ? 0 : 1)],
  [PR.SET_KEEPCAPS, setKeepCaps],
  [PR.GET_TIMING, () => 0],
  [PR.SET_TIMING, (_kernel, _task, { a }) => (a === 0 ? 0 : EINVAL)],
  [PR.SET_NAME, setName],
  [PR.GET_NAME, getName],
  [PR.GET_SECCOMP, () => 0],
  [PR.SET_SECCOMP, (_kernel, _task, { a, b }) => (a === 2 && b === 0 ? EFAULT : EINVAL)], // as without CONFIG_SECCOMP, but glibc's probe
  [PR.CAPBSET_READ, (_kernel, task, { a }) => {
    if (a > CAP_LAST) return EINVAL;
    return (task.credentials.bounding & capabilityBit(a)) === 0n ? 0 : 1;
  }],
  [PR.CAPBSET_DROP, dropFromBounding],
  [PR.GET_TSC, (kernel, task, { a }) => storeUser32(kernel, task, a, 1)],
  [PR.SET_TSC, (_kernel, _task, { a }) => (a === 1 ? 0 : EINVAL)],
  [PR.GET_SECUREBITS, (_kernel, task) => task.credentials.secureBits],
  [PR.SET_SECUREBITS, setSecureBits],
  [PR.SET_TIMERSLACK, setTimerSlack],
  [PR.GET_TIMERSLACK, (_kernel, task) => task.process.timerSlackNs],
  [PR.SET_CHILD_SUBREAPER, (_kernel, task, { a }) => {
    task.process.childSubreaper = a !== 0;
    return 0;
  }],
  [PR.GET_CHILD_SUBREAPER, (kernel, task, { a }) => storeUser32(kernel, task, a, task.process.childSubreaper ? 1 : 0)],
  [PR.SET_NO_NEW_PRIVS, (_kernel, task, args) => (args.a === 1 && unused(args) ? change(task, { noNewPrivs: true }) : EINVAL)],
  [PR.GET_NO_NEW_PRIVS, (_kernel, task, args) => {
    if (args.a !== 0 || !unused(args)) return EINVAL;
    return task.credentials.noNewPrivs ? 1 : 0;
  }],
  [PR.GET_TID_ADDRESS, (kernel, task, { a }) => storeUserBig(kernel, task, a, BigInt(task.clearChildTid))],
  [PR.SET_THP_DISABLE, (_kernel, _task, args) => (unused(args) ? 0 : EINVAL)],
  [PR.GET_THP_DISABLE, (_kernel, _task, args) => (args.a === 0 && unused(args) ? 0 : EINVAL)],
  [PR.CAP_AMBIENT, ambient],
  [PR.SET_VMA, () => EINVAL], // as without CONFIG_ANON_VMA_NAME
  [PR.SET_PTRACER, () => EINVAL], // as without Yama
]); // prettier-ignore

export const prctl = syscall({
  number: 157,
  name: 'prctl',
  args: { option: INT, a: SIZE, b: SIZE, c: SIZE, d: SIZE },
  missing: 'PR_SET_SECCOMP, PR_SET_MM, PR_SET_VMA, PR_SPEC_*, PR_SCHED_CORE',
  run(kernel, task, { option, a, b, c, d }) {
    const result = options.get(option)?.(kernel, task, { a, b, c, d }) ?? EINVAL;
    return result;
  },
});
