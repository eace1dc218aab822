// Task 1 while it is still a kernel thread (init/main.c kernel_init): mounts the root and /dev, opens the console, and
// becomes /sbin/init. A step that has to wait for the disk is taken again; each stage is done once.
import { BLOCKED, ENOENT, failed, errnoNames, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { installFile } from '../fs/vfs/file-table.ts';
import { setRoot, setWorkingDirectory } from '../fs/vfs/fs-context.ts';
import type { FsContext } from '../fs/vfs/fs-context.ts';
import { mountAt, mountRoot } from '../fs/vfs/mounts.ts';
import { getFile } from '../fs/vfs/open-file.ts';
import { openPath } from '../fs/vfs/open.ts';
import type { Path } from '../fs/vfs/path.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { execRequest, execTask } from '../process/exec.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { printk } from '../trace/printk.ts';
import { parseCommandLine } from './command-line.ts';
import { panic } from './panic.ts';

const USUAL_PLACES = ['/sbin/init', '/etc/init', '/bin/init', '/bin/sh'];

/** Progress from step to step. */
export interface InitProgress {
  stage: 'root' | 'devices' | 'console' | 'program';
  /** Index of the program to try next. */
  tried: number;
}

export const newInitProgress = (): InitProgress => ({ stage: 'root', tried: 0 });

const isProgress = (data: unknown): data is InitProgress =>
  typeof data === 'object' && data !== null && 'stage' in data;

kernelThreads['kernel-init'] = (kernel, task) => {
  const data = task.kernelThread?.data;
  if (!isProgress(data)) return BLOCKED;
  switch (data.stage) {
    case 'root':
      return mountRootStage(kernel, data);
    case 'devices':
      return mountDevices(kernel, task, data);
    case 'console':
      return openConsole(kernel, task, data);
    case 'program':
      return runInit(kernel, task, data);
  }
};

const nameOf = (failure: Failure): string => errnoNames.get(-failure) ?? String(failure);

function mountRootStage(kernel: Kernel, progress: InitProgress): number {
  const { root, rootFileSystem, rootFlags, readOnly } = parseCommandLine(kernel.config.commandLine);
  const first = kernel.vfs.rootMount;
  const path = mountRoot(kernel, rootFileSystem, `/dev/${root}`, rootFlags, readOnly);
  if (path === BLOCKED) return BLOCKED;
  if (failed(path)) {
    printk(kernel, 3, `VFS: Cannot open root device "${root}" or unknown-block(0,0): error ${path}`);
    panic(kernel, 'VFS: Unable to mount root fs on unknown-block(0,0)');
    return 0;
  }
  moveToRoot(kernel, path);
  if (first !== kernel.vfs.rootMount) kernel.vfs.mounts.delete(first);
  printk(
    kernel,
    6,
    `VFS: Mounted root (${rootFileSystem} filesystem)${readOnly ? ' readonly' : ''} on device ${root}.`,
  );
  progress.stage = 'devices';
  return 0;
}

/** Every task so far stands in the first, empty root. */
function moveToRoot(kernel: Kernel, path: Path): void {
  const seen = new Set<FsContext>();
  for (const task of kernel.tasks.values()) {
    if (seen.has(task.fs)) continue;
    seen.add(task.fs);
    setRoot(kernel, task.fs, path);
    setWorkingDirectory(kernel, task.fs, path);
  }
}

function mountDevices(kernel: Kernel, task: Task, progress: InitProgress): number {
  const directory = walkPath(kernel, task, null, '/dev', { follow: true });
  if (directory === BLOCKED) return BLOCKED;
  const mounted = failed(directory)
    ? directory
    : mountAt(kernel, 'devtmpfs', 'devtmpfs', directory, 0, 'mode=0755');
  if (mounted === BLOCKED) return BLOCKED;
  if (failed(mounted)) printk(kernel, 6, `devtmpfs: error mounting ${mounted}`);
  else printk(kernel, 6, 'devtmpfs: mounted');
  progress.stage = 'console';
  return 0;
}

function openConsole(kernel: Kernel, task: Task, progress: InitProgress): number {
  const file = openPath(kernel, task, null, '/dev/console', O.RDWR);
  if (file === BLOCKED) return BLOCKED;
  progress.stage = 'program';
  if (failed(file)) {
    printk(kernel, 3, 'Warning: unable to open an initial console.');
    return 0;
  }
  for (let fd = 0; fd < 3; fd++) {
    if (fd > 0) getFile(file);
    installFile(kernel, task, file, false);
  }
  return 0;
}

function runInit(kernel: Kernel, task: Task, progress: InitProgress): number {
  const { init, initArguments, initEnvironment } = parseCommandLine(kernel.config.commandLine);
  const candidates = init === '' ? USUAL_PLACES : [init];
  const path = candidates[progress.tried];
  if (path === undefined) {
    panic(kernel, 'No working init found.  Try passing init= option to kernel.');
    return 0;
  }
  const result = execTask(kernel, task, execRequest(path, [path, ...initArguments], initEnvironment));
  if (result === BLOCKED) return BLOCKED;
  if (!failed(result)) {
    printk(kernel, 6, `Run ${path} as init process`);
    return 0;
  }
  if (init !== '') {
    panic(kernel, `Requested init ${init} failed (error ${result}).`);
    return 0;
  }
  if (result !== ENOENT)
    printk(
      kernel,
      3,
      `Starting init: ${path} exists but couldn't execute it (error ${result}, ${nameOf(result)})`,
    );
  progress.tried++;
  return 0;
}
