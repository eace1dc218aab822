// The parts of /sys that belong to no device: kernel, fs, power, and classes (Documentation/ABI).
import { TTY_MAJOR } from '../tty/state.ts';
import { minorOf, majorOf } from '../abi/device.ts';
import { procDirectory, procFile, variables } from './tree.ts';

for (const path of [
  '/sys/kernel',
  '/sys/fs',
  '/sys/fs/cgroup',
  '/sys/module',
  '/sys/bus',
  '/sys/class',
  '/sys/dev',
  '/sys/devices',
  '/sys/power',
  '/sys/firmware',
]) {
  procDirectory(path);
}

procFile('/sys/kernel/mm/transparent_hugepage/enabled', 0o444, () => 'always madvise [never]\n');

variables['{terminal}'] = {
  list: (kernel) =>
    [...kernel.tty.terminals.values()]
      .filter(({ device }) => majorOf(device) === TTY_MAJOR)
      .map(({ name }) => name),
  has: (kernel, _names, name) => majorOf(kernel.tty.terminals.get(name)?.device ?? 0) === TTY_MAJOR,
};
procFile('/sys/class/tty/{terminal}/dev', 0o444, (kernel, { names }) => {
  const device = kernel.tty.terminals.get(names[0] ?? '')?.device ?? 0;
  return `${majorOf(device)}:${minorOf(device)}\n`;
});
procFile('/sys/class/tty/console/active', 0o444, (kernel) => `${kernel.tty.logConsoles.join(' ')}\n`);
procFile('/sys/class/tty/tty0/active', 0o444, (kernel) => `tty${kernel.tty.foregroundConsole}\n`);
