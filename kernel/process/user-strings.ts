// Vectors of strings in user memory: argv and envp of execve.
import { E2BIG, EFAULT, ENAMETOOLONG, failed, type Failure } from '../abi/errno.ts';
import { loadUserBig, readUserString } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

/** MAX_ARG_STRLEN, and the most strings that a vector may have (MAX_ARG_STRINGS is larger than any stack). */
const STRING_MAX = 128 * 1024;
const STRINGS_MAX = 0x10_0000;
const USER_END = 0x7fff_ffff_f000n;
/** No argument list that is accepted is larger (see exec.ts). */
const TOTAL_MAX = 6 * 1024 * 1024;

/** The strings of a NULL-terminated vector; a null vector is empty. */
export function readStringVector(kernel: Kernel, task: Task, address: number): string[] | Failure {
  const strings: string[] = [];
  if (address === 0) return strings;
  let total = 0;
  for (let i = 0; i < STRINGS_MAX; i++) {
    const pointer = loadUserBig(kernel, task, address + 8 * i);
    if (failed(pointer)) return pointer;
    if (pointer === 0n) return strings;
    if (pointer >= USER_END) return EFAULT;
    const text = readUserString(kernel, task, Number(pointer), STRING_MAX);
    if (text === ENAMETOOLONG) return E2BIG;
    if (failed(text)) return text;
    total += text.length + 9;
    if (total > TOTAL_MAX) return E2BIG;
    strings.push(text);
  }
  return E2BIG;
}
