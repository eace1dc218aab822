// Strict, type-checked rules for all, the bans that keep the kernel pure, and Vue's rules for the renderer.
import vue from 'eslint-plugin-vue';
import tseslint from 'typescript-eslint';

const hostGlobals = [
  'Date',
  'console',
  'performance',
  'setTimeout',
  'setInterval',
  'process',
  'Buffer',
  'window',
  'document',
  'fetch',
];
/** Functions whose last bits differ between engines. */
const inexactMath = [
  'random',
  'sin',
  'cos',
  'tan',
  'exp',
  'expm1',
  'log',
  'log1p',
  'pow',
  'sinh',
  'cosh',
  'tanh',
  'atan2',
  'cbrt',
];

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'node_modules/',
      '**/*.cjs',
      '**/*.mjs',
      '**/*.js',
      '*.config.ts',
      'test-results/',
      'playwright-report/',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: [
          'kernel/tsconfig.json',
          'kernel/tsconfig.tests.json',
          'images/tsconfig.json',
          'electron/tsconfig.json',
          'renderer/tsconfig.json',
          'renderer/testing/tsconfig.json',
          'e2e/tsconfig.json',
        ],
        tsconfigRootDir: import.meta.dirname,
        extraFileExtensions: ['.vue'],
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/no-misused-promises': 'off',
      '@typescript-eslint/no-unsafe-unary-minus': 'off', // a Failure is a branded number
      '@typescript-eslint/unbound-method': 'off', // tables of functions: nothing here uses `this`
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
      ],
    },
  },
  {
    files: ['kernel/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.sim.test.ts', 'kernel/machine/lockstep/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...hostGlobals.map((name) => ({ name, message: 'The kernel knows no host.' })),
      ],
      'no-restricted-properties': [
        'error',
        ...inexactMath.map((property) => ({
          object: 'Math',
          property,
          message: 'Differs between engines, or is not seeded.',
        })),
      ],
    },
  },
  { files: ['**/*.config.ts', 'renderer/vite.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  ...vue.configs['flat/essential'].map((config) => ({ ...config, files: ['renderer/**/*.vue'] })),
  {
    files: ['renderer/**/*.vue'],
    languageOptions: { parserOptions: { parser: tseslint.parser } },
    rules: {
      'vue/multi-word-component-names': 'off',
    },
  },
);
