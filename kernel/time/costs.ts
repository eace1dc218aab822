// What kernel paths cost in virtual time. Modelled figures, of the order that lmbench reports for Linux 6.1 on a
// 3 GHz x86-64 server; the screen marks everything that follows from them.
export interface Cost {
  readonly ns: number;
  readonly source: string;
}

const order = 'order of lmbench 3 on Linux 6.1, x86-64';

export const costs = {
  syscallEntry: { ns: 60, source: order },
  interrupt: { ns: 400, source: order },
  timerTick: { ns: 600, source: order },
  contextSwitch: { ns: 900, source: order },
  minorFault: { ns: 250, source: order },
  copyPage: { ns: 200, source: 'copying 4 KiB at about 20 GB/s' },
  zeroPage: { ns: 100, source: 'clearing 4 KiB at about 40 GB/s' },
  fork: { ns: 40_000, source: order },
  clone: { ns: 12_000, source: order },
  exec: { ns: 120_000, source: order },
  exit: { ns: 15_000, source: order },
  pathComponent: { ns: 120, source: order },
  signalDelivery: { ns: 700, source: order },
  pipeTransfer: { ns: 300, source: order },
  pageCacheLookup: { ns: 50, source: order },
  blockSubmit: { ns: 1_500, source: 'order of fio on null_blk' },
  pageScan: { ns: 80, source: order },
} as const satisfies Record<string, Cost>;

export type CostName = keyof typeof costs;
