// The scheduler of fast devices: first come, first served.
import type { Request } from '../request.ts';
import type { IoScheduler } from './scheduler.ts';

const queueOf = (data: unknown): Request[] => data as Request[]; // made by newData below

export const none: IoScheduler = {
  name: 'none',
  newData: (): Request[] => [],
  insert(data, request) {
    queueOf(data).push(request);
  },
  next: (data) => queueOf(data).shift(),
  waiting: queueOf,
};
