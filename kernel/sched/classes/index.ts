// The scheduling classes in their order of precedence. A queue's shape is known to its class only, so the table erases it.
import type { PolicyName } from '../entity.ts';
import type { SchedulingClass } from './class.ts';
import { fair } from './fair.ts';
import { realTime } from './real-time.ts';

/** A class whose queue type is its own secret; the run queue gives each class only what that class made. */
function sealed<Queue>(schedulingClass: SchedulingClass<Queue>): [string, SchedulingClass] {
  return [schedulingClass.name, schedulingClass];
}

export const schedulingClasses: ReadonlyMap<string, SchedulingClass> = new Map([
  sealed(realTime),
  sealed(fair),
]);

/** The class that serves a policy. */
export const classOfPolicy: Readonly<Record<PolicyName, string>> = {
  normal: 'fair', batch: 'fair', idle: 'fair', fifo: 'real-time', rr: 'real-time', deadline: 'real-time',
}; // prettier-ignore
