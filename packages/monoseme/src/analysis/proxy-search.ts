import type { TokenSet } from '../corpus/index.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { type CodedText, codedChunks, type Pass } from './coded-text.ts';
import type { TokenBytes } from './context-text.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { neurons } from './controls.ts';
import type { Pair, PairSums } from './pair-sums.ts';
import { PairSummer } from './pair-summer.ts';
import { type Proxy, ProxyScorer } from './proxies.ts';
import { type ProxyMeasures, proxyMeasures, type ProxySubject } from './proxy-measures.ts';

/** Tokens that a proxy needs before a correlation with it means anything. */
export const MIN_TOKENS = 50;

/** How one column (a latent or a neuron) stands to a proxy. */
export interface ProxyFit {
  readonly index: number;
  /** Its largest activation. */
  readonly largest: number;
  /** Sensitivity: Pearson correlation of the activation with the proxy's score, over all tokens. */
  readonly correlation: number;
  /** Share of its firing tokens that are of the concept, and the same weighted by activation (expected value). */
  readonly specificity: number;
  readonly weightedSpecificity: number;
  /** Share of the concept's tokens on which it fires. */
  readonly recall: number;
  /** Tokens by [active or not][of the concept or not]: the confusion grid. */
  readonly confusion: {
    readonly both: number;
    readonly activeOnly: number;
    readonly proxyOnly: number;
    readonly neither: number;
  };
}

export interface ProxyResult {
  readonly proxy: string;
  /** Tokens whose score is positive, and their share. */
  readonly nTokens: number;
  readonly share: number;
  /** Undefined when the concept is on fewer than 50 tokens, or nothing is active on any of them. */
  readonly latent: ProxyFit | undefined;
  readonly neuron: ProxyFit | undefined;
  /** One entry a control, in their order. */
  readonly controls: readonly (ProxyFit | undefined)[];
}

/** A result with how sure it is, and the activations of the latent split by the proxy. */
export type MeasuredProxy = ProxyResult & ProxyMeasures;

/** A latent that was asked for, by every concept. */
export interface ChosenLatent {
  readonly latent: number;
  /** Concepts that it is active on at all, the largest correlation first. */
  readonly fits: readonly { readonly proxy: string; readonly fit: ProxyFit }[];
  /** Split by the first of them; undefined without one. */
  readonly histogram: ProxyMeasures['histogram'];
}

export interface ProxySearch {
  readonly nTokens: number;
  /** Names of the further controls. */
  readonly controlNames: readonly string[];
  readonly results: readonly MeasuredProxy[];
  readonly chosen: readonly ChosenLatent[];
  readonly nDocuments: number;
}

/**
 * For each proxy the latent that fits it best, by correlation, beside the best neuron and the best of further controls.
 * Two passes: the search, and what is measured of what it found.
 *
 * @param options.controls dictionaries over the same activations, as `principalComponents` and `randomDirections` make them
 * @param options.latents latents to look at by every proxy
 * @throws {MonosemeError} ERR_MISMATCH, ERR_OPTION, ERR_INTERRUPTED
 */
export async function searchProxies(
  text: CodedText,
  tokens: TokenSet,
  vocabulary: TokenBytes,
  proxies: readonly Proxy[],
  pass: Pass,
  {
    controls = [],
    latents: asked = [],
  }: { controls?: readonly Dictionary[]; latents?: readonly number[] } = {},
): Promise<ProxySearch> {
  const scorer = new ProxyScorer(proxies, tokens, vocabulary);
  const compared = [neurons(text.source.dIn), ...controls];
  const texts = [text, ...compared.map((dictionary) => ({ dictionary, source: text.source }))];
  const summers = texts.map(
    ({ dictionary }) => new ColumnSummer(pass.backend, dictionary.config.dSae, proxies.length),
  );
  for await (const { codes, firstToken } of codedChunks(texts, pass)) {
    const scores = scorer.score(firstToken, codes[0].nRows);
    for (const [i, summer] of summers.entries()) await summer.add(codes[i], scores);
  }
  const columns = await Promise.all(summers.map((summer) => summer.finish()));
  const [latents, cells, ...others] = columns.map((sums) => sums.best());
  const { nTokens, b } = columns[0].sums;
  const results = proxies.map(({ name }, p): ProxyResult => {
    const known = b.fired[p] >= MIN_TOKENS;
    return {
      proxy: name,
      nTokens: b.fired[p],
      share: b.fired[p] / nTokens,
      latent: known ? latents[p] : undefined,
      neuron: known ? cells[p] : undefined,
      controls: others.map((best) => (known ? best[p] : undefined)),
    };
  });
  const chosen = asked.map((latent) => {
    const fits = columns[0].fitsOf(latent).filter(({ proxy }) => b.fired[proxy] >= MIN_TOKENS);
    return { latent, fits: fits.sort((x, y) => y.fit.correlation - x.fit.correlation || x.proxy - y.proxy) };
  });
  const subjects = [
    ...results.map(({ latent, neuron }, proxy): ProxySubject => ({
      ...{ proxy, latent: latent?.index, largest: latent?.largest ?? 0, neuron: neuron?.index },
    })),
    ...chosen.map(({ latent, fits: [best] }): ProxySubject => ({
      ...{
        proxy: best?.proxy ?? 0,
        latent: best && latent,
        largest: best?.fit.largest ?? 0,
        neuron: undefined,
      },
    })),
  ];
  const measures = await proxyMeasures(text, tokens, vocabulary, proxies, subjects, pass);
  return {
    nTokens,
    nDocuments: tokens.documents.length,
    controlNames: controls.map(({ config }) => config.modelName),
    results: results.map((result, p) => ({ ...result, ...measures[p] })),
    chosen: chosen.map(({ latent, fits }, i) => ({
      latent,
      fits: fits.map(({ proxy, fit }) => ({ proxy: proxies[proxy].name, fit })),
      histogram: measures[proxies.length + i].histogram,
    })),
  };
}

/** Makes the sums of columns with proxies, and of how much of each column's activation lies on each proxy. */
class ColumnSummer {
  readonly #summer: PairSummer;
  readonly #nProxies: number;
  /** [columns, proxies]: Σ f where the proxy is positive. */
  readonly #mass: Float64Array;
  /** [columns] */
  readonly #largest: Float32Array;

  constructor(backend: KernelBackend, nColumns: number, nProxies: number) {
    this.#summer = new PairSummer(backend, nColumns, nProxies, { masked: false });
    this.#nProxies = nProxies;
    this.#largest = new Float32Array(nColumns);
    this.#mass = new Float64Array(nColumns * nProxies);
  }

  async add(codes: Codes, scores: Codes): Promise<void> {
    await this.#summer.add(codes, scores);
    codes.latentIndices.forEach((column, i) => {
      if (codes.values[i] > this.#largest[column]) this.#largest[column] = codes.values[i];
    });
    for (let row = 0; row < codes.nRows; row++) {
      for (let k = scores.rowPointers[row]; k < scores.rowPointers[row + 1]; k++) {
        const proxy = scores.latentIndices[k];
        for (let i = codes.rowPointers[row]; i < codes.rowPointers[row + 1]; i++) {
          this.#mass[codes.latentIndices[i] * this.#nProxies + proxy] += codes.values[i];
        }
      }
    }
  }

  async finish(): Promise<ColumnSums> {
    return new ColumnSums(await this.#summer.finish(), this.#mass, this.#largest);
  }
}

/** What a {@link ColumnSummer} made. */
class ColumnSums {
  readonly sums: PairSums;
  readonly #mass: Float64Array;
  readonly #largest: Float32Array;

  constructor(sums: PairSums, mass: Float64Array, largest: Float32Array) {
    this.sums = sums;
    this.#mass = mass;
    this.#largest = largest;
  }

  /** By proxy. */
  best(): (ProxyFit | undefined)[] {
    return this.sums.best((pair) => pair.correlation, 'b').map((pair) => pair && this.#fit(pair));
  }

  /** Of one column, by proxy. */
  fitsOf(column: number): { proxy: number; fit: ProxyFit }[] {
    return [...this.sums.pairs()]
      .filter(({ a }) => a === column)
      .map((pair) => ({ proxy: pair.b, fit: this.#fit(pair) }));
  }

  #fit({ a, b, together, correlation }: Pair): ProxyFit {
    const { nTokens } = this.sums;
    const active = this.sums.a.fired[a];
    const ofConcept = this.sums.b.fired[b];
    return {
      index: a,
      largest: this.#largest[a],
      correlation,
      specificity: together / active,
      weightedSpecificity: this.#mass[a * this.sums.dB + b] / this.sums.a.sums[a],
      recall: together / ofConcept,
      confusion: {
        both: together,
        activeOnly: active - together,
        proxyOnly: ofConcept - together,
        neither: nTokens - active - ofConcept + together,
      },
    };
  }
}
