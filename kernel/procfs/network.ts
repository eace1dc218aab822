// /proc/net and /sys/class/net: sockets and the loopback interface (proc(5)).
import type { Kernel } from '../state.ts';
import { endpointOf } from '../net/ports.ts';
import type { Socket } from '../net/socket.ts';
import { latin1 } from '../lib/bytes.ts';
import { hex } from './text.ts';
import { procDirectory, procFile, procLink, variables } from './tree.ts';

procLink('/proc/net', () => 'self/net');
const NET = '/proc/{pid}/net';

procFile(`${NET}/dev`, 0o444, (kernel) => {
  const { packets, bytes } = kernel.net.loopback;
  const columns = [bytes, packets, 0, 0, 0, 0, 0, 0];
  const widths = [7, 7, 4, 4, 4, 5, 10, 9];
  const received = columns.map((value, index) => String(value).padStart(widths[index] ?? 0)).join(' ');
  const sentWidths = [8, 7, 4, 4, 4, 5, 7, 10];
  const sent = columns.map((value, index) => String(value).padStart(sentWidths[index] ?? 0)).join(' ');
  return (
    'Inter-|   Receive                                                |  Transmit\n' +
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n' +
    `    lo: ${received} ${sent}\n`
  );
});

procFile(
  `${NET}/route`,
  0o444,
  () =>
    `${'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'.padEnd(127)}\n`,
);
procFile(
  `${NET}/arp`,
  0o444,
  () => 'IP address       HW type     Flags       HW address            Mask     Device\n',
);
procFile(`${NET}/if_inet6`, 0o444, () => `${'0'.repeat(31)}1 01 80 10 80       lo\n`);

const STATES: Readonly<Record<Socket['state'], number>> = {
  unconnected: 1,
  listening: 1,
  connecting: 2,
  connected: 3,
  disconnected: 4,
};
const TYPES: Readonly<Record<Socket['type'], number>> = { stream: 1, dgram: 2, seqpacket: 5 };

procFile(`${NET}/unix`, 0o444, (kernel) => {
  const rows = [...kernel.net.sockets].filter(({ family }) => family === 'unix').map((socket) => {
    const flags = socket.state === 'listening' ? 0x10000 : 0;
    const name = socket.name === null ? '' : ` ${latin1(socket.name.bytes.subarray(2)).replace(/\0$/, '').replaceAll('\0', '@')}`;
    const fields = [hex(socket.peer === null ? 2 : 3, 8), hex(0, 8), hex(flags, 8), hex(TYPES[socket.type], 4), hex(STATES[socket.state], 2)];
    return `${'0'.repeat(16)}: ${fields.join(' ').toUpperCase()} ${String(socket.inode).padStart(5)}${name}\n`;
  }); // prettier-ignore
  return `Num       RefCount Protocol Flags    Type St Inode Path\n${rows.join('')}`;
});

/** TCP's state numbers (include/net/tcp_states.h). */
const TCP_STATES: Readonly<Record<Socket['state'], number>> = {
  unconnected: 7,
  listening: 10,
  connecting: 2,
  connected: 1,
  disconnected: 8,
};

function place(socket: Socket, isPeer: boolean): string {
  const { host, port } = endpointOf(isPeer ? socket.peerName : socket.name);
  const hostHex = host.includes('.')
    ? host.split('.').reverse().map((part) => hex(Number(part), 2)).join('') // prettier-ignore
    : (host.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).reverse().join('')).join('');
  const full =
    socket.family === 'inet6' && host.includes('.')
      ? host === '0.0.0.0'
        ? '0'.repeat(32)
        : `0000000000000000FFFF0000${hostHex}`
      : hostHex;
  return `${full.toUpperCase()}:${hex(port, 4).toUpperCase()}`;
}

function inetTable(kernel: Kernel, family: 'inet' | 'inet6', type: Socket['type']): string {
  const rows = [...kernel.net.sockets].filter(
    (socket) => socket.family === family && socket.type === type && socket.name !== null,
  );
  return rows.map((socket, index) => {
    const state = type === 'stream' ? TCP_STATES[socket.state] : socket.peerName === null ? 7 : 1;
    const waiting = socket.state === 'listening' ? socket.pending.length : socket.buffer.length;
    const sending = socket.peer?.buffer.length ?? 0;
    const text =
      `${String(index).padStart(type === 'stream' ? 4 : 5)}: ${place(socket, false)} ${place(socket, true)} ${hex(state, 2).toUpperCase()} ` +
      `${hex(sending, 8).toUpperCase()}:${hex(waiting, 8).toUpperCase()} 00:00000000 00000000 ${String(socket.credentials.uid).padStart(5)} ` +
      `${'0'.padStart(8)} ${socket.inode} 1 ${'0'.repeat(16)}`;
    return `${text.padEnd(127)}\n`;
  }).join(''); // prettier-ignore
}

const TCP_HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const UDP_HEAD =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops';
const V6_HEAD =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

procFile(`${NET}/tcp`, 0o444, (kernel) => `${TCP_HEAD.padEnd(149)}\n${inetTable(kernel, 'inet', 'stream')}`);
procFile(`${NET}/tcp6`, 0o444, (kernel) => `${V6_HEAD}\n${inetTable(kernel, 'inet6', 'stream')}`);
procFile(`${NET}/udp`, 0o444, (kernel) => `${UDP_HEAD.padEnd(127)}\n${inetTable(kernel, 'inet', 'dgram')}`);
procFile(
  `${NET}/udp6`,
  0o444,
  (kernel) => `${V6_HEAD} ref pointer drops\n${inetTable(kernel, 'inet6', 'dgram')}`,
);
procFile(`${NET}/raw`, 0o444, () => `${UDP_HEAD.padEnd(127)}\n`);

procFile(`${NET}/raw6`, 0o444, () => `${V6_HEAD} ref pointer drops\n`);
procFile(`${NET}/sockstat`, 0o444, (kernel) => {
  const sockets = [...kernel.net.sockets];
  const count = (family: Socket['family'], type: Socket['type']): number =>
    sockets.filter((s) => s.family === family && s.type === type).length;
  return `sockets: used ${sockets.length}\nTCP: inuse ${count('inet', 'stream')} orphan 0 tw 0 alloc ${count('inet', 'stream')} mem 0\nUDP: inuse ${count('inet', 'dgram')} mem 0\nRAW: inuse 0\n`;
});

variables['{interface}'] = { list: () => ['lo'], has: (_kernel, _names, name) => name === 'lo' };

const interfaceFiles: Readonly<Record<string, (kernel: Kernel) => string | number>> = {
  address: () => '00:00:00:00:00:00', broadcast: () => '00:00:00:00:00:00', mtu: () => 65_536, flags: () => '0x9',
  ifindex: () => 1, iflink: () => 1, type: () => 772, operstate: () => 'unknown', carrier: () => 1, addr_len: () => 6,
  tx_queue_len: () => 1000,
  'statistics/rx_bytes': ({ net }) => net.loopback.bytes, 'statistics/tx_bytes': ({ net }) => net.loopback.bytes,
  'statistics/rx_packets': ({ net }) => net.loopback.packets, 'statistics/tx_packets': ({ net }) => net.loopback.packets,
}; // prettier-ignore
for (const [name, show] of Object.entries(interfaceFiles)) {
  procFile(`/sys/class/net/{interface}/${name}`, 0o444, (kernel) => `${show(kernel)}\n`);
}
procDirectory(NET);
