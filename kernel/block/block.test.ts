import { describe, expect, it } from 'vitest';
import { fsTest, testDisk, type FsTest } from '../fs/fs.test-kernel.ts';
import { ensureFlushed } from './flush.ts';
import { deviceProfiles, positioningNs, transferNs } from './profiles.ts';
import { blockCompletions, setScheduler, submitBio, submitFlush, withPlug } from './queue.ts';
import type { Request } from './request.ts';
import { ioSchedulers } from './schedulers/index.ts';
import type { BlockDevice } from './state.ts';

const done: { tag: unknown; error: number }[] = [];
blockCompletions['test'] = (_kernel, completion, error) => done.push({ tag: completion['tag'], error });

function newTest(profile: 'hdd' | 'ssd' | 'nvme' = 'ssd'): {
  test: FsTest;
  device: BlockDevice;
  disk: ReturnType<typeof testDisk>;
} {
  done.length = 0;
  const disk = testDisk(new Uint8Array(4096 * 4096));
  disk.recording = true;
  const test = fsTest({ vda: disk }, 'ramfs', { profile });
  const device = test.kernel.block.devices.get('vda');
  if (device === undefined) throw new Error('no device');
  return { test, device, disk };
}

const write = (test: FsTest, device: BlockDevice, first: number, tag: unknown, count = 1, options = {}): void =>
  submitBio(
    test.kernel, device,
    { write: true, first, count, frames: [], bytes: new Uint8Array(4096 * count).fill(Number(tag)), completion: { kind: 'test', tag } }, options,
  ); // prettier-ignore

describe('requests', () => {
  it('completes by interrupt, after the modelled time', () => {
    const { test, device, disk } = newTest();
    write(test, device, 7, 5);
    expect(done).toEqual([]);
    test.pass(1e9);
    expect(done).toEqual([{ tag: 5, error: 0 }]);
    expect(disk.bytes[7 * 4096]).toBe(5);
    expect(device.stats.writeCount).toBe(1);
    expect(device.stats.writeSectors).toBe(8);
    expect(device.stats.writeNs).toBeGreaterThanOrEqual(transferNs(deviceProfiles.ssd, 'write', 1));
  });

  it('merges neighbours while plugged', () => {
    const { test, device } = newTest();
    withPlug(test.kernel, () => {
      for (const block of [10, 11, 12, 9]) write(test, device, block, block);
    });
    test.pass(1e9);
    expect(done.length).toBe(4);
    expect(device.stats.writeCount).toBe(1);
    expect(device.stats.writeMerges).toBe(3);
  });

  it('flushes only behind every earlier write', () => {
    const { test, device, disk } = newTest('nvme');
    for (let block = 0; block < 40; block++) write(test, device, block * 3, 1);
    submitFlush(test.kernel, device, { kind: 'test', tag: 'flush' });
    write(test, device, 500, 2);
    test.pass(1e9);
    const at = disk.log.indexOf(null);
    expect(disk.log.slice(0, at).filter((entry) => entry !== null && entry.first < 200).length).toBe(40);
    expect(device.flushedWrites).toBeGreaterThanOrEqual(40);
    expect(test.run(() => ensureFlushed(test.kernel, device, 41))).toBe(0);
  });

  it('turns a host failure into EIO', () => {
    const { test, device, disk } = newTest();
    disk.failWrites = true;
    write(test, device, 1, 1);
    test.pass(1e9);
    expect(done[0]?.error).toBe(-5);
    expect(test.kernel.log.lines.at(-1)?.text).toContain('I/O error, dev vda, sector 8');
  });

  it('moves waiting requests to another scheduler', () => {
    const { test, device } = newTest('hdd');
    for (let block = 0; block < 60; block++) write(test, device, block * 5, 1);
    expect(setScheduler(test.kernel, device, 'none')).toBe(true);
    expect(setScheduler(test.kernel, device, 'unknown')).toBe(false);
    test.pass(10e9);
    expect(done.length).toBe(60);
  });
});

const request = (id: number, kind: 'read' | 'write', first: number, submittedNs = 0): Request => ({
  id, kind, first, count: 1, bios: [], preflush: false, fua: false, sync: false, tid: 0, comm: '', submittedNs, issuedNs: 0,
  doneNs: 0, covers: 0,
}); // prettier-ignore

function order(name: string, requests: readonly Request[], nowNs: number): number[] {
  const scheduler = ioSchedulers[name];
  if (scheduler === undefined) throw new Error(name);
  const data = scheduler.newData();
  for (const one of requests) scheduler.insert(data, one);
  const out: number[] = [];
  let head = 0;
  for (
    let next = scheduler.next(data, nowNs, head);
    next !== undefined;
    next = scheduler.next(data, nowNs, head)
  ) {
    out.push(next.id);
    head = next.first + 1;
  }
  return out;
}

describe('schedulers', () => {
  it.each([
    ['none', 0, [1, 2, 3, 4]],
    ['mq-deadline', 0, [3, 2, 4, 1]],
    ['mq-deadline', 10e9, [2, 4, 3, 1]],
  ] as const)('%s at %i ns', (name, nowNs, expected) => {
    const requests = [
      request(1, 'write', 5),
      request(2, 'read', 50),
      request(3, 'read', 10),
      request(4, 'read', 90),
    ];
    expect(order(name, requests, nowNs)).toEqual(expected);
  });
});

describe('profiles', () => {
  it('seeks longer over longer distances, and not at all in sequence', () => {
    const { hdd, nvme } = deviceProfiles;
    expect(positioningNs(hdd, 100, 100, 1e6)).toBe(0);
    expect(positioningNs(hdd, 0, 1e6, 1e6)).toBeGreaterThan(positioningNs(hdd, 0, 1000, 1e6));
    expect(positioningNs(nvme, 0, 1000, 1e6)).toBe(0);
  });
});
