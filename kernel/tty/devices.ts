// The device numbers that terminals and memory devices have, and the nodes that devtmpfs makes for them
// (Documentation/admin-guide/devices.txt).
import { makeDevice } from '../abi/device.ts';
import { charDevices, deviceNodes, type DeviceNode } from '../fs/vfs/devices.ts';
import { MEM_MAJOR, memoryDevices } from './memory-devices.ts';
import { PTS_MAJOR, TTY_MAJOR, TTYAUX_MAJOR } from './state.ts';
import './pty.ts';
import './terminal-files.ts';

const PTMX_MINOR = 2;
const TTY_GROUP = 5;

charDevices[MEM_MAJOR] = { name: 'mem', operations: (minor) => memoryDevices[minor]?.name };
charDevices[TTY_MAJOR] = { name: 'tty', operations: () => 'tty' };
charDevices[TTYAUX_MAJOR] = {
  name: 'ttyaux',
  operations: (minor) => (minor === PTMX_MINOR ? 'ptmx' : minor < PTMX_MINOR ? 'tty' : undefined),
};
charDevices[PTS_MAJOR] = { name: 'pts', operations: () => 'tty' };

const node = (path: string, major: number, minor: number, mode: number, gid = 0): DeviceNode => ({
  path, kind: 'char', device: makeDevice(major, minor), mode, gid,
}); // prettier-ignore

deviceNodes['memory'] = () =>
  Object.entries(memoryDevices).map(([minor, { name, mode }]) => node(name, MEM_MAJOR, Number(minor), mode));

deviceNodes['tty'] = (kernel) => [
  node('tty', TTYAUX_MAJOR, 0, 0o666, TTY_GROUP),
  node('console', TTYAUX_MAJOR, 1, 0o600),
  node('ptmx', TTYAUX_MAJOR, PTMX_MINOR, 0o666, TTY_GROUP),
  node('tty0', TTY_MAJOR, 0, 0o620, TTY_GROUP),
  ...[...kernel.tty.terminals.values()]
    .filter(({ driver }) => driver !== 'pts')
    .map(({ name, device, driver }) => ({
      path: name, kind: 'char' as const, device, mode: driver === 'serial' ? 0o660 : 0o620,
      gid: driver === 'serial' ? 20 : TTY_GROUP,
    })),
]; // prettier-ignore
