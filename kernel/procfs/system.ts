// /proc files about the machine as a whole: stat, loadavg, uptime, version, cpuinfo, interrupts, devices … (proc(5)).
import { charDevices } from '../fs/vfs/devices.ts';
import { fileSystemTypes } from '../fs/vfs/super-block.ts';
import { IRQ, IRQ_LINES } from '../machine/devices/board.ts';
import { irqHandlers } from '../sched/irq.ts';
import { runnableTasks } from '../sched/load.ts';
import type { CpuTimes } from '../sched/state.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { KERNEL_VERSION } from '../abi/version.ts';
import { procFile } from './tree.ts';

const NS_PER_SECOND = 1_000_000_000;
const TICK_NS = 10_000_000;

const centiseconds = (ns: number): string => {
  const hundredths = Math.floor(ns / TICK_NS);
  return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}`;
};

/** A CPU's times; what it has been idle since its last switch is not booked yet and is added here. */
function cpuTimes(kernel: Kernel, cpu: number): CpuTimes {
  const queue = kernel.sched.runQueues[cpu];
  if (queue === undefined) return { user: 0, nice: 0, system: 0, idle: 0, iowait: 0, irq: 0, softirq: 0 };
  const times = { ...queue.times };
  if (queue.current === null)
    times.idle += Math.max(0, now(kernel) - Math.max(queue.idleSinceNs, kernel.time.cpuNs[cpu] ?? 0));
  return times;
}

function allTimes(kernel: Kernel): CpuTimes[] {
  return kernel.sched.runQueues.map((_, cpu) => cpuTimes(kernel, cpu));
}

procFile('/proc/uptime', 0o444, (kernel) => {
  const idle = allTimes(kernel).reduce((sum, times) => sum + times.idle + times.iowait, 0);
  return `${centiseconds(now(kernel))} ${centiseconds(idle)}\n`;
});

procFile('/proc/loadavg', 0o444, (kernel) => {
  const averages = kernel.sched.loadAverages.map((load) => load.toFixed(2)).join(' ');
  return `${averages} ${runnableTasks(kernel)}/${kernel.tasks.size} ${kernel.process.lastPid}\n`;
});

const interruptSum = (kernel: Kernel, line: number): number =>
  kernel.board.counts.reduce((sum, counts) => sum + (counts[line] ?? 0), 0);

procFile('/proc/stat', 0o444, (kernel) => {
  const line = (name: string, times: CpuTimes): string => {
    const { user, nice, system, idle, iowait, irq, softirq } = times;
    const ticks = [user, nice, system, idle, iowait, irq, softirq, 0, 0, 0].map((ns) => Math.floor(ns / TICK_NS));
    return `${name} ${ticks.join(' ')}\n`;
  };
  const each = allTimes(kernel);
  const sum = { user: 0, nice: 0, system: 0, idle: 0, iowait: 0, irq: 0, softirq: 0 };
  for (const times of each) {
    sum.user += times.user;
    sum.nice += times.nice;
    sum.system += times.system;
    sum.idle += times.idle;
    sum.iowait += times.iowait;
    sum.irq += times.irq;
    sum.softirq += times.softirq;
  }
  const lines = Array.from({ length: IRQ_LINES }, (_, irq) => (irq === IRQ.timer ? 0 : interruptSum(kernel, irq)));
  const total = lines.reduce((all, count) => all + count, 0) + interruptSum(kernel, IRQ.timer);
  const switches = kernel.sched.runQueues.reduce((all, queue) => all + queue.contextSwitches, 0);
  return (
    line('cpu ', sum) + each.map((times, cpu) => line(`cpu${cpu}`, times)).join('') +
    `intr ${total} ${lines.join(' ')}\nctxt ${switches}\nbtime ${Math.floor(kernel.time.wallBaseNs / NS_PER_SECOND)}\n` +
    `processes ${kernel.process.forks}\nprocs_running ${runnableTasks(kernel)}\nprocs_blocked ${kernel.sched.blockedTasks}\n`
  );
}); // prettier-ignore

procFile(
  '/proc/version',
  0o444,
  () => `Linux version ${KERNEL_VERSION.release} (${KERNEL_VERSION.builder}) ${KERNEL_VERSION.version}\n`,
);
procFile('/proc/cmdline', 0o444, (kernel) => `${kernel.config.commandLine}\n`);

/** Lines that nobody drives are not shown; the timer of each CPU is LOC, as with a local APIC. */
procFile('/proc/interrupts', 0o444, (kernel) => {
  const cpus = kernel.board.counts;
  const row = (name: string, line: number, what: string): string =>
    `${name.padStart(4)}:${cpus.map((counts) => String(counts[line] ?? 0).padStart(11)).join('')}   ${what}\n`;
  let text = `    ${cpus.map((_, cpu) => `       CPU${cpu}`.padEnd(11)).join('')}\n`;
  for (let line = 0; line < IRQ_LINES; line++) {
    const handler = irqHandlers[line];
    if (handler === undefined || line === IRQ.timer) continue;
    text += row(String(line), line, `IO-APIC ${String(line).padStart(4)}-edge      ${handler.name}`);
  }
  return text + row('LOC', IRQ.timer, 'Local timer interrupts');
});

procFile('/proc/filesystems', 0o444, () =>
  Object.values(fileSystemTypes).map(({ name, needsDevice }) => `${needsDevice ? '' : 'nodev'}\t${name}\n`).join(''),
); // prettier-ignore

procFile('/proc/devices', 0o444, (kernel) => {
  const chars = Object.entries(charDevices).map(([major, { name }]) => `${major.padStart(3)} ${name}\n`);
  const majors = new Set([...kernel.block.devices.values()].map(({ device }) => (device >>> 8) & 0xfff));
  const blocks = [...majors].map((major) => `${String(major).padStart(3)} virtblk\n`);
  return `Character devices:\n${chars.join('')}\nBlock devices:\n${blocks.join('')}`;
});

procFile('/proc/consoles', 0o444, (kernel) =>
  kernel.tty.logConsoles.flatMap((name) => {
    const terminal = kernel.tty.terminals.get(name);
    if (terminal === undefined) return [];
    const flags = name === kernel.tty.consoleName ? 'EC' : 'E ';
    return [`${name.padEnd(21)}-W- (${flags} p  )    ${(terminal.device >>> 8) & 0xfff}:${terminal.device & 0xff}\n`];
  }).join(''),
); // prettier-ignore

procFile('/proc/tty/drivers', 0o444, () => {
  const rows: readonly (readonly [string, string, number, string, string])[] = [
    ['/dev/tty', '/dev/tty', 5, '0', 'system:/dev/tty'], ['/dev/console', '/dev/console', 5, '1', 'system:console'],
    ['/dev/ptmx', '/dev/ptmx', 5, '2', 'system'], ['/dev/vc/0', '/dev/vc/0', 4, '0', 'system:vtmaster'],
    ['serial', '/dev/ttyS', 4, '64', 'serial'], ['pty_slave', '/dev/pts', 136, '0-4095', 'pty:slave'],
    ['unknown', '/dev/tty', 4, '1-63', 'console'],
  ]; // prettier-ignore
  return rows
    .map(
      ([name, node, major, minors, type]) =>
        `${name.padEnd(20)} ${node.padEnd(20)} ${String(major).padStart(3)} ${minors.padStart(7)} ${type}\n`,
    )
    .join('');
});

/** No module is loaded. */
procFile('/proc/modules', 0o444, () => '');
