// /proc/locks (proc(5)) and /proc/sysvipc.
import { majorOf, minorOf } from '../abi/device.ts';
import type { Kernel } from '../state.ts';
import { hex } from './text.ts';
import { procFile } from './tree.ts';

procFile('/proc/locks', 0o444, (kernel: Kernel) => {
  const lines: string[] = [];
  for (const superBlock of kernel.vfs.superBlocks.values()) {
    const place = `${hex(majorOf(superBlock.deviceNumber), 2)}:${hex(minorOf(superBlock.deviceNumber), 2)}`;
    for (const inode of superBlock.inodes.values()) {
      if (inode.locks === null) continue;
      for (const { pid, exclusive } of inode.locks.flock) {
        lines.push(`FLOCK  ADVISORY  ${exclusive ? 'WRITE' : 'READ '} ${pid} ${place}:${inode.number} 0 EOF`);
      }
      for (const { owner, pid, exclusive, start, end } of inode.locks.records) {
        const kind = owner.startsWith('f') ? 'OFDLCK' : 'POSIX ';
        lines.push(
          `${kind} ADVISORY  ${exclusive ? 'WRITE' : 'READ '} ${pid} ${place}:${inode.number} ${start} ${end === Infinity ? 'EOF' : end}`,
        );
      }
    }
  }
  return lines.map((line, index) => `${index + 1}: ${line}\n`).join('');
});

const padded = (value: number | string, width: number): string => String(value).padStart(width);
const seconds = (ns: number): number => Math.floor(ns / 1e9);

procFile('/proc/sysvipc/shm', 0o444, (kernel) => {
  const head =
    '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n';
  const rows = [...kernel.ipc.sysv.segments.values()].map((segment) => {
    const { key, id, mode, uid, gid, cuid, cgid } = segment.permissions;
    const resident = segment.space.pages.size * 4096;
    return (
      `${padded(key | 0, 10)} ${padded(id, 10)}  ${padded((mode | (segment.destroyed ? 0o1000 : 0)).toString(8), 4)} ${padded(segment.sizeBytes, 21)} ` +
      `${padded(segment.creatorPid, 5)} ${padded(segment.lastPid, 5)}  ${padded(segment.space.mapCount, 5)} ${padded(uid, 5)} ${padded(gid, 5)} ` +
      `${padded(cuid, 5)} ${padded(cgid, 5)} ${padded(seconds(segment.attachNs), 10)} ${padded(seconds(segment.detachNs), 10)} ` +
      `${padded(seconds(segment.changeNs), 10)} ${padded(resident, 21)} ${padded(segment.space.swapped.size * 4096, 21)}\n`
    );
  });
  return head + rows.join('');
});

procFile('/proc/sysvipc/msg', 0o444, (kernel) => {
  const head =
    '       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n';
  const rows = [...kernel.ipc.sysv.queues.values()].map((queue) => {
    const { key, id, mode, uid, gid, cuid, cgid } = queue.permissions;
    return (
      `${padded(key | 0, 10)} ${padded(id, 10)}  ${padded(mode.toString(8), 4)}  ${padded(queue.bytes, 10)} ${padded(queue.messages.length, 10)} ` +
      `${padded(queue.lastSendPid, 5)} ${padded(queue.lastReceivePid, 5)} ${padded(uid, 5)} ${padded(gid, 5)} ${padded(cuid, 5)} ` +
      `${padded(cgid, 5)} ${padded(seconds(queue.sendNs), 10)} ${padded(seconds(queue.receiveNs), 10)} ${padded(seconds(queue.changeNs), 10)}\n`
    );
  });
  return head + rows.join('');
});

procFile('/proc/sysvipc/sem', 0o444, (kernel) => {
  const head = '       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n';
  const rows = [...kernel.ipc.sysv.sets.values()].map((set) => {
    const { key, id, mode, uid, gid, cuid, cgid } = set.permissions;
    return (
      `${padded(key | 0, 10)} ${padded(id, 10)}  ${padded(mode.toString(8), 4)} ${padded(set.semaphores.length, 10)} ${padded(uid, 5)} ` +
      `${padded(gid, 5)} ${padded(cuid, 5)} ${padded(cgid, 5)} ${padded(seconds(set.operationNs), 10)} ${padded(seconds(set.changeNs), 10)}\n`
    );
  });
  return head + rows.join('');
});
