import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../testing/collect.ts';
import { fixture } from '../testing/fixtures.ts';
import { ChatTemplate, type RenderedChat } from './chat-template.ts';
import { toDocuments } from './document.ts';
import { type Message, messagesOf } from './messages.ts';
import { packContexts } from './pack-contexts.ts';
import { readDocuments } from './read-documents.ts';
import { Tokenizer } from './tokenizer.ts';

const folder = mkdtempSync(join(tmpdir(), 'chats-'));
after(() => rmSync(folder, { recursive: true }));
const write = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
let number = 0;
const template = (source: string) => ChatTemplate.open(write(`${number++}.jinja`, source));
const said = ({ text, roles }: RenderedChat) =>
  roles.map(({ role, start, end }) => [role, text.slice(start, end)]);

const TURNS = `{% for m in messages %}<|{{ m.role }}|>
{{ m.content | trim }}<|end|>
{% endfor %}`;
const CHAT = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: '  How many?\n\nSay it.  ' },
  { role: 'assistant', content: 'Seven 𝒳 naïve.\n' },
];

test('a conversation as text, and who says what in it', () => {
  const rendered = template(TURNS).render(CHAT);
  assert.equal(
    rendered.text,
    '<|system|>\nBe brief.<|end|>\n<|user|>\nHow many?\n\nSay it.<|end|>\n<|assistant|>\nSeven 𝒳 naïve.<|end|>\n',
  );
  assert.deepEqual(said(rendered), [
    ['system', 'Be brief.'],
    ['user', 'How many?\n\nSay it.'],
    ['assistant', 'Seven 𝒳 naïve.'],
  ]);
});

const goldens = JSON.parse(readFileSync(fixture('chats/expected.json'), 'utf8')) as {
  tokens: Record<string, string>;
  chats: Record<string, Message[]>;
  expected: Record<string, Record<string, { text?: string; refused?: string }>>;
};
for (const [name, chats] of Object.entries(goldens.expected)) {
  test(`${name}: conversations are the texts that transformers makes of them`, () => {
    const place = mkdtempSync(join(folder, 'golden-'));
    writeFileSync(join(place, 'tokenizer_config.json'), JSON.stringify(goldens.tokens));
    copyFileSync(fixture('chats', `${name}.jinja`), join(place, 'chat_template.jinja'));
    const found = ChatTemplate.find(place);
    for (const [chat, { text, refused }] of Object.entries(chats)) {
      if (text === undefined) {
        const told = refused === 'error' ? {} : { message: new RegExp(refused!.slice(0, 40)) };
        assert.throws(() => found.render(goldens.chats[chat]), { code: 'ERR_CHAT_TEMPLATE', ...told });
        continue;
      }
      const rendered = found.render(goldens.chats[chat]);
      assert.equal(rendered.text, text, chat);
      const roles = new Set(goldens.chats[chat].map(({ role }) => role));
      assert.deepEqual(new Set(rendered.roles.map(({ role }) => role)), roles, chat);
    }
  });
}

test('messages that a template joins, moves, cuts or leaves out keep their places', () => {
  const moved = template(
    `{% for m in messages %}{% if m.role == 'user' %}[{{ messages[0].content }}
{{ m.content }}]{% elif m.role == 'assistant' %}{{ m.content.split('</think>')[-1].lstrip('\\n') }};{% endif %}{% endfor %}`,
  );
  const chat = [
    ...CHAT.slice(0, 2),
    { role: 'assistant', content: '<think>\nIt was seven.\n</think>\n\nSeven\nof them.' },
  ];
  const rendered = moved.render(chat);
  assert.equal(rendered.text, '[Be brief.\n  How many?\n\nSay it.  ]Seven\nof them.;');
  assert.deepEqual(said(rendered), [
    ['system', 'Be brief.'],
    ['user', 'How many?\n\nSay it.'],
    ['assistant', 'Seven\nof them.'],
  ]);
});

test('parts of a message and thoughts in a field of their own', () => {
  const parts = template(
    '{% for m in messages %}{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{% for p in m.content %}{{ p.text }}|{% endfor %}{% endfor %}',
  );
  const rendered = parts.render([
    {
      role: 'user',
      content: [{ type: 'text', text: 'One' }, { type: 'image' }, { type: 'text', text: 'two' }],
    },
    { role: 'assistant', content: [{ type: 'text', text: 'Yes' }], reasoning_content: 'Hm.' },
  ]);
  assert.equal(rendered.text, 'One||two|(Hm.)Yes|');
  assert.deepEqual(said(rendered), [
    ['user', 'One||two'],
    ['assistant', 'Hm.)Yes'],
  ]);
});

test('names of tokens come from the configuration, the date is always the same', () => {
  const config = {
    bos_token: { content: '<s>' },
    eos_token: '</s>',
    chat_template: [
      { name: 'tools', template: 'no' },
      {
        name: 'default',
        template: "{{ bos_token }}{{ strftime_now('%d %b %Y') }} {{ messages[0].content }}{{ eos_token }}",
      },
    ],
  };
  write('tokenizer_config.json', JSON.stringify(config));
  assert.equal(ChatTemplate.find(folder).render(CHAT).text, '<s>26 Jul 2024 Be brief.</s>');
  assert.equal(template('{{ bos_token }}').render(CHAT).text, '<s>', 'a template beside the configuration');
  write('chat_template.jinja', '{{ messages[1].content }}');
  assert.equal(ChatTemplate.find(folder).render(CHAT).text, CHAT[1].content);
});

test('what cannot be rendered is said in a line', () => {
  const refused = { code: 'ERR_CHAT_TEMPLATE', message: /refuses a conversation: no system here\. / };
  assert.throws(() => template("{{ raise_exception('no system here') }}").render(CHAT), refused);
  assert.throws(() => template('{% for i in range(9999999) %}{% endfor %}').render(CHAT), {
    message: /a range of more than 100000/,
  });
  assert.equal(
    template('{% for i in range(5, 1, -2) %}{{ i }}{% endfor %}{{ range(3) | length }}').render(CHAT).text,
    '533',
  );
  const broken = { code: 'ERR_CHAT_TEMPLATE', message: /is no template/ };
  assert.throws(() => template('{% for m in %}'), broken);
  const changing = { code: 'ERR_CHAT_TEMPLATE', message: /changes what the messages say/ };
  assert.throws(() => template('{{ messages[1].content | length }}').render(CHAT), changing);
  const none = {
    code: 'ERR_CHAT_TEMPLATE',
    message: /neither chat_template\.jinja nor tokenizer_config\.json/,
  };
  assert.throws(() => ChatTemplate.find(join(folder, 'nowhere')), none);
  const empty = { code: 'ERR_CHAT_TEMPLATE', message: /has no "chat_template"/ };
  assert.throws(() => ChatTemplate.open(write('empty.json', '{}')), empty);
});

test('conversations as data sets hold them', () => {
  const shareGpt = [
    { from: 'human', value: 'Hi' },
    { from: 'gpt', value: 'Ho', weight: 1 },
    { from: 'tool', value: '' },
  ];
  assert.deepEqual(messagesOf(shareGpt), [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Ho', weight: 1 },
    { role: 'tool', content: '' },
  ]);
  assert.equal(messagesOf(CHAT)?.length, 3);
  for (const none of [undefined, 'text', [], [1], [{ role: 1 }], [{ from: 'gpt' }]])
    assert.equal(messagesOf(none), undefined);
});

test('the pieces of a long conversation have their part of the roles', () => {
  const long = template(TURNS).render([
    { role: 'user', content: 'word '.repeat(5000) },
    { role: 'assistant', content: 'answer '.repeat(3000) },
  ]);
  const pieces = toDocuments('chats', 'a', long.text, long.roles);
  assert.ok(pieces.length > 2);
  const words = pieces.flatMap(({ text, roles }) =>
    roles!.flatMap(({ role, start, end }) =>
      text
        .slice(start, end)
        .split(' ')
        .filter(Boolean)
        .map((word) => `${role} ${word}`),
    ),
  );
  assert.deepEqual([...new Set(words)], ['user word', 'assistant answer']);
  assert.equal(words.length, 8000);
});

test('files of conversations become tokens with roles, in contexts of either kind', async () => {
  const tokenizer = Tokenizer.open(
    fileURLToPath(new URL('../../../../models/one-layer-a/tokenizer.json', import.meta.url)),
  );
  const chatTemplate = () => template(`<|endoftext|>${TURNS}`);
  const lines = [
    JSON.stringify({ messages: CHAT }),
    JSON.stringify({ text: 'No conversation, but enough words for a context.' }),
    JSON.stringify({ conversations: [{ from: 'human', value: ' A question, then? ' }] }),
  ];
  const path = write('chats.jsonl', lines.join('\n'));
  const read = (options: object) => collect(readDocuments(path, 'chats', 'jsonl', options));
  const documents = await read({ chatTemplate });
  const options = { contextSize: 4, split: 'all', endDocument: 5 } as const;
  const set = await packContexts(documents, tokenizer, options);
  const { names, of } = set.roles!;
  assert.deepEqual(names, ['none', 'template', 'system', 'user', 'assistant']);
  const spoken = (role: string) =>
    tokenizer.decode(set.tokens.filter((_, i) => of[i] === names.indexOf(role)));
  assert.equal(spoken('system'), 'Be brief.');
  assert.equal(spoken('user'), 'How many?\n\nSay it.A question, then?');
  assert.equal(spoken('assistant'), 'Seven 𝒳 naïve.');
  assert.equal(
    spoken('none').replace(tokenizer.decode([5]), ''),
    '<|endoftext|>No conversation, but enough words for a context.',
  );
  assert.ok(spoken('template').startsWith('<|endoftext|><|system|>\n<|end|>'), 'the separator once');

  const byDocument = await packContexts(documents, tokenizer, {
    ...options,
    packing: 'documents',
    beginContext: 0,
  });
  assert.equal(byDocument.roles!.of.length, byDocument.tokens.length);
  byDocument.tokens.forEach((token, i) => {
    if (token === 0) assert.ok(byDocument.roles!.of[i] <= 1);
  });

  await assert.rejects(read({}), {
    code: 'ERR_CHAT_TEMPLATE',
    message: /chats\.jsonl line 1 is a conversation/,
  });
  const refusing = () => template("{{ raise_exception('no') }}");
  await assert.rejects(read({ chatTemplate: refusing }), {
    message: /chats\.jsonl line 1: .* refuses a conversation: no\./,
  });
});
