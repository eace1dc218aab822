// The I/O schedulers by name; another one is a file beside this and a line here.
import { mqDeadline } from './mq-deadline.ts';
import { none } from './none.ts';
import type { IoScheduler } from './scheduler.ts';

export const ioSchedulers: Readonly<Record<string, IoScheduler>> = { none, 'mq-deadline': mqDeadline };
