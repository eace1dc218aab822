// Types of the functions in a machine's function table, and its layout.

import { ENTRIES } from '../layout.ts';
import type { Signature } from './wasm.ts';

/** Handlers: context, record → EXIT. */
export const HANDLER_SIGNATURE: Signature = { parameters: ['i32', 'i32'], results: ['i32'] };
/** Compiled regions: context, base (address of the region's page), remaining instructions, depth of calls, number of the entry → EXIT. */
export const REGION_SIGNATURE: Signature = {
  parameters: ['i32', 'i64', 'i32', 'i32', 'i32'],
  results: ['i32'],
};

/** Handlers come first, then compiled regions by the number of their entry cell. */
export const FIRST_ENTRY = 32_768;
export const TABLE_SIZE = FIRST_ENTRY + ENTRIES;
