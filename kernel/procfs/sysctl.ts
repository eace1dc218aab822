// /proc/sys (proc(5), Documentation/admin-guide/sysctl): numbers and texts of the kernel's own state, some of which may be
// written.
import { EINVAL, EPERM } from '../abi/errno.ts';
import { CAP, CAP_LAST } from '../abi/capability.ts';
import { KERNEL_VERSION } from '../abi/version.ts';
import { randomFill } from '../lib/random.ts';
import type { MemoryTunables } from '../mm/memory-state.ts';
import { setWatermarks } from '../mm/watermarks.ts';
import type { Kernel } from '../state.ts';
import { MAX_PTYS } from '../tty/pty.ts';
import { hasCapability } from './access.ts';
import { hex } from './text.ts';
import { procDirectory, procFile, type Subject } from './tree.ts';

/** A number that is shown; with `set` also one that may be written within limits. */
export function sysctl(
  path: string, get: (kernel: Kernel) => number,
  set: ((kernel: Kernel, value: number) => void) | null = null, min = 0, max = 2 ** 31 - 1,
): void {
  procFile(`/proc/sys/${path}`, set === null ? 0o444 : 0o644, (kernel) => `${get(kernel)}\n`, set === null ? null : (kernel, { reader }, text) => {
    if (!hasCapability(reader, CAP.SYS_ADMIN) && reader.credentials.euid !== 0) return EPERM;
    const value = /^\s*-?\d+\s*$/.test(text) ? Number(text) : /^\s*0x[0-9a-f]+\s*$/i.test(text) ? parseInt(text.trim(), 16) : NaN;
    if (!Number.isInteger(value) || value < min || value > max) return EINVAL;
    set(kernel, value);
    return 0;
  });
} // prettier-ignore

function sysctlText(
  path: string,
  get: (kernel: Kernel) => string,
  set: ((kernel: Kernel, text: string) => void) | null = null,
): void {
  const write = (kernel: Kernel, { reader }: Subject, text: string): number => {
    if (reader.credentials.euid !== 0) return EPERM;
    set?.(kernel, text.split('\n')[0] ?? '');
    return 0;
  };
  procFile(
    `/proc/sys/${path}`,
    set === null ? 0o444 : 0o644,
    (kernel) => `${get(kernel)}\n`,
    set === null ? null : write,
  );
}

sysctlText('kernel/ostype', () => KERNEL_VERSION.sysname);
sysctlText('kernel/osrelease', () => KERNEL_VERSION.release);
sysctlText('kernel/version', () => KERNEL_VERSION.version);
sysctlText('kernel/hostname', (kernel) => kernel.process.hostname, (kernel, text) => {
  kernel.process.hostname = text.slice(0, 64);
}); // prettier-ignore
sysctlText('kernel/domainname', (kernel) => kernel.process.domainname, (kernel, text) => {
  kernel.process.domainname = text.slice(0, 64);
}); // prettier-ignore
sysctl('kernel/pid_max', (kernel) => kernel.process.pidMax, (kernel, value) => {
  kernel.process.pidMax = value;
}, 301, 4_194_304); // prettier-ignore
sysctl('kernel/threads-max', (kernel) => kernel.process.threadsMax, (kernel, value) => {
  kernel.process.threadsMax = value;
}, 1); // prettier-ignore
sysctl('kernel/cap_last_cap', () => CAP_LAST);
sysctl('kernel/ngroups_max', () => 65_536);
sysctl('kernel/overflowuid', () => 65_534);
sysctl('kernel/overflowgid', () => 65_534);
sysctl('kernel/randomize_va_space', (kernel) => kernel.process.randomizeVaSpace, (kernel, value) => {
  kernel.process.randomizeVaSpace = value;
}, 0, 2); // prettier-ignore
sysctl('kernel/ctrl-alt-del', (kernel) => (kernel.process.ctrlAltDelReboots ? 1 : 0), (kernel, value) => {
  kernel.process.ctrlAltDelReboots = value !== 0;
}, 0, 1); // prettier-ignore
sysctlText('kernel/printk', (kernel) => `${kernel.tty.logLevel}\t4\t1\t7`, (kernel, text) => {
  const level = Number(text.trim().split(/\s+/)[0]);
  if (Number.isInteger(level) && level >= 0 && level <= 15) kernel.tty.logLevel = level;
}); // prettier-ignore
sysctl('kernel/pty/max', () => MAX_PTYS);
sysctl('kernel/pty/reserve', () => 1024);
sysctl(
  'kernel/pty/nr',
  (kernel) => [...kernel.tty.terminals.values()].filter(({ driver }) => driver === 'pts').length,
);
sysctl('kernel/random/entropy_avail', () => 256);
sysctl('kernel/random/poolsize', () => 256);
sysctlText('kernel/random/uuid', (kernel) => newUuid(kernel));

/** A random (version 4) UUID from the machine's generator. */
function newUuid(kernel: Kernel): string {
  const bytes = new Uint8Array(16);
  randomFill(kernel.random, bytes);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const text = [...bytes].map((byte) => hex(byte, 2)).join('');
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join(
    '-',
  );
}

sysctl('kernel/shmmax', (kernel) => kernel.ipc.sysv.limits.shmmax, (kernel, value) => {
  kernel.ipc.sysv.limits.shmmax = value;
}, 0, Number.MAX_SAFE_INTEGER); // prettier-ignore
for (const name of ['shmmni', 'msgmax', 'msgmnb', 'msgmni'] as const) {
  sysctl(`kernel/${name}`, (kernel) => kernel.ipc.sysv.limits[name], (kernel, value) => {
    kernel.ipc.sysv.limits[name] = value;
  }); // prettier-ignore
}
sysctl('kernel/shmall', (kernel) => kernel.ipc.sysv.limits.shmall);
sysctlText('kernel/sem', (kernel) => {
  const { semmsl, semmns, semopm, semmni } = kernel.ipc.sysv.semaphoreLimits;
  return [semmsl, semmns, semopm, semmni].join('\t');
});

sysctlText('fs/file-nr', (kernel) => `${kernel.vfs.openFiles}\t0\t${kernel.vfs.maxFiles}`);
sysctl('fs/file-max', (kernel) => kernel.vfs.maxFiles, (kernel, value) => {
  kernel.vfs.maxFiles = value;
}); // prettier-ignore
sysctl('fs/nr_open', (kernel) => kernel.vfs.maxDescriptors, (kernel, value) => {
  kernel.vfs.maxDescriptors = value;
}, 64); // prettier-ignore
sysctlText('fs/dentry-state', (kernel) => {
  const { dentries, negativeDentries } = kernel.vfs;
  let unused = 0;
  for (const { users, children } of dentries) if (users === 0 && children.size === 0) unused++;
  return [dentries.size, unused, 45, 0, negativeDentries, 0].join('\t');
});
sysctlText('fs/inode-nr', (kernel) => `${kernel.vfs.inodeCount}\t${kernel.vfs.unusedInodes.size}`);
sysctlText('fs/inode-state', (kernel) =>
  [kernel.vfs.inodeCount, kernel.vfs.unusedInodes.size, 0, 0, 0, 0, 0].join('\t'),
);
sysctl('fs/pipe-max-size', (kernel) => kernel.ipc.pipeMaxBytes, (kernel, value) => {
  kernel.ipc.pipeMaxBytes = Math.max(4096, value);
}, 1); // prettier-ignore

const TUNABLES: readonly (readonly [string, keyof MemoryTunables, number, number])[] = [
  ['overcommit_memory', 'overcommitMemory', 0, 2], ['overcommit_ratio', 'overcommitRatio', 0, 2 ** 31 - 1],
  ['overcommit_kbytes', 'overcommitKbytes', 0, 2 ** 31 - 1], ['swappiness', 'swappiness', 0, 200],
  ['dirty_ratio', 'dirtyRatio', 0, 100], ['dirty_background_ratio', 'dirtyBackgroundRatio', 0, 100],
  ['dirty_bytes', 'dirtyBytes', 0, 2 ** 31 - 1], ['dirty_background_bytes', 'dirtyBackgroundBytes', 0, 2 ** 31 - 1],
  ['dirty_writeback_centisecs', 'dirtyWritebackCentisecs', 0, 2 ** 31 - 1],
  ['dirty_expire_centisecs', 'dirtyExpireCentisecs', 0, 2 ** 31 - 1], ['min_free_kbytes', 'minFreeKbytes', 0, 2 ** 31 - 1],
  ['watermark_scale_factor', 'watermarkScaleFactor', 1, 3000], ['page-cluster', 'pageCluster', 0, 31],
  ['max_map_count', 'maxMapCount', 0, 2 ** 31 - 1], ['vfs_cache_pressure', 'vfsCachePressure', 0, 2 ** 31 - 1],
  ['panic_on_oom', 'panicOnOom', 0, 2], ['oom_kill_allocating_task', 'oomKillAllocatingTask', 0, 1],
  ['oom_dump_tasks', 'oomDumpTasks', 0, 1], ['process_swapping', 'processSwapping', 0, 1], ['mmap_min_addr', 'mmapMinAddr', 0, 2 ** 31 - 1],
]; // prettier-ignore

/** Ratio and bytes exclude each other: setting one clears the other, as in Linux. */
const EXCLUSIVE: Partial<Record<keyof MemoryTunables, keyof MemoryTunables>> = {
  dirtyRatio: 'dirtyBytes', dirtyBytes: 'dirtyRatio', dirtyBackgroundRatio: 'dirtyBackgroundBytes',
  dirtyBackgroundBytes: 'dirtyBackgroundRatio', overcommitRatio: 'overcommitKbytes', overcommitKbytes: 'overcommitRatio',
}; // prettier-ignore

for (const [name, field, min, max] of TUNABLES) {
  sysctl(`vm/${name}`, (kernel) => kernel.memory.tunables[field], (kernel, value) => {
    kernel.memory.tunables[field] = value;
    const other = EXCLUSIVE[field];
    if (other !== undefined) kernel.memory.tunables[other] = 0;
    if (field === 'minFreeKbytes' || field === 'watermarkScaleFactor') setWatermarks(kernel.memory);
  }, min, max); // prettier-ignore
}

sysctl('net/core/somaxconn', (kernel) => kernel.net.maxBacklog, (kernel, value) => {
  kernel.net.maxBacklog = value;
}); // prettier-ignore
sysctl('net/unix/max_dgram_qlen', (kernel) => kernel.net.maxDatagrams, (kernel, value) => {
  kernel.net.maxDatagrams = value;
}); // prettier-ignore
procDirectory('/proc/sys');
sysctl('fs/mqueue/msg_max', (kernel) => kernel.ipc.mqueues.maxMessages, (kernel, value) => {
  kernel.ipc.mqueues.maxMessages = value;
}, 1, 65_536); // prettier-ignore
sysctl('fs/mqueue/msgsize_max', (kernel) => kernel.ipc.mqueues.maxBytes, (kernel, value) => {
  kernel.ipc.mqueues.maxBytes = value;
}, 128, 16 << 20); // prettier-ignore
sysctl('fs/mqueue/queues_max', (kernel) => kernel.ipc.mqueues.maxQueues, (kernel, value) => {
  kernel.ipc.mqueues.maxQueues = value;
}); // prettier-ignore
