// Who may import whom (STYLE, "Who may import whom"). Only imports of values count: `import type` may point anywhere
// outside machine/. The list of exceptions is empty.
const KERNEL_ORDER = [
  'lib', 'abi', 'time', 'trace', 'sched', 'signal', 'mm', 'block', 'fs', 'tty', 'ipc', 'net', 'process', 'modules',
  'procfs', 'syscalls', 'trap', 'boot', 'observe',
]; // prettier-ignore

/** A folder of the kernel may import the folders before it in the order, itself, and the machine's door and board. */
const kernelRules = KERNEL_ORDER.map((folder, index) => ({
  name: `kernel-${folder}-points-down`,
  severity: 'error',
  from: { path: `^kernel/${folder}/`, pathNot: '\\.(test|sim|test-kernel)\\.' },
  to: { path: `^kernel/(${KERNEL_ORDER.slice(index + 1).join('|') || 'none'})/` },
}));

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '\\?worker$|^electron$' },
    },
    {
      name: 'kernel-imports-nothing-outside',
      severity: 'error',
      from: { path: '^kernel/', pathNot: '\\.(test|sim)\\.|test-kernel|/lockstep/|/bench/' },
      to: { pathNot: '^kernel/' },
    },
    {
      name: 'machine-knows-no-kernel',
      severity: 'error',
      from: { path: '^kernel/machine/', pathNot: '\\.(test|sim)\\.|/lockstep/' },
      to: { path: '^kernel/', pathNot: '^kernel/(machine|lib)/' },
    },
    {
      name: 'machine-through-its-door',
      severity: 'error',
      from: { path: '^kernel/', pathNot: '^kernel/machine/' },
      to: { path: '^kernel/machine/', pathNot: '^kernel/machine/(index|machine|devices/[^/]+)\\.ts$' },
    },
    ...kernelRules,
    {
      name: 'images-import-kernel-abi-only',
      severity: 'error',
      from: { path: '^images/' },
      to: { path: '^(kernel/(?!abi/|lib/)|electron/|renderer/|e2e/)' },
    },
    {
      name: 'protocol-imports-nothing',
      severity: 'error',
      from: { path: '^electron/protocol/', pathNot: '\\.test\\.' },
      to: { pathNot: '^electron/protocol/' },
    },
    {
      name: 'worker-and-cli',
      severity: 'error',
      from: { path: '^electron/(worker|cli)/', pathNot: '\\.(test|guest)\\.|/test-' },
      to: { path: '^(renderer/|e2e/|kernel/(?!index\\.ts|state\\.ts))' },
    },
    {
      name: 'shells-know-the-protocol-only',
      severity: 'error',
      from: { path: '^electron/(main|preload)/' },
      to: { path: '^(renderer/|e2e/|kernel/)' },
    },
    {
      name: 'renderer-knows-only-the-protocol',
      severity: 'error',
      from: { path: '^renderer/', pathNot: '^renderer/(testing|vite\\.config)' },
      to: { path: '^(kernel|images|e2e|electron/(?!protocol/))' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|node_modules)/' },
    tsConfig: { fileName: 'electron/tsconfig.json' },
    tsPreCompilationDeps: false,
    enhancedResolveOptions: {
      extensions: ['.ts', '.vue', '.mjs', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'module', 'node', 'default', 'types'],
    },
  },
};
