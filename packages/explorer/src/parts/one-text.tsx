import { createMemo, createSignal, Show } from 'solid-js';
import { count, figure, signed } from '../data/format.ts';
import type { LiveModel } from '../data/live.ts';
import { tokenLabel } from '../data/segments.ts';
import { type Ranking, type ReadText, strongestPlaces, type TokenFeature } from '../data/text-features.ts';
import { type EffectOf, textEffects } from '../data/text-effects.ts';
import { createLoad } from '../state/load.ts';
import { createProgress } from '../state/progress.ts';
import { keep, route } from '../state/route.ts';
import { ErrorLine } from './error-notice.tsx';
import { LiveProgress } from './live-progress.tsx';
import { LISTED, TextFeatureList } from './text-feature-list.tsx';
import { TokenFlow } from './token-flow.tsx';

/** A text with the features of the token that is chosen, or of all of it. */
export function OneText(props: {
  read: ReadText;
  live: LiveModel;
  ranking: Ranking;
  topToken: (latent: number) => string;
}) {
  const number = (name: string) => {
    const value = route().own[name];
    return value === undefined || value === '' ? undefined : Number(value);
  };
  const token = () => number('token');
  const [hovered, setHovered] = createSignal<number>();
  const colouring = () => hovered() ?? number('latent');
  const progress = createProgress();
  const effects = createLoad(
    () => [props.read, props.ranking === 'effect'] as const,
    async ([read, wanted]) => (wanted ? textEffects(props.live, read, progress.tell) : undefined),
  );
  const effectOf: EffectOf = (feature) => effects.value()?.(feature);
  const listed = createMemo(() => {
    const at = token();
    if (at === undefined) {
      const places = strongestPlaces(props.read, props.ranking === 'surprise' ? 'surprise' : 'activation');
      return props.ranking === 'effect' ? strongestEffects(props.read, effectOf) : places;
    }
    return ranked(props.read.features[at] ?? [], props.ranking, effectOf);
  });

  return (
    <div class="one-text">
      <div>
        <TokenFlow
          read={props.read}
          latent={colouring()}
          picked={token()}
          onPick={(at) => keep({ token: at === token() ? '' : String(at) })}
        />
        <Show when={props.read.encoded.n_left_out > 0}>
          <p class="faint">
            The first {count(props.read.encoded.tokens.length)} tokens are shown;{' '}
            {count(props.read.encoded.n_left_out)} more were left out.
          </p>
        </Show>
        <p class="faint hint">
          {colouring() === undefined
            ? 'Underlined by how surprising each token was to the model. Choose a token to see its features; point at a feature to see where it fires.'
            : `Coloured by the activation of feature ${colouring()}.`}
        </p>
      </div>
      <div class="found">
        <h2>
          {token() === undefined
            ? 'Features of the text'
            : `Features on ${tokenLabel(tokenText(props.read, token()!))}`}{' '}
          <Show when={token() !== undefined}>
            <button type="button" class="text" onClick={() => keep({ token: '' })}>
              whole text
            </button>
          </Show>
        </h2>
        <Show when={props.ranking === 'effect' && effects.loading()}>
          <LiveProgress what="Features are taken out one by one" progress={progress.value()} />
        </Show>
        <ErrorLine load={effects} />
        <TextFeatureList
          features={listed().slice(0, LISTED)}
          topToken={props.topToken}
          value={(feature) => {
            if (props.ranking === 'surprise') return figure(feature.surprise);
            if (props.ranking === 'activation') return figure(feature.activation);
            const change = effectOf(feature)?.loss_change;
            return change === undefined || change === null ? '–' : signed(change);
          }}
          picked={number('latent')}
          onHover={setHovered}
          onPick={(latent) => keep({ latent: latent === number('latent') ? '' : String(latent) })}
        />
      </div>
    </div>
  );
}

function tokenText(read: ReadText, token: number): string {
  return read.segments.findLast(({ position }) => position <= token)?.text ?? '';
}

function ranked(features: readonly TokenFeature[], ranking: Ranking, effectOf: EffectOf): TokenFeature[] {
  const key = (feature: TokenFeature) => {
    if (ranking === 'activation') return feature.activation;
    if (ranking === 'surprise') return feature.surprise;
    return Math.abs(effectOf(feature)?.loss_change ?? 0);
  };
  return [...features].sort((a, b) => key(b) - key(a) || a.latent - b.latent);
}

function strongestEffects(read: ReadText, effectOf: EffectOf): TokenFeature[] {
  return ranked(read.features.flat().filter(effectOf), 'effect', effectOf);
}
