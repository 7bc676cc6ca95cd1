/** What a dictionary's name may repeat of what is known of it. */
export interface NamedMember {
  readonly name: string;
  readonly model_name: string;
  readonly hook_name: string;
  readonly seed: number | null;
}

/**
 * What dictionaries are called where there is little room: a sweep writes model, hook and seed into every name, and those
 * that all dictionaries share tell none from the others. The names themselves where shorter ones would not differ.
 */
export function memberLabels(members: readonly NamedMember[]): readonly string[] {
  const isShared = (key: 'model_name' | 'hook_name' | 'seed') =>
    new Set(members.map((member) => member[key])).size === 1;
  const shared = { model: isShared('model_name'), hook: isShared('hook_name'), seed: isShared('seed') };
  const labels = members.map(({ name, model_name, hook_name, seed }) => {
    let label = name;
    if (shared.model) label = without(label, `${model_name}_`, 'startsWith');
    if (shared.hook) label = without(label, `${hook_name}_`, 'startsWith');
    return shared.seed ? without(label, `_seed-${seed}`, 'endsWith') : label;
  });
  return new Set(labels).size === labels.length ? labels : members.map(({ name }) => name);
}

function without(text: string, part: string, at: 'startsWith' | 'endsWith'): string {
  if (!text[at](part) || text.length === part.length) return text;
  return at === 'startsWith' ? text.slice(part.length) : text.slice(0, -part.length);
}
