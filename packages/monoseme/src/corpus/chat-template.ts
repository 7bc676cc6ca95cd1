import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { MonosemeError } from '../errors.ts';
import type { RoleSpan } from './document.ts';
import type { Message } from './messages.ts';
import { readJson, readText } from './read-text.ts';

/** Longer lists than any template counts through. */
const MAX_RANGE = 100_000;

/** What templates may call and name beside their messages. */
const GLOBALS = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception(what: unknown) {
    throw new Error(String(what));
  },
  // A text is the same every day: this is the date that Llama 3 falls back to.
  strftime_now: () => '26 Jul 2024',
  range(from: number, to?: number, step = 1): number[] {
    const [start, end] = to === undefined ? [0, from] : [from, to];
    const length = Math.max(0, Math.ceil((end - start) / step));
    if (!(length <= MAX_RANGE)) throw new Error(`a range of more than ${MAX_RANGE}`);
    return Array.from({ length }, (_, i) => start + i * step);
  },
};

/** A text and whose words its parts are; what no span covers is the template's markup. */
export interface RenderedChat {
  readonly text: string;
  readonly roles: readonly RoleSpan[];
}

/**
 * The chat template of an instruction model: what makes one text of the turns of a conversation. A Jinja template, as
 * `apply_chat_template(messages, tokenize=False)` of Hugging Face's transformers runs it.
 */
export class ChatTemplate {
  readonly #path: string;
  readonly #template: Template;
  readonly #tokens: Readonly<Record<string, string>>;

  private constructor(path: string, source: string, tokens: Readonly<Record<string, string>>) {
    this.#path = path;
    this.#tokens = tokens;
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw unusable(path, `is no template: ${firstLine(cause)}`, cause);
    }
  }

  /**
   * The template of a `tokenizer_config.json`, or of any other file as it stands. The names of the special tokens are
   * those of the configuration, or of the one in the same folder.
   *
   * @throws {MonosemeError} ERR_CHAT_TEMPLATE, and as {@link readText} and {@link readJson}
   */
  static open(path: string): ChatTemplate {
    if (!path.endsWith('.json')) {
      const config = join(path, '..', 'tokenizer_config.json');
      return new ChatTemplate(
        path,
        readText(path),
        existsSync(config) ? specialTokens(readConfig(config)) : {},
      );
    }
    const config = readConfig(path);
    const source = templateOf(config);
    if (source === undefined) throw unusable(path, 'has no "chat_template"');
    return new ChatTemplate(path, source, specialTokens(config));
  }

  /**
   * The template in the folder of a model: `chat_template.jinja`, else the one in `tokenizer_config.json`.
   *
   * @throws {MonosemeError} ERR_CHAT_TEMPLATE when there is none, and as {@link open}
   */
  static find(folder: string): ChatTemplate {
    const path = ['chat_template.jinja', 'tokenizer_config.json']
      .map((name) => join(folder, name))
      .find(existsSync);
    if (path === undefined)
      throw unusable(folder, 'has neither chat_template.jinja nor tokenizer_config.json');
    return ChatTemplate.open(path);
  }

  /**
   * The text of a conversation, without the start of an answer to come, and the places of what each role says in it:
   * `content` and `reasoning_content` of a message, in UTF-16 code units, rising. Markup and what the template adds or
   * writes out anew (tools and their calls) is in no span.
   *
   * @throws {MonosemeError} ERR_CHAT_TEMPLATE when the template refuses the messages, or changes what they say so that
   *   its place is not known
   */
  render(messages: readonly Message[]): RenderedChat {
    const text = this.#run(messages);
    const marked = readMarks(this.#run(messages.map(mark)), messages);
    if (marked.text === text) return marked;
    throw unusable(this.#path, 'changes what the messages say, so that its place in the text is not known');
  }

  #run(messages: readonly Message[]): string {
    try {
      const environment = new Environment();
      const names = { ...GLOBALS, ...this.#tokens, messages, add_generation_prompt: false };
      for (const [name, value] of Object.entries(names)) environment.set(name, value);
      return (new Interpreter(environment).run(this.#template.parsed) as { value: string }).value;
    } catch (cause) {
      throw unusable(this.#path, `refuses a conversation: ${firstLine(cause)}`, cause);
    }
  }
}

/** Noncharacters of Unicode, which no text holds, around what a message says: its number between the first two. */
const OPEN = '\ufdd0';
const NUMBERED = '\ufdd1';
const CLOSE = '\ufdd2';
const MARKS = new RegExp(`${OPEN}(\\d+)${NUMBERED}|${CLOSE}`, 'g');
/** Templates cut messages at lines and around thoughts; each part has marks of its own. */
const CUTS = /(\n+|<\/?think>)/;

function mark(message: Message, number: number): Message {
  const marked = { ...message };
  for (const key of ['content', 'reasoning_content']) {
    const said = message[key];
    if (typeof said === 'string') marked[key] = markText(said, number);
    if (Array.isArray(said)) marked[key] = said.map((part) => markPart(part, number));
  }
  return marked;
}

function markPart(part: unknown, number: number): unknown {
  if (typeof part !== 'object' || part === null || !('text' in part)) return part;
  return typeof part.text === 'string' ? { ...part, text: markText(part.text, number) } : part;
}

/** The white space around a part stays outside, where templates look for it to trim. */
function markText(text: string, number: number): string {
  return text
    .split(CUTS)
    .map((part, i) =>
      i % 2 === 1 || part.trim() === ''
        ? part
        : part.replace(part.trim(), (said) => `${OPEN}${number}${NUMBERED}${said}${CLOSE}`),
    )
    .join('');
}

/** Take the marks out of a text. What lies between two parts of one message is the message's too. */
function readMarks(marked: string, messages: readonly Message[]): RenderedChat {
  const spans: { number: number; start: number; end: number }[] = [];
  let text = '';
  let from = 0;
  let open: { number: number; start: number } | undefined;
  for (const match of marked.matchAll(MARKS)) {
    text += marked.slice(from, match.index);
    from = match.index + match[0].length;
    if (match[1] !== undefined) {
      open = { number: Number(match[1]), start: text.length };
      continue;
    }
    const last = spans.at(-1);
    if (open && last?.number === open.number) last.end = text.length;
    else if (open) spans.push({ ...open, end: text.length });
    open = undefined;
  }
  text += marked.slice(from);
  return {
    text,
    roles: spans.map(({ number, start, end }) => ({ role: messages[number].role, start, end })),
  };
}

function readConfig(path: string): Record<string, unknown> {
  const config = readJson(path);
  if (typeof config === 'object' && config !== null) return config as Record<string, unknown>;
  throw unusable(path, 'is no JSON object');
}

/** One template, or of several by name the one called `default`. */
function templateOf({ chat_template: template }: Record<string, unknown>): string | undefined {
  const found: unknown = Array.isArray(template)
    ? (template as { name?: unknown; template?: unknown }[]).find((entry) => entry?.name === 'default')
        ?.template
    : template;
  return typeof found === 'string' ? found : undefined;
}

/** `bos_token` and its like: names, or objects that hold one. */
function specialTokens(config: Record<string, unknown>): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    if (!key.endsWith('_token')) continue;
    const name = typeof value === 'object' && value !== null && 'content' in value ? value.content : value;
    if (typeof name === 'string') tokens[key] = name;
  }
  return tokens;
}

function firstLine(cause: unknown): string {
  return (cause as Error).message.split('\n')[0].replace(/\.$/, '');
}

function unusable(path: string, what: string, cause?: unknown): MonosemeError {
  const advice = 'Name one that fits with --chat-template FILE.';
  return new MonosemeError('ERR_CHAT_TEMPLATE', `${path} ${what}.`, advice, { cause });
}
