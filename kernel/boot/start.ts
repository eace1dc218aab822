// From power-on to the first tasks (init/main.c start_kernel, rest_init): the log's first lines, an empty root in memory,
// init (pid 1) and kthreadd (pid 2), and the kernel's own threads. Then the main loop runs them.
import { BLOCKED, failed } from '../abi/errno.ts';
import { KERNEL_VERSION } from '../abi/version.ts';
import { newFsContext } from '../fs/vfs/fs-context.ts';
import { mountRoot } from '../fs/vfs/mounts.ts';
import { assert } from '../lib/assert.ts';
import { KTHREADD, makeKernelThread, startKernelThread } from '../process/kernel-thread-start.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import { sleepOnAll } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { printk } from '../trace/printk.ts';
import { newInitProgress } from './kernel-init.ts';
import '../fs/devtmpfs/devtmpfs.ts';
import '../fs/ext4/ext4.ts';
import '../fs/tmpfs/tmpfs.ts';
import '../mm/flusher.ts';
import '../mm/kswapd.ts';
import '../process/doors.ts';

/** Threads of other folders that run from the start: name in kernelThreads, and what ps shows. */
const THREADS: readonly (readonly [name: string, comm: string])[] = [
  ['kswapd', 'kswapd0'],
  ['flusher', 'kworker/u2:0-wb'],
  ['khungtaskd', 'khungtaskd'],
  ['evict', 'kworker/0:1-evict'],
];

kernelThreads['kthreadd'] = (kernel, task) =>
  failed(sleepOnAll(kernel, task, [], 'kthreadd')) ? BLOCKED : 0;

/** Called once, at power-on. */
export function startFirstTasks(kernel: Kernel): void {
  logBanner(kernel);
  const root = mountRoot(kernel, 'ramfs', 'rootfs');
  assert(!failed(root), 'a file system in memory mounts at once');
  const fs = newFsContext(kernel, root);
  const init = makeKernelThread(kernel, 'kernel-init', 'swapper/0', newInitProgress(), 0, fs);
  init.comm = 'init';
  init.process.unkillable = true;
  kernel.process.initPid = init.tid;
  const kthreadd = makeKernelThread(kernel, 'kthreadd', 'kthreadd', null, 0, newFsContext(kernel, root));
  assert(kthreadd.tid === KTHREADD, 'kthreadd is the second task');
  for (const [name, comm] of THREADS) {
    if (name in kernelThreads) startKernelThread(kernel, name, comm, null);
  }
}

function logBanner(kernel: Kernel): void {
  const { config, memory } = kernel;
  const { sysname, release, version, builder } = KERNEL_VERSION;
  const kib = (pages: number): number => pages * 4;
  printk(kernel, 5, `${sysname} version ${release} (${builder}) ${version}`);
  printk(kernel, 6, `Command line: ${config.commandLine}`);
  printk(kernel, 6, 'NX (Execute Disable) protection: active');
  printk(
    kernel,
    6,
    `Memory: ${kib(memory.freePages)}K/${kib(memory.frameCount)}K available (${kib(memory.reservedFrames)}K reserved)`,
  );
  printk(kernel, 5, `Kernel command line: ${config.commandLine}`);
  printk(kernel, 6, `smp: Brought up 1 node, ${config.cpuCount} CPU${config.cpuCount === 1 ? '' : 's'}`);
  for (const name of Object.keys(kernel.door.disks)) {
    const blocks = kernel.door.disks[name]?.blockCount ?? 0;
    printk(
      kernel,
      6,
      `virtio_blk: [${name}] ${blocks * 8} 512-byte logical blocks (${Math.round(blocks / 256)} MiB)`,
    );
  }
}
