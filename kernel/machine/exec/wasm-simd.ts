// The SIMD half of the expression writer: same style as wasm.ts, all of WebAssembly's fixed-width SIMD (prefix 0xFD).

import type { Code } from './wasm.ts';
import { unsignedLeb } from './wasm.ts';

const OPCODES: readonly Code[] = Array.from({ length: 256 }, (_unused, opcode) => [
  0xfd,
  unsignedLeb(opcode),
]);
const op = (opcode: number): Code => OPCODES[opcode] ?? [0xfd, unsignedLeb(opcode)];
const unary = (opcode: number) => (a: Code): Code => [a, op(opcode)]; // prettier-ignore
const binary = (opcode: number) => (a: Code, b: Code): Code => [a, b, op(opcode)]; // prettier-ignore
const ternary = (opcode: number) => (a: Code, b: Code, c: Code): Code => [a, b, c, op(opcode)]; // prettier-ignore
const extract = (opcode: number) => (a: Code, lane: number): Code => [a, op(opcode), lane]; // prettier-ignore
const replace = (opcode: number) => (a: Code, lane: number, value: Code): Code => [a, value, op(opcode), lane]; // prettier-ignore
const load = (opcode: number) => (address: Code, offset = 0): Code => [address, op(opcode), 0, unsignedLeb(offset)]; // prettier-ignore
const store = (opcode: number) => (address: Code, value: Code, offset = 0): Code => [address, value, op(opcode), 0, unsignedLeb(offset)]; // prettier-ignore

function constantOf(low: bigint, high: bigint): Code {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt.asUintN(64, low), true);
  view.setBigUint64(8, BigInt.asUintN(64, high), true);
  return [op(12), ...new Uint8Array(view.buffer)];
}

export const v128 = {
  /** From two 64-bit halves. */
  const: (low: bigint, high: bigint): Code => constantOf(low, high),
  load: load(0), load8x8_s: load(1), load8x8_u: load(2), load16x4_s: load(3), load16x4_u: load(4),
  load32x2_s: load(5), load32x2_u: load(6), load8_splat: load(7), load16_splat: load(8),
  load32_splat: load(9), load64_splat: load(10), store: store(11), load32_zero: load(92),
  load64_zero: load(93), not: unary(77), and: binary(78), andnot: binary(79), or: binary(80),
  xor: binary(81), bitselect: ternary(82), any_true: unary(83),
} as const; // prettier-ignore

export const i8x16 = {
  /** Bytes of a (0 to 15) and b (16 to 31). */
  shuffle: (a: Code, b: Code, lanes: readonly number[]): Code => [a, b, op(13), ...lanes],
  swizzle: binary(14), splat: unary(15), extract_lane_s: extract(21), extract_lane_u: extract(22),
  replace_lane: replace(23), abs: unary(96), neg: unary(97), popcnt: unary(98), all_true: unary(99),
  bitmask: unary(100), narrow_i16x8_s: binary(101), narrow_i16x8_u: binary(102), shl: binary(107),
  shr_s: binary(108), shr_u: binary(109), add: binary(110), add_sat_s: binary(111), add_sat_u: binary(112),
  sub: binary(113), sub_sat_s: binary(114), sub_sat_u: binary(115), min_s: binary(118), min_u: binary(119),
  max_s: binary(120), max_u: binary(121), avgr_u: binary(123), eq: binary(35), ne: binary(36),
  lt_s: binary(37), lt_u: binary(38), gt_s: binary(39), gt_u: binary(40), le_s: binary(41), le_u: binary(42),
  ge_s: binary(43), ge_u: binary(44),
} as const; // prettier-ignore

export const i16x8 = {
  splat: unary(16), extract_lane_s: extract(24), extract_lane_u: extract(25), replace_lane: replace(26),
  extadd_pairwise_i8x16_s: unary(124), extadd_pairwise_i8x16_u: unary(125), abs: unary(128), neg: unary(129),
  q15mulr_sat_s: binary(130), all_true: unary(131), bitmask: unary(132), narrow_i32x4_s: binary(133),
  narrow_i32x4_u: binary(134), extend_low_i8x16_s: unary(135), extend_high_i8x16_s: unary(136),
  extend_low_i8x16_u: unary(137), extend_high_i8x16_u: unary(138), shl: binary(139), shr_s: binary(140),
  shr_u: binary(141), add: binary(142), add_sat_s: binary(143), add_sat_u: binary(144), sub: binary(145),
  sub_sat_s: binary(146), sub_sat_u: binary(147), mul: binary(149), min_s: binary(150), min_u: binary(151),
  max_s: binary(152), max_u: binary(153), avgr_u: binary(155), extmul_low_i8x16_s: binary(156),
  extmul_high_i8x16_s: binary(157), extmul_low_i8x16_u: binary(158), extmul_high_i8x16_u: binary(159),
  eq: binary(45), ne: binary(46), lt_s: binary(47), lt_u: binary(48), gt_s: binary(49), gt_u: binary(50),
  le_s: binary(51), le_u: binary(52), ge_s: binary(53), ge_u: binary(54),
} as const; // prettier-ignore

export const i32x4 = {
  splat: unary(17), extract_lane: extract(27), replace_lane: replace(28),
  extadd_pairwise_i16x8_s: unary(126), extadd_pairwise_i16x8_u: unary(127), abs: unary(160), neg: unary(161),
  all_true: unary(163), bitmask: unary(164), extend_low_i16x8_s: unary(167), extend_high_i16x8_s: unary(168),
  extend_low_i16x8_u: unary(169), extend_high_i16x8_u: unary(170), shl: binary(171), shr_s: binary(172),
  shr_u: binary(173), add: binary(174), sub: binary(177), mul: binary(181), min_s: binary(182),
  min_u: binary(183), max_s: binary(184), max_u: binary(185), dot_i16x8_s: binary(186),
  extmul_low_i16x8_s: binary(188), extmul_high_i16x8_s: binary(189), extmul_low_i16x8_u: binary(190),
  extmul_high_i16x8_u: binary(191), trunc_sat_f32x4_s: unary(248), trunc_sat_f32x4_u: unary(249),
  trunc_sat_f64x2_s_zero: unary(252), trunc_sat_f64x2_u_zero: unary(253), eq: binary(55), ne: binary(56),
  lt_s: binary(57), lt_u: binary(58), gt_s: binary(59), gt_u: binary(60), le_s: binary(61), le_u: binary(62),
  ge_s: binary(63), ge_u: binary(64),
} as const; // prettier-ignore

export const i64x2 = {
  splat: unary(18), extract_lane: extract(29), replace_lane: replace(30), abs: unary(192), neg: unary(193),
  all_true: unary(195), bitmask: unary(196), extend_low_i32x4_s: unary(199), extend_high_i32x4_s: unary(200),
  extend_low_i32x4_u: unary(201), extend_high_i32x4_u: unary(202), shl: binary(203), shr_s: binary(204),
  shr_u: binary(205), add: binary(206), sub: binary(209), mul: binary(213), eq: binary(214), ne: binary(215),
  lt_s: binary(216), gt_s: binary(217), le_s: binary(218), ge_s: binary(219),
  extmul_low_i32x4_s: binary(220), extmul_high_i32x4_s: binary(221), extmul_low_i32x4_u: binary(222),
  extmul_high_i32x4_u: binary(223),
} as const; // prettier-ignore

export const f32x4 = {
  splat: unary(19), extract_lane: extract(31), replace_lane: replace(32), demote_f64x2_zero: unary(94),
  ceil: unary(103), floor: unary(104), trunc: unary(105), nearest: unary(106), abs: unary(224),
  neg: unary(225), sqrt: unary(227), add: binary(228), sub: binary(229), mul: binary(230), div: binary(231),
  min: binary(232), max: binary(233), pmin: binary(234), pmax: binary(235), convert_i32x4_s: unary(250),
  convert_i32x4_u: unary(251), eq: binary(65), ne: binary(66), lt: binary(67), gt: binary(68),
  le: binary(69), ge: binary(70),
} as const; // prettier-ignore

export const f64x2 = {
  splat: unary(20), extract_lane: extract(33), replace_lane: replace(34), promote_low_f32x4: unary(95),
  ceil: unary(116), floor: unary(117), trunc: unary(122), nearest: unary(148), abs: unary(236),
  neg: unary(237), sqrt: unary(239), add: binary(240), sub: binary(241), mul: binary(242), div: binary(243),
  min: binary(244), max: binary(245), pmin: binary(246), pmax: binary(247), convert_low_i32x4_s: unary(254),
  convert_low_i32x4_u: unary(255), eq: binary(71), ne: binary(72), lt: binary(73), gt: binary(74),
  le: binary(75), ge: binary(76),
} as const; // prettier-ignore
