/**
 * Which charts a session's series make: the shares of one CPU stacked, other series by group and unit. Words
 * and colours for the names that the recorder uses.
 */
import type { SeriesColumns, SessionDetails } from '../../electron/protocol/reports.ts';
import { formatBytes, formatDuration, formatPercent, formatShort } from '../design/format.ts';
import type { ColourName, Palette } from '../design/palette.ts';
import { taskColour } from '../design/palette.ts';

export interface SessionChart {
  readonly key: string;
  readonly title: string;
  readonly members: { name: string; colour: string }[];
  /** Instants, then a column a member. */
  readonly data: Float64Array[];
  readonly stacked: boolean;
  readonly top: number | undefined;
  readonly least: number;
  readonly bytes: boolean;
  format(value: number): string;
}

const GROUP_WORDS: Readonly<Record<string, string>> = {
  cpu: 'CPU',
  sched: 'Scheduler',
  syscalls: 'System calls',
  faults: 'Page faults',
  memory: 'Memory',
  swap: 'Swap',
  reclaim: 'Reclaim',
  disk: 'Disk',
};
export function groupWords(group: string): string {
  return GROUP_WORDS[group] ?? group;
}

const LINES: readonly ColourName[] = ['series-1', 'series-2', 'series-3', 'series-4'];
const CPU_PARTS: Readonly<Record<string, ColourName>> = {
  user: 'cpu-user',
  system: 'cpu-system',
  irq: 'cpu-irq',
  softirq: 'cpu-softirq',
  iowait: 'cpu-iowait',
};
const STACK = ['iowait', 'softirq', 'irq', 'system', 'user'];
const cpuPart = (name: string) => /^cpu(\d+) (\w+)$/.exec(name);

type About = SessionDetails['series'][number];

/** What a newcomer sees first: the CPUs, and what moves when memory runs out. */
export function firstChoice(series: readonly About[]): string[] {
  const groups = new Set(['cpu', 'memory', 'swap']);
  const wanted = series.filter(
    (entry) => groups.has(entry.group.toLowerCase()) && entry.name !== 'instructions',
  );
  return (wanted.length > 0 ? wanted : series.slice(0, 6)).map((entry) => entry.name);
}

export function chartsOf(
  details: SessionDetails,
  columns: readonly SeriesColumns[],
  chosen: readonly string[],
  palette: Palette,
): SessionChart[] {
  const about = new Map(details.series.map((entry) => [entry.name, entry]));
  const order = (name: string) => STACK.indexOf(cpuPart(name)?.[2] ?? '');
  const charts = new Map<string, SessionChart>();
  for (const column of [...columns].sort((a, b) => order(a.name) - order(b.name))) {
    const entry = about.get(column.name);
    if (entry === undefined || !chosen.includes(column.name)) continue;
    const part = entry.unit === 'ns' && entry.kind === 'rate' ? cpuPart(column.name) : null;
    if (part !== null && !STACK.includes(part[2] ?? '')) continue; // idle is what is left
    const chart = part === null ? chartFor(charts, entry) : cpuChart(charts, part[1] ?? '');
    if (chart.data.length === 0) chart.data.push(column.atNs);
    const named = part?.[2];
    const colour =
      named === undefined
        ? lineColour(chart.members.length, palette)
        : palette.colour[CPU_PARTS[named] ?? 'series-1'];
    chart.members.push({ name: named ?? column.name, colour });
    chart.data.push(
      part === null && !isShareOfTime(entry) ? column.mean : column.mean.map((value) => value / 1e9),
    );
  }
  return [...charts.values()].sort(
    (a, b) =>
      Number(b.stacked) - Number(a.stacked) || (a.stacked && b.stacked ? a.key.localeCompare(b.key) : 0),
  );
}

const isShareOfTime = (entry: About) => entry.unit === 'ns' && entry.kind === 'rate';
function lineColour(index: number, palette: Palette): string {
  const name = LINES[index];
  return name === undefined ? taskColour(index * 3, palette.dark) : palette.colour[name];
}

function cpuChart(charts: Map<string, SessionChart>, cpu: string): SessionChart {
  const key = `cpu ${cpu.padStart(3, '0')}`;
  const chart = charts.get(key) ?? {
    key,
    title: `CPU ${cpu}`,
    members: [],
    data: [],
    stacked: true,
    top: 1,
    least: 1,
    bytes: false,
    format: formatPercent,
  };
  charts.set(key, chart);
  return chart;
}

function chartFor(charts: Map<string, SessionChart>, entry: About): SessionChart {
  const unit = isShareOfTime(entry) ? 'share' : entry.unit;
  const key = `${entry.group} ${unit} ${entry.kind}`;
  const bytes = unit === 'B' || unit === 'bytes';
  const known = charts.get(key);
  if (known !== undefined) return known;
  const perSecond = entry.kind === 'rate' && unit !== 'share';
  const chart: SessionChart = {
    key,
    title: groupWords(entry.group),
    members: [],
    data: [],
    stacked: false,
    top: undefined,
    bytes,
    least: unit === 'share' ? 0.01 : bytes ? 65536 : 1,
    format(value) {
      const text =
        unit === 'share'
          ? formatPercent(value)
          : bytes
            ? formatBytes(value)
            : unit === 'ns'
              ? formatDuration(value)
              : formatShort(value);
      return perSecond ? `${text}/s` : text;
    },
  };
  charts.set(key, chart);
  return chart;
}
