/** Figures as text: fixed digits, a unit always, so that columns align and nothing jumps. */

const NARROW = '\u202f'; // narrow no-break space, between a figure and its unit and between groups of digits

export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${bytes < 0 ? '−' : ''}${value.toFixed(digits)}${NARROW}${units[unit] ?? ''}`;
}

export function formatMebibytes(bytes: number): string {
  return `${Math.round(bytes / 1048576)}`;
}

/** 1234567 → "1 234 567". */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, NARROW);
}

/** Short forms for axes and headlines: 12.3 k. */
export function formatShort(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const magnitude = Math.abs(value);
  if (magnitude >= 1e9) return `${trim(value / 1e9)}${NARROW}G`;
  if (magnitude >= 1e6) return `${trim(value / 1e6)}${NARROW}M`;
  if (magnitude >= 1e4) return `${trim(value / 1e3)}${NARROW}k`;
  return magnitude >= 100 || Number.isInteger(value) ? value.toFixed(0) : trim(value);
}
function trim(value: number): string {
  const magnitude = Math.abs(value);
  return value.toFixed(magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2).replace(/\.?0+$/, '');
}

export function formatPercent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)}${NARROW}%` : '–';
}

/** A length of time, with the unit that suits it. */
export function formatDuration(ns: number): string {
  if (!Number.isFinite(ns)) return '–';
  const magnitude = Math.abs(ns);
  if (magnitude < 1000) return `${Math.round(ns)}${NARROW}ns`;
  if (magnitude < 1e6) return `${digits3(ns / 1e3)}${NARROW}µs`;
  if (magnitude < 1e9) return `${digits3(ns / 1e6)}${NARROW}ms`;
  if (magnitude < 600e9) return `${digits3(ns / 1e9)}${NARROW}s`;
  const minutes = Math.floor(magnitude / 60e9);
  if (minutes < 60) return `${minutes}${NARROW}min`;
  return `${Math.floor(minutes / 60)}${NARROW}h ${minutes % 60}${NARROW}min`;
}
function digits3(value: number): string {
  const magnitude = Math.abs(value);
  return value.toFixed(magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2);
}

/** An instant of virtual time: 12.345 678 s. */
export function formatInstant(ns: number): string {
  const micros = Math.floor(ns / 1000);
  const seconds = Math.floor(micros / 1e6);
  const rest = String(micros - seconds * 1e6).padStart(6, '0');
  return `${formatCount(seconds)}.${rest.slice(0, 3)}${NARROW}${rest.slice(3)}${NARROW}s`;
}

export function formatAgo(fromMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - fromMs) / 1000));
  if (seconds < 60) return `${seconds}${NARROW}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${NARROW}min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}${NARROW}h ago`;
  return new Date(fromMs).toISOString().slice(0, 10);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${Math.round(count) === 1 ? one : many}`;
}

/** "256M", "1 GiB", "300" (MiB) to bytes; undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*$/i.exec(text);
  if (match === null) return undefined;
  const power = ['k', 'm', 'g', 't'].indexOf((match[2] ?? '').toLowerCase()) + 1 || 2;
  return Math.round(Number(match[1]) * 1024 ** power);
}

/** Rows as CSV with CRLF lines (RFC 4180). */
export function toCsv(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cell = (value: string | number) => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}
