/**
 * Monaco, loaded when the first file opens: the editor's core and the languages that a guest has, without
 * the TypeScript, CSS, HTML and JSON services. Its worker is bundled with us.
 */
import type * as MonacoModule from 'monaco-editor/editor/editor.api.js';
import { watch } from 'vue';
import { palette } from '../design/palette.ts';

export type Monaco = typeof MonacoModule;
export type TextModel = MonacoModule.editor.ITextModel;
export type CodeEditor = MonacoModule.editor.IStandaloneCodeEditor;

const LANGUAGES: readonly (readonly [RegExp, string])[] = [
  [/\.(c|h)$/, 'c'],
  [/\.(cc|cpp|cxx|hpp)$/, 'cpp'],
  [/\.(s|S|asm)$/, 'x86-assembly'],
  [/\.(sh|bash|profile)$|\/\.?profile$|\/etc\/(init\.d|rc\S*)\/|\.rc$/, 'shell'],
  [/\.py$/, 'python'],
  [/\.(ini|conf|cfg)$/, 'ini'],
  [/\.md$/, 'markdown'],
];
export function languageOf(path: string): string {
  return LANGUAGES.find(([pattern]) => pattern.test(path))?.[1] ?? 'plaintext';
}

let loading: Promise<Monaco> | undefined;
export function loadMonaco(): Promise<Monaco> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Monaco> {
  const [{ monaco }, { default: EditorWorker }] = await Promise.all([
    import('./monaco-parts.ts'),
    import('monaco-editor/editor/editor.worker.js?worker'),
  ]);
  Object.assign(globalThis, { MonacoEnvironment: { getWorker: () => new EditorWorker() } });
  registerAssembly(monaco);
  watch(palette, () => useTheme(monaco), { immediate: true });
  return monaco;
}

function useTheme(monaco: Monaco): void {
  const { dark, colour } = palette.value;
  monaco.editor.defineTheme('ringside', {
    base: dark ? 'vs-dark' : 'vs',
    inherit: true,
    rules: [],
    colors: {
      'editor.background': colour.ground,
      'editor.foreground': colour.text,
      'editorLineNumber.foreground': colour['text-soft'],
      'editorLineNumber.activeForeground': colour.text,
      'editorGutter.background': colour.ground,
      'editorWidget.background': colour['ground-low'],
      'editor.lineHighlightBorder': colour['ground-lower'],
      focusBorder: colour.accent,
    },
  });
  monaco.editor.setTheme('ringside');
}

/** GNU assembler, AT&T syntax: enough to read by. */
function registerAssembly(monaco: Monaco): void {
  monaco.languages.register({ id: 'x86-assembly', extensions: ['.s', '.S'] });
  monaco.languages.setLanguageConfiguration('x86-assembly', {
    comments: { lineComment: '#', blockComment: ['/*', '*/'] },
  });
  monaco.languages.setMonarchTokensProvider('x86-assembly', {
    tokenizer: {
      root: [
        [/#.*$|\/\/.*$/, 'comment'],
        [/\/\*/, 'comment', '@comment'],
        [/"([^"\\]|\\.)*"/, 'string'],
        [/^\s*[\w.$]+:/, 'type'],
        [/\.[a-z_]\w*/, 'keyword'],
        [/%[a-z]+\d*[a-z]*/, 'variable'],
        [/\$?-?(0x[\da-fA-F]+|\d+)/, 'number'],
        [/\b[a-z]\w*\b/, 'keyword.instruction'],
      ],
      comment: [
        [/\*\//, 'comment', '@pop'],
        [/./, 'comment'],
      ],
    },
  });
}
