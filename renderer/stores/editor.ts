/**
 * Open documents: guest files as Monaco models, what is unsaved in them (kept across restarts), the
 * compiler's diagnostics, and Run. The models are the truth for text; this store knows about them.
 */
import { defineStore } from 'pinia';
import { computed, ref, shallowReactive, shallowRef, watch } from 'vue';
import type { Diagnostic } from '../../electron/protocol/reports.ts';
import { languageOf, loadMonaco } from '../components/monaco.ts';
import type { Monaco, TextModel } from '../components/monaco.ts';
import { protocol } from '../protocol-client.ts';
import { nameOf } from './files.ts';
import { useLogStore } from './log.ts';
import { useMachineStore } from './machine.ts';
import { useSettingsStore } from './settings.ts';
import { useTerminalsStore } from './terminals.ts';

export interface Document {
  readonly path: string;
  readonly model: TextModel;
  savedVersion: number;
  dirty: boolean;
}
const LARGEST_TEXT = 8 * 1024 * 1024;

export const useEditorStore = defineStore('editor', () => {
  const machine = useMachineStore();
  const terminals = useTerminalsStore();
  const settings = useSettingsStore();
  const log = useLogStore();
  const documents = shallowReactive(new Map<string, Document>());
  const active = ref<string | null>(null);
  const diagnostics = shallowRef<Diagnostic[]>([]);
  const running = ref<string | null>(null);
  const changes = ref(0);
  /** Where a pane shall put its cursor next. */
  const target = shallowRef<{ path: string; line: number; column: number } | null>(null);
  let drafts: Record<string, string> = {};
  let draftsReady: Promise<void> = Promise.resolve();
  const outcomes = new Map<string, string>();
  const opening = new Map<string, Promise<Document | undefined>>();

  const draftKey = () => `drafts:${machine.current ?? ''}`;
  watch(
    () => machine.current,
    (current) => {
      for (const document of documents.values()) document.model.dispose();
      documents.clear();
      opening.clear();
      active.value = null;
      diagnostics.value = [];
      drafts = {};
      if (current !== null) draftsReady = settings.load(draftKey()).then(takeDrafts, () => undefined);
    },
    { immediate: true },
  );
  function takeDrafts(stored: unknown): void {
    if (typeof stored !== 'object' || stored === null) return;
    drafts = Object.fromEntries(Object.entries(stored).filter((entry) => typeof entry[1] === 'string'));
  }
  function keepDraft(document: Document): void {
    if (document.dirty) drafts[document.path] = document.model.getValue();
    else delete drafts[document.path];
    settings.save(draftKey(), Object.keys(drafts).length > 0 ? drafts : undefined);
  }

  function open(path: string): Promise<Document | undefined> {
    const known = documents.get(path);
    if (known !== undefined) return Promise.resolve(known);
    const waiting = opening.get(path) ?? log.attempt(`Opening ${nameOf(path)}`, () => read(path));
    opening.set(path, waiting);
    return waiting.finally(() => opening.delete(path));
  }

  async function read(path: string): Promise<Document | undefined> {
    const current = machine.current;
    if (current === null) return undefined;
    const [monaco, { bytes }] = await Promise.all([
      loadMonaco(),
      protocol.request('files.read', { machine: current, path }),
      draftsReady,
    ]);
    if (bytes.length > LARGEST_TEXT)
      throw new Error('it is larger than 8 MiB. Copy it to the host to look at it.');
    if (bytes.subarray(0, 8192).includes(0))
      throw new Error('it is not a text file. Copy it to the host to look at it.');
    if (machine.current !== current) return undefined;
    const uri = monaco.Uri.from({ scheme: 'guest', path });
    monaco.editor.getModel(uri)?.dispose();
    const model = monaco.editor.createModel(new TextDecoder().decode(bytes), languageOf(path), uri);
    const document: Document = { path, model, savedVersion: model.getAlternativeVersionId(), dirty: false };
    model.onDidChangeContent(() => noticeChange(document));
    documents.set(path, document);
    const draft = drafts[path];
    if (draft !== undefined && draft !== model.getValue()) {
      model.pushEditOperations(null, [{ range: model.getFullModelRange(), text: draft }], () => null);
    }
    showMarkers(monaco, document);
    return document;
  }

  function noticeChange(document: Document): void {
    document.dirty = document.model.getAlternativeVersionId() !== document.savedVersion;
    changes.value++;
    keepDraft(document);
  }
  function markSaved(path: string, version: number): void {
    const document = documents.get(path);
    if (document === undefined) return;
    document.savedVersion = version;
    document.dirty = document.model.getAlternativeVersionId() !== version;
    changes.value++;
    keepDraft(document);
  }

  async function save(path: string): Promise<boolean> {
    const [document, current] = [documents.get(path), machine.current];
    if (document === undefined || current === null) return false;
    const version = document.model.getAlternativeVersionId();
    const bytes = new TextEncoder().encode(document.model.getValue());
    const done = await log.attempt(`Saving ${nameOf(path)}`, () =>
      protocol.request('files.write', { machine: current, path, bytes }),
    );
    if (done !== undefined) markSaved(path, version);
    return done !== undefined;
  }
  async function saveAll(): Promise<void> {
    for (const document of documents.values()) if (document.dirty) await save(document.path);
  }

  function close(path: string): void {
    const document = documents.get(path);
    if (document === undefined) return;
    document.model.dispose();
    documents.delete(path);
    if (active.value === path) active.value = null;
  }
  /** Forgets what was typed since the last save. */
  function discard(path: string): void {
    delete drafts[path];
    settings.save(draftKey(), drafts);
    close(path);
  }

  /** Saves, compiles and starts the file's program; gives the terminal that it runs in. */
  async function run(path: string): Promise<string | undefined> {
    const [document, current] = [documents.get(path), machine.current];
    if (document === undefined || current === null || running.value !== null) return undefined;
    running.value = path;
    const version = document.model.getAlternativeVersionId();
    const last = outcomes.get(path);
    const ended = terminals.list.find((entry) => entry.terminal === last && entry.ended !== null);
    const answer = await log.attempt(`Running ${nameOf(path)}`, () =>
      protocol.request('program.run', {
        machine: current,
        path,
        text: document.model.getValue(),
        arguments: [],
        ...(ended === undefined ? {} : { terminal: ended.terminal }),
        ...terminals.size,
      }),
    );
    running.value = null;
    if (answer === undefined) return undefined;
    markSaved(path, version);
    diagnostics.value = answer.diagnostics;
    const monaco = await loadMonaco();
    for (const open of documents.values()) showMarkers(monaco, open);
    log.write(answer.started ? 'info' : 'error', 'run', `$ ${answer.command}`);
    for (const line of answer.compilerOutput.split('\n'))
      if (line !== '') log.write('info', 'compiler', line);
    if (answer.terminal === null) return undefined;
    terminals.take(answer.terminal);
    outcomes.set(path, answer.terminal.terminal);
    return answer.terminal.terminal;
  }

  function showMarkers(monaco: Monaco, document: Document): void {
    const severities = {
      error: monaco.MarkerSeverity.Error,
      warning: monaco.MarkerSeverity.Warning,
      note: monaco.MarkerSeverity.Info,
    };
    const markers = diagnostics.value
      .filter((diagnostic) => diagnostic.file === document.path)
      .map((diagnostic) => {
        const line = Math.min(Math.max(1, diagnostic.line), document.model.getLineCount());
        const first = document.model.getLineFirstNonWhitespaceColumn(line) || 1;
        const startColumn = diagnostic.column > 0 ? diagnostic.column : first;
        const word =
          diagnostic.column > 0
            ? document.model.getWordAtPosition({ lineNumber: line, column: startColumn })
            : null;
        const endColumn = word?.endColumn ?? document.model.getLineMaxColumn(line);
        return {
          severity: severities[diagnostic.severity],
          message: diagnostic.text,
          source: 'tcc',
          startLineNumber: line,
          endLineNumber: line,
          startColumn,
          endColumn: Math.max(endColumn, startColumn + 1),
        };
      });
    monaco.editor.setModelMarkers(document.model, 'compiler', markers);
  }

  function goTo(path: string, line: number, column: number): void {
    target.value = { path, line, column };
  }
  const dirtyPaths = computed(() => {
    if (changes.value < 0) return new Set<string>(); // documents are plain records, so that models are never made reactive
    return new Set(
      [...documents.values()].filter((document) => document.dirty).map((document) => document.path),
    );
  });
  const errorCount = computed(
    () => diagnostics.value.filter((diagnostic) => diagnostic.severity === 'error').length,
  );

  return {
    documents,
    active,
    diagnostics,
    running,
    target,
    dirtyPaths,
    errorCount,
    open,
    save,
    saveAll,
    close,
    discard,
    run,
    goTo,
  };
});
