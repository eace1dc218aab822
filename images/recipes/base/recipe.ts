/**
 * The base image: busybox, the C library and a C compiler, on a disk of 1 GiB; what `ringside new` starts from.
 * Users root and student, both with the password "ringside"; root is logged in on the first terminal.
 */
import { join } from 'node:path';
import type { Recipe } from '../recipe.ts';

const here = import.meta.dirname;
const programs = join(here, '..', '..', 'programs');

/** "ringside", as `openssl passwd -6 -salt ringside` writes it. */
const PASSWORD_HASH =
  '$6$ringside$F00HI0DhPSKSh0rdj6.DjJKvqJjZFmehJxLiEUnT/GInrxM4ofi1TG8Ockw8N8tri.492ygmKzSL9QfoquBMA.';

const EXAMPLES = ['hello.c', 'memory-hog.c', 'counter.c', 'fork-pipe.c'];
const STARTED_AT_S = [
  'mountkernfs.sh',
  'checkroot.sh',
  'hostname.sh',
  'swap.sh',
  'procps',
  'urandom',
  'bootmisc.sh',
  'networking',
];

function startLinks(runLevel: string, scripts: readonly string[]): [string, string][] {
  return scripts.map((script, index) => [
    `/etc/rc${runLevel}.d/S${String(index + 1).padStart(2, '0')}${script}`,
    `../init.d/${script}`,
  ]);
}

export const base: Recipe = {
  name: 'base',
  description: 'Debian 12 with busybox, the C library and the C compiler tcc',
  suite: 'bookworm',
  programs: [
    { path: '/root/examples/hello.c', title: 'Hello', about: 'The first program: prints a line and ends.' },
    {
      path: '/root/examples/memory-hog.c',
      title: 'Memory hog',
      about: 'Uses more memory than there is: watch reclaim and swap.',
    },
    {
      path: '/root/examples/counter.c',
      title: 'Counter',
      about: 'Counts on for ever, also after the lab was closed and opened again.',
    },
    {
      path: '/root/examples/fork-pipe.c',
      title: 'Fork and pipe',
      about: 'Processes that talk through a pipe.',
    },
  ],
  packages: [
    'base-files',
    'base-passwd',
    'busybox-static',
    'libc-bin',
    'libc6',
    'libc6-dev',
    'libcrypt-dev',
    'libcrypt1',
    'libgcc-s1',
    'linux-libc-dev',
    'tcc',
  ],
  leaveOut: [
    '/etc/update-motd.d',
    '/usr/share/bug',
    '/usr/share/common-licenses',
    '/usr/share/doc',
    '/usr/share/doc-base',
    '/usr/share/info',
    '/usr/share/initramfs-tools',
    '/usr/share/lintian',
    '/usr/share/locale',
    '/usr/share/man',
    '/usr/share/menu',
  ],
  filesFolder: join(here, 'files'),
  copies: Object.fromEntries(
    ['/root', '/home/student'].flatMap((home) =>
      EXAMPLES.map((name) => [`${home}/examples/${name}`, join(programs, name)]),
    ),
  ),
  directories: [
    '/etc/profile.d',
    '/etc/rc0.d',
    '/etc/rc2.d',
    '/etc/rc6.d',
    '/etc/rcS.d',
    '/home/student/examples',
    '/media',
    '/mnt',
    '/opt',
    '/root/examples',
    '/srv',
    '/tmp',
    '/usr/local/bin',
    '/usr/local/lib',
    '/usr/local/sbin',
    '/var/lib/urandom',
    '/var/log',
    '/var/spool/cron/crontabs',
    '/var/tmp',
  ],
  links: {
    ...Object.fromEntries([...startLinks('S', STARTED_AT_S), ...startLinks('2', ['rc.local'])]),
    '/etc/rc0.d/K01urandom': '../init.d/urandom',
    '/etc/rc6.d/K01urandom': '../init.d/urandom',
    '/etc/init.d/rcS': 'rc',
    '/etc/mtab': '../proc/self/mounts',
    '/usr/bin/cc': 'tcc',
    '/usr/bin/pager': 'less',
    '/usr/bin/editor': 'vi',
    '/var/lock': '/run/lock',
    '/var/run': '/run',
  },
  permissions: {
    '/etc/shadow': { mode: 0o640, gid: 42 },
    '/home/student': { mode: 0o755 },
    '/root': { mode: 0o700 },
    '/tmp': { mode: 0o1777 },
    '/var/spool/cron/crontabs': { mode: 0o700 },
    '/var/tmp': { mode: 0o1777 },
  },
  users: [
    {
      name: 'root',
      uid: 0,
      gid: 0,
      comment: 'root',
      home: '/root',
      shell: '/bin/sh',
      passwordHash: PASSWORD_HASH,
      groups: [],
    },
    {
      name: 'student',
      uid: 1000,
      gid: 1000,
      comment: 'Student',
      home: '/home/student',
      shell: '/bin/sh',
      passwordHash: PASSWORD_HASH,
      groups: ['sudo', 'users', 'staff'],
    },
  ],
  diskBytes: 1024 ** 3,
  label: 'ringside',
  timeSeconds: 1_700_000_000,
};
