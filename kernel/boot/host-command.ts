// Programs that the host starts. A kernel thread waits until the system has booted, puts the command's stdio on host pipes or
// on a pty, takes on the user and becomes the program, as Linux's usermode helper does.
import { BLOCKED, EACCES, EAGAIN, ENOENT, ENOTDIR, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../abi/poll.ts';
import { newAnonymousFile } from '../fs/vfs/open-file.ts';
import { installFile } from '../fs/vfs/file-table.ts';
import { setWorkingDirectory } from '../fs/vfs/fs-context.ts';
import { fileOperations, type FileOperations, type Transfer } from '../fs/vfs/inode.ts';
import { openPath } from '../fs/vfs/open.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { moveFromUser, moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { bytesOfLatin1 } from '../lib/bytes.ts';
import { afterUidChange } from '../process/credentials.ts';
import { execTask } from '../process/exec.ts';
import { exitGroup, processExitHooks } from '../process/exit.ts';
import { startKernelThread } from '../process/kernel-thread-start.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import type { HostCommand } from './host-state.ts';
import { findUser, type PasswdUser } from './host-files.ts';

/** What a host command's thread keeps from step to step. */
interface CommandProgress {
  readonly id: number;
  user: PasswdUser | null;
  passwd: { bytes: Uint8Array; length: number };
  /** Next directory of PATH to try. */
  tried: number;
  /** The failure to report when none fits: EACCES wins over ENOENT. */
  failure: number;
}

const SEARCH_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export function startHostCommand(kernel: Kernel, command: HostCommand): void {
  kernel.host.commands.set(command.id, command);
  const progress: CommandProgress = {
    id: command.id,
    user: null,
    passwd: { bytes: new Uint8Array(0), length: 0 },
    tried: 0,
    failure: ENOENT,
  };
  const task = startKernelThread(kernel, 'host-command', 'khost', progress);
  task.process.hostCommand = command.id;
  task.process.sid = task.process.pid;
  task.process.pgid = task.process.pid;
  command.pid = task.process.pid;
}

kernelThreads['host-command'] = (kernel: Kernel, task: Task): number => {
  const progress = task.kernelThread?.data as CommandProgress;
  const command = kernel.host.commands.get(progress.id);
  if (command === undefined) return exitGroup(kernel, task, 0);
  if (!kernel.host.booted) return sleepOn(kernel, task, kernel.host.bootWait, 'host_boot');
  if (progress.user === null) {
    const user = findUser(kernel, task, command.user, progress.passwd);
    if (failed(user))
      return user === BLOCKED
        ? BLOCKED
        : giveUp(kernel, task, command, `there is no user ${command.user}`, 126);
    progress.user = user;
  }
  if (task.files.open.length === 0) {
    const opened = openStdio(kernel, task, command);
    if (failed(opened)) return opened === BLOCKED ? BLOCKED : exitGroup(kernel, task, 126 << 8);
  }
  const moved = enterDirectory(kernel, task, command, progress.user);
  if (failed(moved))
    return moved === BLOCKED
      ? BLOCKED
      : giveUp(kernel, task, command, `there is no directory ${command.directory}`, 126);
  return execute(kernel, task, command, progress, progress.user);
};

function execute(
  kernel: Kernel,
  task: Task,
  command: HostCommand,
  progress: CommandProgress,
  user: PasswdUser,
): number {
  const [name = ''] = command.argv;
  const candidates = name.includes('/') ? [name] : SEARCH_PATH.map((folder) => `${folder}/${name}`);
  takeOn(task, user);
  for (; progress.tried < candidates.length; progress.tried++) {
    const path = candidates[progress.tried] ?? '';
    const result = execTask(kernel, task, {
      path,
      base: null,
      file: null,
      noFollow: false,
      argv: command.argv,
      envp: environmentOf(command, user),
      shownName: path,
    });
    if (!failed(result)) return 0;
    if (result === BLOCKED) return BLOCKED;
    if (result !== ENOENT && result !== ENOTDIR) progress.failure = result;
    if (result !== ENOENT && result !== ENOTDIR && result !== EACCES) break;
  }
  const isMissing = progress.failure === (ENOENT as number);
  return giveUp(
    kernel,
    task,
    command,
    isMissing ? `${name}: not found` : `${name}: cannot be run (error ${-progress.failure})`,
    isMissing ? 127 : 126,
  );
}

function takeOn(task: Task, user: PasswdUser): void {
  const { uid, gid, groups } = user;
  const old = task.credentials;
  if (old.uid === uid && old.gid === gid) return;
  const changed = {
    ...old,
    uid,
    euid: uid,
    suid: uid,
    fsuid: uid,
    gid,
    egid: gid,
    sgid: gid,
    fsgid: gid,
    groups,
  };
  task.credentials = afterUidChange(old, changed);
}

function environmentOf(command: HostCommand, user: PasswdUser): string[] {
  const given = new Set(command.environment.map((entry) => entry.split('=', 1)[0]));
  const standard = [
    `HOME=${user.home}`, `USER=${user.name}`, `LOGNAME=${user.name}`, `SHELL=${user.shell}`, `PATH=${SEARCH_PATH.join(':')}`, 'LANG=C.UTF-8',
  ]; // prettier-ignore
  return [...standard.filter((entry) => !given.has(entry.split('=', 1)[0])), ...command.environment];
}

function enterDirectory(
  kernel: Kernel,
  task: Task,
  command: HostCommand,
  user: PasswdUser,
): number | Failure {
  const wanted = command.directory === '' ? user.home : command.directory;
  const path = walkPath(kernel, task, null, wanted, { follow: true });
  if (failed(path)) return command.directory === '' && path !== BLOCKED ? 0 : path;
  if (path.dentry.inode?.kind !== 'directory') return ENOTDIR;
  setWorkingDirectory(kernel, task.fs, path);
  return 0;
}

function openStdio(kernel: Kernel, task: Task, command: HostCommand): number | Failure {
  if (command.terminal !== '') {
    const file = openPath(kernel, task, null, `/dev/${command.terminal}`, O.RDWR);
    if (failed(file)) return file;
    for (let fd = 0; fd < 3; fd++) {
      if (fd > 0) file.users++;
      installFile(kernel, task, file, false);
    }
    return 0;
  }
  for (const stream of ['stdin', 'stdout', 'stderr']) {
    const file = newAnonymousFile(
      kernel,
      stream === 'stdin' ? 'host-input' : 'host-output',
      { id: command.id, stream },
      stream === 'stdin' ? O.RDONLY : O.WRONLY,
      'fifo',
      'pipe',
    );
    if (failed(file)) return file;
    installFile(kernel, task, file, false);
  }
  return 0;
}

/** Ends a command that could not start, with a shell's status and a word on its stderr. */
function giveUp(kernel: Kernel, task: Task, command: HostCommand, why: string, status: number): number {
  const bytes = bytesOfLatin1(`ringside: ${why}\n`);
  if (command.terminal === '') kernel.door.commandOutput(command.id, 'stderr', bytes);
  else kernel.door.terminalOutput(command.terminal, bytes);
  return exitGroup(kernel, task, status << 8);
}

processExitHooks['host-command'] = (kernel, process) => {
  if (process.hostCommand === 0) return;
  kernel.door.commandExited(process.hostCommand, process.exitStatus);
  kernel.host.commands.delete(process.hostCommand);
};

interface HostStream {
  readonly id: number;
  readonly stream: 'stdin' | 'stdout' | 'stderr';
}

const commandOf = (kernel: Kernel, file: OpenFile): HostCommand | undefined =>
  kernel.host.commands.get((file.data as HostStream).id);

const hostInput: FileOperations = {
  stream: true,
  read(kernel, task, file, into) {
    const command = commandOf(kernel, file);
    const [first] = command?.input ?? [];
    if (command === undefined || first === undefined) {
      if (command === undefined || command.inputEnded) return 0;
      return (file.flags & O.NONBLOCK) !== 0 ? EAGAIN : sleepOn(kernel, task, command.arrived, 'pipe_read');
    }
    const part = first.subarray(0, transferLength(into));
    const moved = moveToUser(kernel, into, 0, part);
    if (failed(moved)) return moved;
    if (part.length === first.length) command.input.shift();
    else command.input[0] = first.slice(part.length);
    return part.length;
  },
  poll(kernel, file) {
    const command = commandOf(kernel, file);
    if (command === undefined) return { events: POLLIN | POLLRDNORM | POLLHUP, queues: [] };
    const ready = command.input.length > 0 ? POLLIN | POLLRDNORM : 0;
    return { events: ready | (command.inputEnded ? POLLHUP | POLLIN : 0), queues: [command.arrived] };
  },
};

/** The largest piece of output that one write takes. */
const LARGEST_WRITE = 65_536;

const hostOutput: FileOperations = {
  stream: true,
  write(kernel, _task, file, from: Transfer) {
    const { id, stream } = file.data as HostStream;
    const bytes = moveFromUser(kernel, from, 0, Math.min(transferLength(from), LARGEST_WRITE));
    if (failed(bytes)) return bytes;
    kernel.door.commandOutput(id, stream === 'stderr' ? 'stderr' : 'stdout', bytes);
    return bytes.length;
  },
  poll: () => ({ events: POLLOUT | POLLWRNORM, queues: [] }),
};

fileOperations['host-input'] = hostInput;
fileOperations['host-output'] = hostOutput;
