// Who may look into another task (ptrace(2), "Ptrace access mode checking"; PTRACE_MODE_READ).
import { CAP, capabilityBit } from '../abi/capability.ts';
import type { Task } from '../sched/task.ts';

export const hasCapability = (task: Task, capability: number): boolean =>
  (task.credentials.effective & capabilityBit(capability)) !== 0n;

/** Same user in all three ids and a dumpable target, or CAP_SYS_PTRACE. */
export function mayInspect(reader: Task, task: Task): boolean {
  if (reader.process === task.process || hasCapability(reader, CAP.SYS_PTRACE)) return true;
  const { fsuid, fsgid } = reader.credentials;
  const { uid, euid, suid, gid, egid, sgid } = task.credentials;
  const sameUser =
    [uid, euid, suid].every((id) => id === fsuid) && [gid, egid, sgid].every((id) => id === fsgid);
  return sameUser && (task.mm === null || task.mm.dumpable);
}
