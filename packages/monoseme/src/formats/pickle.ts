import { MonosemeError } from '../errors.ts';

/** What a pickle may name and call. Everything else is refused by its name. */
export interface PickleRules {
  /** Global name → what calling it gives; undefined for those that may be named and not called. */
  readonly globals: ReadonlyMap<string, ((args: readonly unknown[]) => unknown) | undefined>;
  /** What a persistent id stands for. */
  persistent(id: readonly unknown[]): unknown;
}

/** A global of a pickle, by its full name. */
export class PickleGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const MARK = Symbol('mark');

/** The opcodes of Python's `pickletools` that are not read, for the error that names one. */
const REFUSED: Readonly<Record<string, string>> = {
  ...{
    0: 'POP',
    1: 'POP_MARK',
    2: 'DUP',
    F: 'FLOAT',
    I: 'INT',
    L: 'LONG',
    P: 'PERSID',
    S: 'STRING',
    T: 'BINSTRING',
  },
  ...{
    U: 'SHORT_BINSTRING',
    V: 'UNICODE',
    a: 'APPEND',
    d: 'DICT',
    e: 'APPENDS',
    g: 'GET',
    i: 'INST',
    l: 'LIST',
  },
  ...{
    o: 'OBJ',
    p: 'PUT',
    ']': 'EMPTY_LIST',
    B: 'BINBYTES',
    C: 'SHORT_BINBYTES',
    '\x81': 'NEWOBJ',
    '\x82': 'EXT1',
  },
  ...{ '\x83': 'EXT2', '\x84': 'EXT4', '\x8b': 'LONG4', '\x8c': 'SHORT_BINUNICODE', '\x8d': 'BINUNICODE8' },
  ...{
    '\x8e': 'BINBYTES8',
    '\x8f': 'EMPTY_SET',
    '\x90': 'ADDITEMS',
    '\x91': 'FROZENSET',
    '\x92': 'NEWOBJ_EX',
  },
  ...{
    '\x93': 'STACK_GLOBAL',
    '\x94': 'MEMOIZE',
    '\x95': 'FRAME',
    '\x96': 'BYTEARRAY8',
    '\x97': 'NEXT_BUFFER',
  },
};

/**
 * Read a pickle of protocol 2 as data: numbers, strings, dictionaries (as `Map`), tuples (as arrays), and what the rules
 * make of the globals they know. Nothing of Python is run. Of the opcodes only those are read which `torch.save` writes
 * for a state dict; any other, or any other global, ends the reading with its name.
 *
 * @throws {MonosemeError} ERR_FORMAT
 */
export function parsePickle(bytes: Uint8Array, what: string, rules: PickleRules): unknown {
  return new PickleReader(bytes, what, rules).run();
}

function opcodeName(opcode: number): string {
  return REFUSED[String.fromCharCode(opcode)] ?? `0x${opcode.toString(16)}`;
}

class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  readonly #rules: PickleRules;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  #at = 0;

  constructor(bytes: Uint8Array, what: string, rules: PickleRules) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.#rules = rules;
  }

  run(): unknown {
    try {
      for (;;) {
        const opcode = this.#view.getUint8(this.#at++);
        if (opcode === 0x2e) return this.#pop();
        this.#step(opcode);
      }
    } catch (error) {
      if (error instanceof RangeError) throw this.#fail('it ends too soon');
      throw error;
    }
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (String.fromCharCode(opcode)) {
      case '\x80': // PROTO
        return this.#expectProtocol(this.#unsigned(1));
      case '}': // EMPTY_DICT
        return void stack.push(new Map());
      case ')': // EMPTY_TUPLE
        return void stack.push([]);
      case '(': // MARK
        return void stack.push(MARK);
      case 'N': // NONE
        return void stack.push(null);
      case '\x88': // NEWTRUE
        return void stack.push(true);
      case '\x89': // NEWFALSE
        return void stack.push(false);
      case 'K': // BININT1
        return void stack.push(this.#unsigned(1));
      case 'M': // BININT2
        return void stack.push(this.#unsigned(2));
      case 'J': // BININT
        return void stack.push(this.#unsigned(4) | 0);
      case '\x8a': // LONG1
        return void stack.push(this.#long(this.#unsigned(1)));
      case 'G': // BINFLOAT
        return void stack.push(this.#view.getFloat64(this.#skip(8)));
      case 'X': // BINUNICODE
        return void stack.push(this.#text(this.#unsigned(4)));
      case 'c': // GLOBAL
        return void stack.push(this.#global(`${this.#line()}.${this.#line()}`));
      case 'q': // BINPUT
        return void this.#memo.set(this.#unsigned(1), this.#top());
      case 'r': // LONG_BINPUT
        return void this.#memo.set(this.#unsigned(4), this.#top());
      case 'h': // BINGET
        return void stack.push(this.#remembered(this.#unsigned(1)));
      case 'j': // LONG_BINGET
        return void stack.push(this.#remembered(this.#unsigned(4)));
      case 't': // TUPLE
        return void stack.push(this.#popToMark());
      case '\x85': // TUPLE1
        return void stack.push([this.#pop()]);
      case '\x86': // TUPLE2
        return void stack.push([this.#pop(), this.#pop()].reverse());
      case '\x87': // TUPLE3
        return void stack.push([this.#pop(), this.#pop(), this.#pop()].reverse());
      case 's': // SETITEM
        return this.#setItems([this.#pop(), this.#pop()].reverse());
      case 'u': // SETITEMS
        return this.#setItems(this.#popToMark());
      case 'Q': // BINPERSID
        return void stack.push(this.#rules.persistent(this.#tuple(this.#pop())));
      case 'R': // REDUCE
        return this.#reduce(this.#tuple(this.#pop()), this.#pop());
      case 'b': // BUILD
        return this.#build();
      default:
        throw this.#fail(`it has the opcode ${opcodeName(opcode)} at byte ${this.#at - 1}`);
    }
  }

  #expectProtocol(version: number): void {
    if (version !== 2) throw this.#fail(`it is of protocol ${version}, not 2`);
  }

  #global(name: string): PickleGlobal {
    if (this.#rules.globals.has(name)) return new PickleGlobal(name);
    throw this.#fail(`it wants the global ${name.slice(0, 120)}`);
  }

  #reduce(args: readonly unknown[], callee: unknown): void {
    const call = callee instanceof PickleGlobal ? this.#rules.globals.get(callee.name) : undefined;
    if (!call) throw this.#fail(`it calls ${callee instanceof PickleGlobal ? callee.name : typeof callee}`);
    this.#stack.push(call(args));
  }

  /** An OrderedDict brings attributes of its own (versions of modules), which say nothing about its items. */
  #build(): void {
    this.#pop();
    if (!(this.#top() instanceof Map)) throw this.#fail('it sets the state of an object');
  }

  #setItems(pairs: readonly unknown[]): void {
    const target = this.#top();
    if (!(target instanceof Map) || pairs.length % 2 !== 0)
      throw this.#fail('it sets items of no dictionary');
    for (let i = 0; i < pairs.length; i += 2) target.set(pairs[i], pairs[i + 1]);
  }

  #tuple(value: unknown): readonly unknown[] {
    if (Array.isArray(value)) return value as unknown[];
    throw this.#fail('a tuple is missing');
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #top(): unknown {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw this.#fail('its stack is empty where a value is taken');
    return value;
  }

  #popToMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.#fail('a mark is missing');
    return this.#stack.splice(mark).slice(1);
  }

  #remembered(index: number): unknown {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#fail(`its memo has no ${index}`);
    return value;
  }

  #unsigned(width: 1 | 2 | 4): number {
    const at = this.#skip(width);
    if (width === 1) return this.#view.getUint8(at);
    return width === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  #long(width: number): number {
    if (width > 8) throw this.#fail(`it has a whole number of ${width} bytes`);
    let value = 0n;
    const at = this.#skip(width);
    for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#view.getUint8(at + i));
    return Number(BigInt.asIntN(8 * width, value));
  }

  #text(length: number): string {
    const at = this.#skip(length);
    return new TextDecoder().decode(this.#bytes.subarray(at, at + length));
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.#fail('it ends too soon');
    const text = this.#text(end - this.#at);
    this.#at++;
    return text;
  }

  /** The place of the next `length` bytes, which are passed over. */
  #skip(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw this.#fail('it ends too soon');
    this.#at += length;
    return at;
  }

  #fail(reason: string): MonosemeError {
    return new MonosemeError(
      'ERR_FORMAT',
      `${this.#what} cannot be read without running it: ${reason}.`,
      'Only a state dict as torch.save writes it is read; save the state_dict() of what it holds.',
    );
  }
}
