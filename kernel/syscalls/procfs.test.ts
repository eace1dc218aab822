import { describe, expect, it } from 'vitest';
import { EACCES, ENOENT } from '../abi/errno.ts';
import { nodes } from '../procfs/tree.ts';
import { callKernel, must } from './calls.test-kernel.ts';

describe('/proc', () => {
  it.each<[string, RegExp]>([
    ['/proc/self/stat', /^\d+ \(task\d+\) R \d+ \d+ \d+ 0 -1 \d+ (-?\d+ ){42}-?\d+\n$/],
    [
      '/proc/self/status',
      /^Name:\ttask\d+\nUmask:\t0022\nState:\tR \(running\)\nTgid:\t\d+\nNgid:\t0\nPid:\t\d+\n[^]*\nVmSize:\t +\d+ kB\n/,
    ],
    ['/proc/self/statm', /^\d+ \d+ \d+ \d+ 0 \d+ 0\n$/],
    ['/proc/self/comm', /^task\d+\n$/],
    ['/proc/self/maps', /^00100000-00200000 rw-p 00000000 00:00 0 \n$/],
    ['/proc/self/smaps', /^00100000-00200000 rw-p [^]*\nRss: +\d+ kB\n[^]*VmFlags: rd wr mr mw me ac \n$/],
    [
      '/proc/self/limits',
      /^Limit +Soft Limit +Hard Limit +Units +\nMax cpu time +unlimited +unlimited +seconds +\n/,
    ],
    ['/proc/self/mounts', /^rootfs \/ ramfs rw(,\w+)* 0 0\nproc \/proc proc rw,relatime 0 0\n/],
    ['/proc/mounts', /^rootfs \/ ramfs/],
    ['/proc/self/mountinfo', /^1 1 0:\d+ \/ \/ rw\S* - ramfs rootfs rw\n/],
    [
      '/proc/self/io',
      /^rchar: \d+\nwchar: \d+\nsyscr: \d+\nsyscw: \d+\nread_bytes: \d+\nwrite_bytes: \d+\ncancelled_write_bytes: 0\n$/,
    ],
    ['/proc/self/oom_score_adj', /^0\n$/],
    ['/proc/self/sched', /^task\d+ \(\d+, #threads: 1\)\n-+\nse\.exec_start +: +\d+\.\d{6}\n/],
    ['/proc/self/task/1/stat', /^/],
    ['/proc/meminfo', /^MemTotal: +\d+ kB\nMemFree: +\d+ kB\nMemAvailable: +\d+ kB\nBuffers: +\d+ kB\n/],
    ['/proc/vmstat', /^nr_free_pages \d+\n[^]*\npgfault \d+\n/],
    [
      '/proc/stat',
      /^cpu {2}(\d+ ){9}\d+\ncpu0 (\d+ ){9}\d+\nintr \d+[^\n]*\nctxt \d+\nbtime 1700000000\nprocesses \d+\nprocs_running \d+\nprocs_blocked 0\n$/,
    ],
    ['/proc/uptime', /^\d+\.\d\d \d+\.\d\d\n$/],
    ['/proc/loadavg', /^0\.00 0\.00 0\.00 \d+\/\d+ \d+\n$/],
    ['/proc/version', /^Linux version 6\.1\.\S+ \(\S+\) #1 SMP/],
    [
      '/proc/cpuinfo',
      /^processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 26\nmodel name\t: Ringside[^\n]*\nstepping\t: 5\n[^]*\nflags\t\t: fpu [^\n]*sse4_2[^\n]*\n/,
    ],
    ['/proc/filesystems', /nodev\tproc\n/],
    ['/proc/devices', /^Character devices:\n {2}1 mem\n {2}4 tty\n/],
    ['/proc/buddyinfo', /^Node 0, zone {4}DMA32 ( *\d+ ){11}\n$/],
    ['/proc/slabinfo', /^slabinfo - version: 2\.1\n# name /],
    ['/proc/zoneinfo', /^Node 0, zone {4}DMA32\n {2}per-node stats\n/],
    ['/proc/swaps', /^Filename\t+Type\t+Size\t+Used\t+Priority\n$/],
    ['/proc/diskstats', /^$/],
    ['/proc/partitions', /^major minor {2}#blocks {2}name\n\n$/],
    ['/proc/pressure/memory', /^some avg10=0\.00 avg60=0\.00 avg300=0\.00 total=0\nfull avg10=/],
    ['/proc/net/dev', /^Inter-\|[^]*\n {4}lo: /],
    ['/proc/net/unix', /^Num +RefCount Protocol Flags +Type St Inode Path\n$/],
    ['/proc/sysvipc/sem', /^ +key +semid perms/],
    ['/proc/sys/kernel/osrelease', /^6\.1\./],
    ['/proc/sys/vm/swappiness', /^60\n$/],
    [
      '/proc/sys/kernel/random/uuid',
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/,
    ],
    ['/sys/devices/system/cpu/online', /^0\n$/],
    ['/sys/devices/system/cpu/cpu0/cache/index0/size', /^32K\n$/],
    ['/sys/class/net/lo/mtu', /^65536\n$/],
    ['/sys/class/tty/tty1/dev', /^4:1\n$/],
  ])('%s', (path, expected) => {
    const k = callKernel();
    const task = k.task();
    expect(
      k.readFile(path.startsWith('/proc/self/task/1/') ? (k.kernel.tasks.get(1) ?? task) : task, path),
    ).toMatch(expected);
  });

  it('every declared file without variable parts can be read or refuses with an errno', () => {
    const k = callKernel();
    const task = k.task();
    for (const node of nodes.values()) {
      if (node.kind !== 'file' || node.show === null) continue;
      const path = node.path.replace('{pid}', String(task.tid)).replace('{tid}', String(task.tid));
      if (!path.includes('{')) expect(() => k.readFile(task, path), path).not.toThrow();
    }
  });

  it('shows descriptors, follows them, and forgets dead tasks', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.open(task, '/dev/null', 2));
    expect(k.readFile(task, `/proc/self/fdinfo/${fd}`)).toMatch(
      /^pos:\t0\nflags:\t0100002\nmnt_id:\t\d+\nino:\t\d+\n$/,
    );
    const again = must(k.open(task, `/proc/self/fd/${fd}`, 1));
    expect(k.write(task, again, 'x')).toBe(1);
    expect(k.open(task, '/proc/self/fd/99', 0)).toBe(ENOENT);
    const other = k.task();
    expect(k.readFile(task, `/proc/${other.tid}/comm`)).toBe(`task${other.tid}\n`);
    k.kernel.tasks.delete(other.tid);
    expect(k.open(task, `/proc/${other.tid}/comm`, 0)).toBe(ENOENT);
  });

  it('keeps one text per open file and makes a new one from the start', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.open(task, '/proc/uptime', 0));
    const first = k.read(task, fd, 3);
    k.advance(100e9);
    expect(`${first}${k.read(task, fd)}`).toMatch(/^0\.00 /);
    const file = task.files.open[fd];
    if (file) file.position = 0;
    expect(k.read(task, fd)).toMatch(/^100\.00 /);
  });

  it('guards what belongs to others', () => {
    const k = callKernel();
    const root = k.task();
    const user = k.task({ uid: 1000 });
    expect(k.open(user, `/proc/${root.tid}/environ`, 0)).toBe(EACCES);
    expect(k.open(user, `/proc/${root.tid}/maps`, 0)).toBe(EACCES);
    expect(k.open(user, `/proc/${user.tid}/maps`, 0)).toBeGreaterThanOrEqual(0);
    expect(k.open(user, '/proc/slabinfo', 0)).toBe(EACCES);
    expect(k.open(user, '/proc/sys/vm/swappiness', 1)).toBe(EACCES);
  });

  it('writes settings', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.open(task, '/proc/sys/vm/swappiness', 1));
    expect(k.write(task, fd, '10\n')).toBe(3);
    expect(k.kernel.memory.tunables.swappiness).toBe(10);
    expect(k.write(task, fd, '300\n')).toBe(-22);
    const drop = must(k.open(task, '/proc/sys/vm/drop_caches', 1));
    expect(k.write(task, drop, '3\n')).toBe(2);
  });
});
