/** What stores make of reports: rates, trees, verdicts, lanes, and a store that follows a made-up machine. */
import { createPinia, setActivePinia } from 'pinia';
import { nextTick } from 'vue';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { emptyFrame, encodeFrame } from '../../electron/protocol/frames.ts';
import type { TelemetryFrame } from '../../electron/protocol/frames.ts';
import { dispatchTo, hostEnd } from '../../electron/protocol/host-end.ts';
import { hostSpeed } from './host-speed.ts';
import { addSlices, newLiveLanes } from './live-lanes.ts';
import { figuresOf } from './metrics.ts';
import { treeOf } from './process-tree.ts';
import { swapVerdict } from './swap-verdict.ts';
import { sortRows } from '../components/table.ts';

vi.mock('../protocol-client.ts', async () => {
  const { screenEnd } = await import('../../electron/protocol/screen-end.ts');
  const { shallowRef } = await import('vue');
  const wire: { send: (packet: unknown) => void } = { send: () => undefined };
  return {
    wire,
    protocol: screenEnd((packet) => wire.send(packet)),
    connection: shallowRef('connected'),
    protocolTrouble: shallowRef(null),
  };
});

function frameAt(seconds: number, change: Partial<TelemetryFrame> = {}): TelemetryFrame {
  const cpu = {
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
  };
  return {
    ...emptyFrame(),
    sequence: Math.round(seconds * 10),
    virtualNs: seconds * 1e9,
    cpus: [cpu, { ...cpu }],
    ...change,
  };
}
const task = (tid: number, parent: number, pid = tid) => ({ tid, pid, parent });

describe('figures', () => {
  it('rates are per second of virtual time, levels as they are', () => {
    const before = frameAt(1, { syscalls: 100 });
    const now = frameAt(1.5, {
      syscalls: 160,
      cpus: before.cpus.map((cpu) => ({ ...cpu, userNs: 0.25e9, queueLength: 3 })),
    });
    const figures = figuresOf(now, before);
    expect(figures.get('syscalls')).toBeCloseTo(120);
    expect(figures.get('cpu.user')).toBeCloseTo(0.5);
    expect(figures.get('runnable')).toBe(6);
    expect(figuresOf(now, null).has('syscalls')).toBe(false);
  });
});

describe('the speed on this host', () => {
  const host = { ...emptyFrame().host, busyNs: 1e9, compiledInstructions: 3e6, regions: 4, compileNs: 5e6 };
  const before = frameAt(1, { instructions: 10e6, host });
  const now = frameAt(1.2, {
    instructions: 110e6,
    host: {
      ...host,
      busyNs: 1.25e9,
      compiledInstructions: 93e6,
      regions: 7,
      compileNs: 9e6,
      wasmBytes: 2048,
    },
  });
  it('is taken over host time, not virtual time', () => {
    const speed = hostSpeed(now, before);
    expect(speed.mips).toBeCloseTo(400);
    expect(speed.compiledShare).toBeCloseTo(0.9);
    expect(speed).toMatchObject({ compilerOn: true, regions: 7, compileNs: 9e6, wasmBytes: 2048 });
  });
  it.each([
    ['one frame', now, null],
    ['no work between two', now, now],
    ['a machine opened again', before, now],
  ])('is not known from %s; what was compiled is', (_case, frame, older) => {
    const { mips, compiledShare, regions } = hostSpeed(frame, older);
    expect([mips, compiledShare]).toEqual([Number.NaN, Number.NaN]);
    expect(regions).toBe(frame.host.regions);
  });
  it('has no compiled share with the compiler off', () => {
    const off = (frame: TelemetryFrame) => ({
      ...frame,
      host: { ...emptyFrame().host, compilerOn: 0, busyNs: frame.host.busyNs },
    });
    expect(hostSpeed(off(now), off(before))).toMatchObject({
      compilerOn: false,
      compiledShare: 0,
      regions: 0,
    });
  });
});

describe('the process tree', () => {
  it('puts children under parents and threads under processes', () => {
    const rows = treeOf([task(12, 10, 10), task(2, 0), task(10, 1), task(1, 0), task(11, 10), task(99, 77)]);
    expect(rows.map((row) => [row.task.tid, row.depth])).toEqual([
      [1, 0],
      [10, 1],
      [11, 2],
      [12, 2],
      [2, 0],
      [99, 0],
    ]);
  });
  it('takes a chain of 10,000 forks', () => {
    const chain = Array.from({ length: 10_000 }, (_, index) => task(index + 1, index));
    expect(treeOf(chain).at(-1)?.depth).toBe(9999);
  });
});

describe('the swap verdict', () => {
  const quiet = {
    totalBytes: 128e6,
    usedBytes: 0,
    inPerSecond: 0,
    outPerSecond: 0,
    refaultsPerSecond: 0,
    directPerSecond: 0,
    memoryFull10: 0,
  };
  it.each([
    ['unused', {}, 'normal'],
    ['quiet', { usedBytes: 5e6 }, 'normal'],
    ['made free', { usedBytes: 5e6, outPerSecond: 400 }, 'warn'],
    ['come back', { usedBytes: 5e6, inPerSecond: 400 }, 'normal'],
    ['thrashing', { usedBytes: 90e6, inPerSecond: 300, outPerSecond: 340, memoryFull10: 25 }, 'bad'],
    ['thrashing', { usedBytes: 90e6, inPerSecond: 300, outPerSecond: 340, refaultsPerSecond: 250 }, 'bad'],
    ['nearly full', { usedBytes: 127e6, outPerSecond: 20 }, 'bad'],
  ])('says "%s"', (words, change, tone) => {
    const verdict = swapVerdict({ ...quiet, ...change });
    expect(verdict.text).toContain(words);
    expect(verdict.tone).toBe(tone);
  });
});

it('live lanes forget what is older than they keep', () => {
  const live = newLiveLanes();
  for (let second = 1; second < 50_000; second++) {
    const slices = [
      { cpu: 0, tid: 5, comm: 'sh', startNs: second * 1e9, durationNs: 1e8, left: 'S' },
      { cpu: 7, tid: 5, comm: 'sh', startNs: 0, durationNs: 1, left: 'S' },
    ];
    addSlices(live, frameAt(second + 1, { slices }), 60e9);
  }
  expect(live.lanes).toHaveLength(2);
  expect(live.lanes[0]?.endNs.length).toBeLessThan(20_100);
  expect(live.lanes[0]?.startNs.at(-1)).toBe(49_999e9);
});

it('a task that keeps running is shown before its slice has ended', () => {
  const live = newLiveLanes();
  const running = { tid: 5, comm: 'hog', policy: 'fair', vruntimeNs: 0, state: 'R' };
  const at = (seconds: number, who: typeof running | null, slices: TelemetryFrame['slices'] = []) => {
    const frame = frameAt(seconds, { slices });
    addSlices(live, { ...frame, cpus: frame.cpus.map((cpu) => ({ ...cpu, running: who })) }, 60e9);
    return live.lanes[0]?.open;
  };
  expect(at(1, null)).toBeNull();
  expect(at(2, running)).toEqual({ tid: 5, sinceNs: 1e9 });
  expect(at(3, running)).toEqual({ tid: 5, sinceNs: 1e9 });
  expect(
    at(4, running, [{ cpu: 0, tid: 5, comm: 'hog', startNs: 1e9, durationNs: 2.5e9, left: 'R' }])?.sinceNs,
  ).toBe(3.5e9);
  expect(at(5, null)).toBeNull();
});

it('tables sort figures as figures, unknown ones last when descending', () => {
  const columns = [{ key: 'a', title: 'a', value: (row: { a: number | string }) => row.a }];
  const rows = [{ a: 10 }, { a: Number.NaN }, { a: 9 }];
  expect(sortRows(rows, columns, { key: 'a', descending: true }).map((row) => row.a)).toEqual([
    10,
    9,
    Number.NaN,
  ]);
  expect(sortRows([{ a: 'tty10' }, { a: 'tty2' }], columns, { key: 'a', descending: false })[0]?.a).toBe(
    'tty2',
  );
});

describe('stores that follow a machine', () => {
  beforeEach(() => {
    setActivePinia(createPinia());
    const target = { addEventListener: () => undefined };
    vi.stubGlobal('window', target);
    vi.stubGlobal('matchMedia', () => ({ matches: false, ...target }));
    vi.stubGlobal('document', { ...target, visibilityState: 'visible', documentElement: { dataset: {} } });
    vi.stubGlobal('getComputedStyle', () => ({ getPropertyValue: () => '#000000' }));
    vi.stubGlobal('setInterval', () => 0);
  });

  it('show what was reported, forget it when the machine goes back, and say what failed', async () => {
    const { useMachineStore } = await import('./machine.ts');
    const { useTelemetryStore } = await import('./telemetry.ts');
    const { useLogStore } = await import('./log.ts');
    const client: Record<string, unknown> = await import('../protocol-client.ts');
    const report = {
      machine: 'm',
      name: 'lab',
      status: 'running',
      reason: null,
      virtualNs: 0,
      hostRatio: 1,
      pace: 'live',
      loads: [],
      cpus: 2,
      memoryBytes: 0,
      memoryUsedBytes: 0,
      swapBytes: 0,
      swapUsedBytes: 0,
      diskBytesPerSecond: 0,
      seed: 1,
      savedAtMs: null,
      recording: null,
    } as const;
    const { protocol, wire } = client as {
      protocol: { receive(packet: unknown): void };
      wire: { send(packet: never): void };
    };
    const host = hostEnd(
      (packet) => queueMicrotask(() => protocol.receive(packet)),
      dispatchTo({
        'machine.open': () => ({ report: { ...report, loads: [] } }),
        'machine.telemetry': () => ({}),
      }),
    );
    wire.send = (packet: never) => host.receive(packet);

    const machine = useMachineStore();
    const telemetry = useTelemetryStore();
    expect(await machine.open('m')).toBe(true);
    expect(machine.isRunning).toBe(true);
    host.emit('machine.report', 'm', { ...report, loads: [], status: 'paused' });
    await nextTick();
    expect([machine.status, machine.canStart, machine.canPause]).toEqual(['paused', true, false]);

    for (const second of [1, 1.5, 2, 2.5]) {
      host.sendFrame(encodeFrame(frameAt(second, { tasks: [], syscalls: second * 1000 })));
      await nextTick();
    }
    expect(telemetry.shown?.virtualNs).toBe(2.5e9);
    expect(telemetry.rateOf((frame) => frame.syscalls)).toBeCloseTo(1000);
    expect(telemetry.history.length).toBe(4);
    host.sendFrame(encodeFrame(frameAt(0.5)));
    await nextTick();
    expect(telemetry.history.length).toBe(1);

    await machine.pause();
    expect(useLogStore().notices.at(-1)).toMatchObject({
      tone: 'error',
      message: 'Pausing: "machine.pause" is not answered here.',
    });
  });
});
