// Where no packaging can run, the configuration is held against electron-builder's own schema.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const schemaPath = createRequire(import.meta.url).resolve('app-builder-lib/scheme.json');
const readJson = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

const validate = new Ajv({ strict: false, allErrors: true }).compile(readJson(schemaPath));

it('packages for Linux, macOS and Windows as the schema allows', () => {
  const config = readJson(join(root, 'electron-builder.json'));
  expect(validate(config), JSON.stringify(validate.errors, null, 1)).toBe(true);
  expect(Object.keys(config)).toEqual(expect.arrayContaining(['linux', 'mac', 'win']));
});

it('notices a configuration that is wrong', () => {
  expect(validate({ linux: { target: 17 } })).toBe(false);
});
