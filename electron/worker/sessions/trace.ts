// A recorded session as the worker reads it: tasks, events in order of time, counter series. Storage is sessions/store.ts's.

export interface TraceEvent {
  readonly atNs: number;
  readonly cpu: number;
  readonly tid: number;
  readonly system: string;
  readonly name: string;
  readonly fields: Readonly<Record<string, number | string>>;
}

export interface TraceTask {
  readonly tid: number;
  readonly pid: number;
  readonly parent: number;
  readonly comm: string;
}

export interface TraceSeries {
  readonly name: string;
  readonly group: string;
  readonly unit: string;
  /** A `rate` is stored as a counter that grows and shown per second; a `level` as it is. */
  readonly kind: 'rate' | 'level';
  readonly atNs: Float64Array;
  readonly values: Float64Array;
}

export interface SessionTrace {
  readonly startNs: number;
  readonly endNs: number;
  readonly cpus: number;
  readonly tasks: readonly TraceTask[];
  readonly series: readonly TraceSeries[];
  /** Anew at each call, in the order in which they were recorded. */
  events(): Iterable<TraceEvent>;
}
