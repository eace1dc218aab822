// Which vector registers a loop takes for granted to hold numbers that are not denormal: those whose value of the turn
// before is an operand of floating point in every turn (that ends at the same jump back). Each way into the loop checks what is not known there
// (function.ts), so this is a matter of speed only.

import { CONTEXT } from '../layout.ts';
import type { NumberBits } from './float-facts.ts';
import type { FlowGraph, FlowNode } from './graph.ts';
import type { Instruction, Region } from './region.ts';

export interface AssumedRegister {
  readonly number: number;
  readonly bits: NumberBits;
  readonly vector: boolean;
}

const ARITHMETIC = /^(?:add|sub|mul|div|min|max|sqrt|cmp|u?comi|addsub|hadd|hsub)([sp])([sd])$/;
const CONVERSION = /^cvtt?([sp])([sd])2/;

function floatOf(instruction: Instruction): Omit<AssumedRegister, 'number'> | undefined {
  const { mnemonic } = instruction.entry.instruction;
  const found = ARITHMETIC.exec(mnemonic) ?? CONVERSION.exec(mnemonic);
  return found === null ? undefined : { bits: found[2] === 'd' ? 64 : 32, vector: found[1] === 'p' };
}

/** Numbers of the vector registers that are operands, the target first. */
function registersOf({ entry, decoded, variant }: Instruction): (number | undefined)[] {
  return entry.operands.map((operand) => {
    const isMemory = operand.kind === 'modrm' && variant.addressing !== 'none';
    if (operand.register !== 'xmm' || isMemory) return undefined;
    return ((operand.field === 'reg' ? decoded.reg : decoded.rm) - CONTEXT.xmm) >> 4;
  });
}

/** For each jump back, the blocks that are executed before it in every turn that ends there, in this order. */
function turns(graph: FlowGraph, header: FlowNode): FlowNode[][] {
  const latches = [...graph.values()].filter((node) => node.order >= header.order && node.successors.has(header.at)); // prettier-ignore
  return latches.map((latch) => {
    const turn: FlowNode[] = [];
    for (let node: FlowNode | undefined = latch; node !== undefined; node = graph.get(node.dominator)) {
      turn.unshift(node);
      if (node === header) break;
    }
    return turn;
  });
}

function assumedBy(region: Region, graph: FlowGraph, header: FlowNode): AssumedRegister[] | undefined {
  const assumed = new Map<string, AssumedRegister>();
  let isFloat = false;
  for (const turn of turns(graph, header)) {
    const origin = Array.from({ length: 16 }, (_unused, i) => i);
    for (const instruction of turn.flatMap(({ at }) => region.blocks.get(at)?.instructions ?? [])) {
      const { mnemonic } = instruction.entry.instruction;
      const [target, source] = registersOf(instruction);
      const float = floatOf(instruction);
      if (float !== undefined) {
        isFloat = true;
        const onlySource = mnemonic.startsWith('sqrt') || mnemonic.startsWith('cvt');
        for (const register of onlySource ? [source] : [target, source]) {
          const number = register === undefined ? -1 : (origin[register] ?? -1);
          if (number >= 0) assumed.set(`${number} ${float.bits} ${float.vector}`, { number, ...float });
        }
      }
      if (target === undefined || mnemonic.includes('comis')) continue;
      const isCopy = /^mov(?:ap|up|dq|s)[sdau]$/.test(mnemonic) && source !== undefined;
      origin[target] = isCopy ? (origin[source] ?? -1) : -1;
    }
  }
  return isFloat ? [...assumed.values()] : undefined;
}

/** By the headers of loops in which there is floating point. */
export function loopFacts(region: Region, graph: FlowGraph): Map<number, readonly AssumedRegister[]> {
  const facts = new Map<number, readonly AssumedRegister[]>();
  for (const node of graph.values()) {
    const assumed = node.isLoopHeader ? assumedBy(region, graph, node) : undefined;
    if (assumed !== undefined) facts.set(node.at, assumed);
  }
  return facts;
}
