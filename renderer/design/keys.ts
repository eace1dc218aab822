/** Key chords as text, "Ctrl+Shift+P": parsed, matched and written for the platform. On a Mac, Ctrl in a chord is ⌘. */

export interface Chord {
  ctrl: boolean;
  shift: boolean;
  alt: boolean;
  key: string;
}
export interface KeyPress {
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
  readonly key: string;
  readonly code: string;
}

export const isMac = typeof navigator !== 'undefined' && /Mac/.test(navigator.userAgent);

export function parseChord(text: string): Chord | undefined {
  const parts = text.split('+');
  if (text.endsWith('++')) parts.splice(-2, 2, '+');
  const key = parts.pop();
  if (key === undefined || key === '') return undefined;
  const modifiers = new Set(parts.map((part) => part.toLowerCase()));
  const known = ['ctrl', 'shift', 'alt'];
  if ([...modifiers].some((modifier) => !known.includes(modifier))) return undefined;
  return {
    ctrl: modifiers.has('ctrl'),
    shift: modifiers.has('shift'),
    alt: modifiers.has('alt'),
    key: key.length === 1 ? key.toUpperCase() : key,
  };
}

/** What the press is called: letters and digits by their key, so that Shift and layouts do not matter. */
function keyOf(press: KeyPress): string {
  if (press.code === 'Backquote') return '`';
  if (/^Digit\d$/.test(press.code)) return press.code.slice(5);
  return press.key.length === 1 ? press.key.toUpperCase() : press.key;
}

export function matches(chord: Chord, press: KeyPress, mac = isMac): boolean {
  const main = mac ? press.metaKey : press.ctrlKey;
  return (
    main === chord.ctrl &&
    press.shiftKey === chord.shift &&
    press.altKey === chord.alt &&
    (mac || !press.metaKey) &&
    keyOf(press) === chord.key
  );
}

export function chordOf(press: KeyPress, mac = isMac): string | undefined {
  if (['Control', 'Shift', 'Alt', 'Meta'].includes(press.key)) return undefined;
  const main = mac ? press.metaKey : press.ctrlKey;
  return [main ? 'Ctrl' : '', press.shiftKey ? 'Shift' : '', press.altKey ? 'Alt' : '', keyOf(press)]
    .filter((part) => part !== '')
    .join('+');
}

export function writeChord(text: string, mac = isMac): string {
  if (!mac) return text;
  return text.replace('Ctrl+', '⌘').replace('Shift+', '⇧').replace('Alt+', '⌥');
}
