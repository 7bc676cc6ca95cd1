/** One turn of a conversation. Other keys are the template's to read. */
export type Message = { role: string; [key: string]: unknown };

/** Names of speakers in ShareGPT's form, and the roles that templates know. */
const SHARE_GPT_ROLES: Record<string, string> = {
  human: 'user',
  gpt: 'assistant',
  bing: 'assistant',
  chatgpt: 'assistant',
  bard: 'assistant',
};

/**
 * The turns of a conversation as data sets hold them: a list of `{ role, content, … }`, or ShareGPT's
 * `{ from, value, … }`, whose speakers `human` and `gpt` become `user` and `assistant`. Undefined for anything else.
 */
export function messagesOf(value: unknown): Message[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const messages = value.map(messageOf);
  return messages.every((message) => message !== undefined) ? messages : undefined;
}

function messageOf(turn: unknown): Message | undefined {
  if (typeof turn !== 'object' || turn === null) return undefined;
  const { role, from, value, ...others } = turn as Record<string, unknown>;
  if (typeof role === 'string') return turn as Message;
  if (typeof from !== 'string' || typeof value !== 'string') return undefined;
  const known = Object.hasOwn(SHARE_GPT_ROLES, from) ? SHARE_GPT_ROLES[from] : from;
  return { ...others, role: known, content: value };
}
