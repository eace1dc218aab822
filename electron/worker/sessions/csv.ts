// A session as CSV (RFC 4180): the counters, a blank line, then the events.
import type { SessionTrace } from './trace.ts';

const cell = (value: string | number): string => {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const row = (cells: readonly (string | number)[]): string => cells.map(cell).join(',');

export function toCsv(trace: SessionTrace): string {
  const lines = [
    row(['time_ns', ...trace.series.map(({ name, unit }) => (unit === '' ? name : `${name} (${unit})`))]),
  ];
  const times = trace.series[0]?.atNs ?? new Float64Array();
  times.forEach((atNs, i) => lines.push(row([atNs, ...trace.series.map(({ values }) => values[i] ?? '')])));
  lines.push('', row(['time_ns', 'cpu', 'tid', 'event', 'fields']));
  for (const { atNs, cpu, tid, system, name, fields } of trace.events()) {
    const text = Object.entries(fields).map(([field, value]) => `${field}=${value}`).join(' '); // prettier-ignore
    lines.push(row([atNs, cpu, tid, `${system}:${name}`, text]));
  }
  return `${lines.join('\r\n')}\r\n`;
}
