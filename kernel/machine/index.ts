// The door of the machine. TO BE FILLED by the machine's author; the contract (signatures) is fixed here.
export * from './machine.ts';
