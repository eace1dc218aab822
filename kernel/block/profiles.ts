// How long a device takes: models of a 7200 rpm disk, a SATA SSD and an NVMe SSD. Every figure here is modelled.
//
// hdd: one request at a time; seek time grows with the square root of the distance plus a linear part (Ruemmler and
// Wilkes, "An introduction to disk drive modeling", 1994), half a turn of rotation unless the request goes on where
// the last one ended. ssd and nvme: requests go to parallel channels; a request takes a fixed time and its transfer.

export interface DeviceProfile {
  readonly title: string;
  readonly source: string;
  readonly rotational: boolean;
  /** Requests that the device takes at once (NCQ, NVMe queue). */
  readonly queueDepth: number;
  /** Of these, how many it works on in parallel. */
  readonly channels: number;
  readonly defaultScheduler: 'none' | 'mq-deadline';
  readonly readNs: number;
  readonly writeNs: number;
  readonly nsPerBlock: number;
  readonly flushNs: number;
  /** Zero unless rotational. */
  readonly seekMinNs: number;
  readonly seekMaxNs: number;
  readonly turnNs: number;
}

export const deviceProfiles = {
  hdd: {
    title: 'Hard disk, 7200 rpm', source: 'data sheets of 1 TB desktop disks: 8.5 ms average seek, 4.16 ms latency, 160 MB/s',
    rotational: true, queueDepth: 32, channels: 1, defaultScheduler: 'mq-deadline',
    readNs: 100_000, writeNs: 100_000, nsPerBlock: 25_600, flushNs: 8_000_000,
    seekMinNs: 800_000, seekMaxNs: 16_000_000, turnNs: 8_333_333,
  },
  ssd: {
    title: 'SSD, SATA', source: 'data sheets of consumer SATA SSDs: 90 µs read, 30 µs cached write, 540 MB/s',
    rotational: false, queueDepth: 32, channels: 8, defaultScheduler: 'mq-deadline',
    readNs: 90_000, writeNs: 30_000, nsPerBlock: 7_600, flushNs: 500_000, seekMinNs: 0, seekMaxNs: 0, turnNs: 0,
  },
  nvme: {
    title: 'SSD, NVMe', source: 'data sheets of consumer NVMe SSDs: 50 µs read, 15 µs cached write, 3.2 GB/s',
    rotational: false, queueDepth: 128, channels: 16, defaultScheduler: 'none',
    readNs: 50_000, writeNs: 15_000, nsPerBlock: 1_280, flushNs: 100_000, seekMinNs: 0, seekMaxNs: 0, turnNs: 0,
  },
} as const satisfies Record<string, DeviceProfile>; // prettier-ignore

/** Seek and rotation before the first block of a request comes under the heads. */
export function positioningNs(profile: DeviceProfile, from: number, to: number, blockCount: number): number {
  if (!profile.rotational || from === to) return 0;
  const distance = Math.abs(to - from) / Math.max(1, blockCount);
  const seek =
    profile.seekMinNs +
    (profile.seekMaxNs - profile.seekMinNs) * (0.7 * Math.sqrt(distance) + 0.3 * distance);
  return Math.round(seek + profile.turnNs / 2);
}

/** What the device itself takes for a request, positioning not counted. */
export function transferNs(profile: DeviceProfile, kind: 'read' | 'write' | 'flush', count: number): number {
  if (kind === 'flush') return profile.flushNs;
  return (kind === 'read' ? profile.readNs : profile.writeNs) + profile.nsPerBlock * count;
}
