/**
 * TEST DOUBLE. A made-up machine for trying and photographing the screen: it computes nothing, it only moves
 * plausible figures so that every panel has something to show. Never part of the product.
 */
import { emptyFrame } from '../../electron/protocol/frames.ts';
import type { TaskFrame, TelemetryFrame } from '../../electron/protocol/frames.ts';

const MEBIBYTE = 1048576;
export const MEMORY = 256 * MEBIBYTE;
export const SWAP = 128 * MEBIBYTE;

const COMMS: readonly [number, number, string, boolean][] = [
  [1, 0, 'init', false],
  [2, 0, 'kthreadd', true],
  [3, 2, 'ksoftirqd/0', true],
  [4, 2, 'ksoftirqd/1', true],
  [5, 2, 'migration/0', true],
  [6, 2, 'migration/1', true],
  [7, 2, 'kworker/0:1', true],
  [8, 2, 'kworker/1:1', true],
  [9, 2, 'kswapd0', true],
  [10, 2, 'kflushd', true],
  [31, 1, 'syslogd', false],
  [40, 1, 'login', false],
  [41, 40, 'sh', false],
  [42, 1, 'getty', false],
  [55, 41, 'hog', false],
  [56, 41, 'make', false],
  [57, 56, 'tcc', false],
  [58, 56, 'tcc', false],
];

let seed = 7;
/** A small generator of its own, so that screenshots repeat. */
function chance(): number {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return seed / 2147483648;
}

function newTask([tid, parent, comm, kernelThread]: readonly [number, number, string, boolean]): TaskFrame {
  return {
    tid,
    pid: tid,
    parent,
    comm,
    state: kernelThread ? 'I' : 'S',
    cpu: tid % 2,
    nice: 0,
    policy: comm.startsWith('migration') ? 'FIFO' : 'fair',
    uid: tid > 50 ? 1000 : 0,
    userNs: 0,
    systemNs: 0,
    waitNs: 0,
    residentBytes: kernelThread ? 0 : (1 + (tid % 7)) * 400_000,
    virtualBytes: kernelThread ? 0 : (2 + (tid % 5)) * 1_200_000,
    swappedBytes: 0,
    minorFaults: 120,
    majorFaults: 3,
    readBytes: 20_000 * tid,
    writtenBytes: 900 * tid,
    kernelThread: kernelThread ? 1 : 0,
  };
}

export interface FakeMachine {
  frame: TelemetryFrame;
  tasks: TaskFrame[];
  running: boolean;
  /** Makes memory run out, so that swap moves. */
  hog: boolean;
}

export function newFakeMachine(): FakeMachine {
  const frame = emptyFrame();
  frame.cpus = [0, 1].map(() => ({
    userNs: 0,
    niceNs: 0,
    systemNs: 0,
    irqNs: 0,
    softirqNs: 0,
    iowaitNs: 0,
    idleNs: 0,
    contextSwitches: 0,
    migrationsIn: 0,
    running: null,
    queue: [],
    queueLength: 0,
  }));
  Object.assign(frame.memory, {
    totalBytes: MEMORY,
    minimumBytes: 2 * MEBIBYTE,
    lowBytes: 4 * MEBIBYTE,
    highBytes: 6 * MEBIBYTE,
    kernelBytes: 18 * MEBIBYTE,
    slabBytes: 9 * MEBIBYTE,
    pageTableBytes: 1.5 * MEBIBYTE,
    pageCacheBytes: 22 * MEBIBYTE,
    anonymousBytes: 14 * MEBIBYTE,
    slabs: [
      'dentry',
      'ext4_inode_cache',
      'vm_area_struct',
      'task_struct',
      'filp',
      'kmalloc-64',
      'kmalloc-256',
      'buffer_head',
      'radix_tree_node',
      'sock_inode_cache',
    ].map((name, index) => ({
      name,
      objects: 900 - index * 80,
      objectsTotal: 1000 - index * 70,
      objectBytes: 64 * (1 + index * 3),
      slabs: 60 - index * 5,
      pagesPerSlab: 1 + (index % 2),
    })),
  });
  frame.swap = { totalBytes: SWAP, usedBytes: 0, map: new Uint8Array(512) };
  frame.disks = [
    {
      name: 'vda',
      profile: 'ssd',
      reads: 0,
      writes: 0,
      readBytes: 0,
      writtenBytes: 0,
      flushes: 0,
      merged: 0,
      sequential: 0,
      queueDepth: 0,
      busyNs: 0,
      readLatencyNs: Array<number>(28).fill(0),
      writeLatencyNs: Array<number>(28).fill(0),
      requestBytes: Array<number>(20).fill(0),
    },
  ];
  frame.runQueueLatencyNs = Array<number>(30).fill(0);
  frame.syscallCounts = [
    'read',
    'write',
    'mmap',
    'openat',
    'close',
    'newfstatat',
    'brk',
    'clone',
    'execve',
    'wait4',
    'futex',
    'poll',
  ].map((name) => ({ name, count: 0, errors: 0, totalNs: 0 }));
  frame.interrupts = [
    ['0', 'timer'],
    ['4', 'ttyS0'],
    ['10', 'vda'],
    ['RES', 'rescheduling'],
  ].map(([line = '', name = '']) => ({ line, name, perCpu: [0, 0] }));
  return { frame, tasks: COMMS.map(newTask), running: true, hog: false };
}

function gauss(buckets: number[], centre: number, spread: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const at = Math.round(centre + (chance() + chance() + chance() - 1.5) * spread);
    if (at >= 0 && at < buckets.length) buckets[at] = (buckets[at] ?? 0) + 1;
  }
}

/** Moves the machine on by `ns` and fills the frame. */
export function advance(machine: FakeMachine, ns: number): TelemetryFrame {
  const { frame, tasks } = machine;
  const t = frame.virtualNs / 1e9;
  frame.sequence++;
  frame.slices = [];
  frame.virtualNs += ns;
  const hog = machine.hog ? 1 : 0;
  const workers = tasks.filter(
    (task) => task.tid === 41 || task.tid > 54 || task.tid === 7 || (hog === 1 && task.tid === 9),
  );
  frame.cpus.forEach((cpu, index) => {
    const load = Math.min(
      1,
      Math.max(0.02, 0.45 + 0.4 * Math.sin(t / 5 + index * 2) + 0.15 * chance() + 0.3 * hog),
    );
    let at = frame.virtualNs - ns;
    while (at < frame.virtualNs) {
      const length = Math.min(frame.virtualNs - at, 200_000 + chance() * 5e6);
      if (chance() < load) {
        const task = workers[Math.floor(chance() * workers.length)];
        if (task !== undefined) {
          const left = chance() < 0.3 ? 'R' : 'S';
          frame.slices.push({
            cpu: index,
            tid: task.tid,
            comm: task.comm,
            startNs: Math.round(at),
            durationNs: Math.round(length),
            left,
          });
          task.userNs += length * 0.8;
          task.systemNs += length * 0.2;
          task.minorFaults += Math.round(chance() * 6);
          task.cpu = index;
          cpu.contextSwitches++;
          gauss(frame.runQueueLatencyNs, 15 + 3 * hog, 8, 2);
          if (chance() < 0.1) cpu.migrationsIn++;
          frame[left === 'R' ? 'involuntarySwitches' : 'voluntarySwitches']++;
        }
      }
      at += length;
    }
    cpu.userNs += ns * load * 0.7;
    cpu.systemNs += ns * load * 0.22;
    cpu.irqNs += ns * load * 0.03;
    cpu.softirqNs += ns * load * 0.05;
    const wait = (1 - load) * (0.1 + 0.6 * hog);
    cpu.iowaitNs += ns * wait;
    cpu.idleNs += ns * (1 - load - wait);
    const queue = workers
      .filter((task) => task.cpu === index)
      .map((task) => ({
        tid: task.tid,
        comm: task.comm,
        policy: task.policy,
        vruntimeNs: task.userNs,
        state: 'R',
      }));
    cpu.running = chance() < load ? (queue.shift() ?? null) : null;
    cpu.queue = cpu.running === null ? [] : queue;
    cpu.queueLength = cpu.queue.length;
  });
  moveMemory(machine, ns, t, hog);
  moveDisk(machine, t, hog);
  for (const call of frame.syscallCounts) {
    const count = Math.round(chance() * 60 * (call.name === 'read' ? 4 : 1));
    call.count += count;
    call.errors += Math.round(count * 0.03);
    call.totalNs += count * 3000;
    frame.syscalls += count;
  }
  for (const line of frame.interrupts)
    line.perCpu = line.perCpu.map((count) => count + Math.round(chance() * 8));
  for (const task of tasks)
    if (task.kernelThread === 0)
      task.state = workers.includes(task) && chance() < 0.5 ? 'R' : hog === 1 && chance() < 0.3 ? 'D' : 'S';
  frame.tasks = frame.sequence % 3 === 0 ? tasks.map((task) => ({ ...task })) : null;
  frame.taskCount = tasks.length;
  frame.hostRatio = 0.97;
  frame.instructions += Math.round((0.5 + 0.4 * chance()) * ns * 0.3);
  frame.host.busyNs += ns * 0.7;
  frame.host.compiledInstructions = Math.round(frame.instructions * 0.93);
  frame.host.regions = 180 + Math.round(t);
  frame.host.wasmBytes = frame.host.regions * 8800;
  frame.host.compileNs = frame.host.regions * 4e6;
  frame.loads = [0.42 + hog, 0.38, 0.2];
  const stall = {
    some10: 4 + 30 * hog,
    some60: 2 + 12 * hog,
    someNs: frame.virtualNs * 0.02,
    full10: 22 * hog,
    full60: 9 * hog,
    fullNs: 0,
  };
  frame.pressure = {
    cpu: { ...stall, full10: 0, full60: 0 },
    memory: hog === 1 ? stall : { ...stall, some10: 0, some60: 0 },
    io: stall,
  };
  return frame;
}

function moveMemory(machine: FakeMachine, ns: number, t: number, hog: number): void {
  const { memory, vm, swap, caches } = machine.frame;
  memory.anonymousBytes += (hog === 1 ? 8 : -4) * MEBIBYTE * (ns / 1e9) * 3;
  memory.anonymousBytes = Math.min(200 * MEBIBYTE, Math.max(14 * MEBIBYTE, memory.anonymousBytes));
  const room = MEMORY - memory.anonymousBytes - memory.kernelBytes - memory.slabBytes - memory.pageTableBytes;
  memory.pageCacheBytes = Math.min(room - 3.5 * MEBIBYTE, 60 * MEBIBYTE + 20 * MEBIBYTE * Math.sin(t / 8));
  memory.freeBytes = room - memory.pageCacheBytes;
  memory.dirtyBytes = 2 * MEBIBYTE * (1 + Math.sin(t));
  memory.buddy = [400, 210, 120, 80, 41, 22, 13, 8, 4, 2, Math.round(memory.freeBytes / (8 * MEBIBYTE))].map(
    (count) => Math.round(count * (0.8 + 0.4 * chance())),
  );
  vm.pgfault += Math.round(300 + 900 * hog * chance());
  vm.pgmajfault += Math.round(60 * hog * chance());
  caches.pageHits += Math.round(500 * chance());
  caches.pageMisses += Math.round(20 * chance() + 60 * hog);
  caches.dentryHits += Math.round(200 * chance());
  caches.dentryMisses += Math.round(4 * chance());
  caches.inodeHits += Math.round(80 * chance());
  caches.inodeMisses += Math.round(2 * chance());
  caches.dentries = 812;
  caches.inodes = 604;
  if (hog === 1) {
    vm.pswpout += Math.round(40 * chance());
    vm.pswpin += Math.round(34 * chance());
    vm.pgscanKswapd += Math.round(90 * chance());
    vm.pgscanDirect += Math.round(40 * chance());
    vm.workingsetRefaultAnon += Math.round(26 * chance());
    swap.usedBytes = Math.min(SWAP * 0.6, swap.usedBytes + 0.7 * MEBIBYTE);
    const slot = Math.floor(chance() * swap.map.length * (swap.usedBytes / SWAP));
    for (let i = 0; i < 6; i++)
      swap.map[Math.min(swap.map.length - 1, slot + i)] = Math.round(255 * chance());
    const task = machine.tasks.find((known) => known.comm === 'hog');
    if (task !== undefined) {
      task.swappedBytes = swap.usedBytes * 0.9;
      task.residentBytes = memory.anonymousBytes * 0.8;
      task.virtualBytes = 390 * MEBIBYTE;
      task.majorFaults += 12;
    }
  }
}

function moveDisk(machine: FakeMachine, t: number, hog: number): void {
  const disk = machine.frame.disks[0];
  if (disk === undefined) return;
  const burst = Math.max(0, Math.sin(t / 3)) + hog * 2;
  const [reads, writes] = [Math.round(12 * burst * chance()), Math.round(18 * burst * chance())];
  disk.reads += reads;
  disk.writes += writes;
  disk.readBytes += reads * 32768;
  disk.writtenBytes += writes * 16384;
  disk.sequential += Math.round((reads + writes) * 0.6);
  disk.queueDepth = Math.round(burst * 3 * chance());
  disk.busyNs += 20e6 * Math.min(1, burst);
  gauss(disk.readLatencyNs, 16.5, 4, reads);
  gauss(disk.writeLatencyNs, 18 + hog * 2, 5, writes);
  gauss(disk.requestBytes, 13.5, 4, reads + writes);
}
