// A session as a Perfetto trace: packets of protos/perfetto/trace/trace_packet.proto. Switches and wake-ups become ftrace
// events, from which Perfetto draws its CPU lanes and thread states; every other tracepoint becomes a generic ftrace event
// with its fields; counters become counter tracks.
import type { SessionTrace, TraceEvent } from './trace.ts';
import { bytesOf, newMessage, putDouble, putMessage, putNumber, putText, type Message } from './protobuf.ts';

// Field numbers by message, from Perfetto's .proto files.
const TRACE = { packet: 1 } as const;
const PACKET = {
  ftraceEvents: 1,
  processTree: 2,
  clockSnapshot: 6,
  timestamp: 8,
  sequence: 10,
  trackEvent: 11,
  sequenceFlags: 13,
  clockId: 58,
  trackDescriptor: 60,
} as const;
const BUNDLE = { cpu: 1, event: 2 } as const;
const EVENT = { timestamp: 1, pid: 2, schedSwitch: 4, schedWakeup: 17, generic: 327 } as const;
const SWITCH = {
  prevComm: 1,
  prevPid: 2,
  prevPrio: 3,
  prevState: 4,
  nextComm: 5,
  nextPid: 6,
  nextPrio: 7,
} as const;
const WAKEUP = { comm: 1, pid: 2, prio: 3, success: 4, targetCpu: 5 } as const;
const GENERIC = { name: 1, field: 2 } as const;
const GENERIC_FIELD = { name: 1, text: 3, signed: 4 } as const;
const TREE = { processes: 1, threads: 2 } as const;
const PROCESS = { pid: 1, ppid: 2, commandLine: 3 } as const;
const THREAD = { tid: 1, name: 2, tgid: 3 } as const;
const TRACK = { uuid: 1, name: 2, counter: 8 } as const;
const COUNTER = { unitName: 6 } as const;
const TRACK_EVENT = { type: 9, trackUuid: 11, doubleValue: 44 } as const;
const TYPE_COUNTER = 4;
const SEQUENCE = 1;
const CLOCK_BOOTTIME = 6;
/** Bit masks of sched_switch's prev_state (fs/proc/array.c's order). */
const STATES: Readonly<Record<string, number>> = { R: 0, S: 1, D: 2, T: 4, t: 8, X: 16, Z: 32 };
const EVENTS_A_BUNDLE = 1000;

/** The trace's bytes, as Perfetto's UI and trace_processor read them. */
export function toPerfetto(trace: SessionTrace): Uint8Array {
  const out = newMessage();
  const packet = (fill: (message: Message) => void): void =>
    putMessage(out, TRACE.packet, (message) => {
      putNumber(message, PACKET.sequence, SEQUENCE);
      fill(message);
    });
  packet((message) => {
    putNumber(message, PACKET.sequenceFlags, 1); // incremental state cleared: the sequence begins here
    putNumber(message, PACKET.timestamp, trace.startNs);
    putMessage(message, PACKET.processTree, (tree) => writeTree(tree, trace));
  });
  for (let cpu = 0; cpu < trace.cpus; cpu++) {
    let bundle: TraceEvent[] = [];
    const close = (): void => {
      if (bundle.length === 0) return;
      const events = bundle;
      bundle = [];
      packet((message) =>
        putMessage(message, PACKET.ftraceEvents, (nested) => writeBundle(nested, cpu, events)),
      );
    };
    for (const event of trace.events()) {
      if (event.cpu !== cpu) continue;
      bundle.push(event);
      if (bundle.length === EVENTS_A_BUNDLE) close();
    }
    close();
  }
  trace.series.forEach((series, index) => {
    const uuid = 1000 + index;
    packet((message) =>
      putMessage(message, PACKET.trackDescriptor, (track) => {
        putNumber(track, TRACK.uuid, uuid);
        putText(track, TRACK.name, series.name);
        putMessage(track, TRACK.counter, (counter) => putText(counter, COUNTER.unitName, series.unit));
      }),
    );
    series.atNs.forEach((atNs, i) =>
      packet((message) => {
        putNumber(message, PACKET.timestamp, atNs);
        putNumber(message, PACKET.clockId, CLOCK_BOOTTIME);
        putMessage(message, PACKET.trackEvent, (event) => {
          putNumber(event, TRACK_EVENT.type, TYPE_COUNTER);
          putNumber(event, TRACK_EVENT.trackUuid, uuid);
          putDouble(event, TRACK_EVENT.doubleValue, series.values[i] ?? 0);
        });
      }),
    );
  });
  return bytesOf(out);
}

function writeTree(tree: Message, trace: SessionTrace): void {
  for (const task of trace.tasks) {
    if (task.tid === task.pid) {
      putMessage(tree, TREE.processes, (process) => {
        putNumber(process, PROCESS.pid, task.pid);
        putNumber(process, PROCESS.ppid, task.parent);
        putText(process, PROCESS.commandLine, task.comm);
      });
    }
    putMessage(tree, TREE.threads, (thread) => {
      putNumber(thread, THREAD.tid, task.tid);
      putText(thread, THREAD.name, task.comm);
      putNumber(thread, THREAD.tgid, task.pid);
    });
  }
}

function writeBundle(bundle: Message, cpu: number, events: readonly TraceEvent[]): void {
  putNumber(bundle, BUNDLE.cpu, cpu);
  for (const event of events) putMessage(bundle, BUNDLE.event, (message) => writeEvent(message, event));
}

function writeEvent(message: Message, event: TraceEvent): void {
  putNumber(message, EVENT.timestamp, event.atNs);
  putNumber(message, EVENT.pid, event.tid);
  if (event.name === 'sched_switch')
    return putMessage(message, EVENT.schedSwitch, (nested) => writeSwitch(nested, event.fields));
  if (event.name === 'sched_wakeup')
    return putMessage(message, EVENT.schedWakeup, (nested) => writeWakeup(nested, event.fields));
  putMessage(message, EVENT.generic, (generic) => {
    putText(generic, GENERIC.name, event.name);
    for (const [name, value] of Object.entries(event.fields)) {
      putMessage(generic, GENERIC.field, (field) => {
        putText(field, GENERIC_FIELD.name, name);
        if (typeof value === 'string') putText(field, GENERIC_FIELD.text, value);
        else putNumber(field, GENERIC_FIELD.signed, value);
      });
    }
  });
}

type Fields = TraceEvent['fields'];
const numberIn = (fields: Fields, name: string): number => Number(fields[name] ?? 0);
const textIn = (fields: Fields, name: string): string => String(fields[name] ?? '');

function writeSwitch(message: Message, fields: Fields): void {
  putText(message, SWITCH.prevComm, textIn(fields, 'prev_comm'));
  putNumber(message, SWITCH.prevPid, numberIn(fields, 'prev_pid'));
  putNumber(message, SWITCH.prevPrio, numberIn(fields, 'prev_prio'));
  putNumber(message, SWITCH.prevState, STATES[textIn(fields, 'prev_state')] ?? 0);
  putText(message, SWITCH.nextComm, textIn(fields, 'next_comm'));
  putNumber(message, SWITCH.nextPid, numberIn(fields, 'next_pid'));
  putNumber(message, SWITCH.nextPrio, numberIn(fields, 'next_prio'));
}

function writeWakeup(message: Message, fields: Fields): void {
  putText(message, WAKEUP.comm, textIn(fields, 'comm'));
  putNumber(message, WAKEUP.pid, numberIn(fields, 'pid'));
  putNumber(message, WAKEUP.prio, numberIn(fields, 'prio'));
  putNumber(message, WAKEUP.success, 1);
  putNumber(message, WAKEUP.targetCpu, numberIn(fields, 'target_cpu'));
}
