// Every system call by number. A family is a file of declarations; all its exports that are declarations count.
import type { SyscallDeclaration } from './declare.ts';
import * as attributesCalls from './attributes.ts';
import * as credentialsCalls from './credentials.ts';
import * as descriptorsCalls from './descriptors.ts';
import * as directoriesCalls from './directories.ts';
import * as epollCalls from './epoll.ts';
import * as eventfdCalls from './eventfd.ts';
import * as execCalls from './exec.ts';
import * as filesCalls from './files.ts';
import * as futexCalls from './futex.ts';
import * as inotifyCalls from './inotify.ts';
import * as ioctlCalls from './ioctl.ts';
import * as limitsCalls from './limits.ts';
import * as memoryCalls from './memory.ts';
import * as messagesCalls from './messages.ts';
import * as mountCalls from './mount.ts';
import * as mqCalls from './mq.ts';
import * as pipeCalls from './pipe.ts';
import * as pollCalls from './poll.ts';
import * as prctlCalls from './prctl.ts';
import * as processCalls from './process.ts';
import * as readWriteCalls from './read-write.ts';
import * as schedCalls from './sched.ts';
import * as signalsCalls from './signals.ts';
import * as socketCalls from './socket.ts';
import * as systemCalls from './system.ts';
import * as sysvCalls from './sysv.ts';
import * as timeCalls from './time.ts';
import * as waitCalls from './wait.ts';
import * as xattrCalls from './xattr.ts';

const families: readonly Readonly<Record<string, unknown>>[] = [
  attributesCalls,
  credentialsCalls,
  descriptorsCalls,
  directoriesCalls,
  epollCalls,
  eventfdCalls,
  execCalls,
  filesCalls,
  futexCalls,
  inotifyCalls,
  ioctlCalls,
  limitsCalls,
  memoryCalls,
  messagesCalls,
  mountCalls,
  mqCalls,
  pipeCalls,
  pollCalls,
  prctlCalls,
  processCalls,
  readWriteCalls,
  schedCalls,
  signalsCalls,
  socketCalls,
  systemCalls,
  sysvCalls,
  timeCalls,
  waitCalls,
  xattrCalls,
];

const isDeclaration = (value: unknown): value is SyscallDeclaration =>
  typeof value === 'object' && value !== null && 'number' in value && 'run' in value && 'args' in value;

function buildTable(): (SyscallDeclaration | undefined)[] {
  const table: (SyscallDeclaration | undefined)[] = [];
  for (const family of families) {
    for (const declaration of Object.values(family)) {
      if (!isDeclaration(declaration)) continue;
      const known = table[declaration.number];
      if (known !== undefined && known !== declaration)
        throw new Error(`Two system calls have the number ${declaration.number}: ${declaration.name}`);
      table[declaration.number] = declaration;
    }
  }
  return table;
}

/** Declarations by number; undefined gives ENOSYS. */
export const syscallTable: readonly (SyscallDeclaration | undefined)[] = buildTable();
