/** An index of as many features as wanted, made of a real one: its features with other figures, their examples elsewhere. */
import { openFeatureIndex } from 'monoseme/features';
import { Random } from 'monoseme/random';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LatentTables } from '../packages/monoseme/dist/features/latent-tables.js';
import { writeTokenLatents } from '../packages/monoseme/dist/features/token-latents.js';
import { sha256File, writeManifest } from '../packages/monoseme/dist/formats/index.js';

/** Examples of a feature: a third of a real one's, so that a million are made in minutes. */
const EXAMPLES = 16;
/** A million features have this many groups of near directions, about. */
const CLUSTERS = 4000;

/**
 * @param {string} from folder of the real index
 * @param {string} out
 * @param {number} nFeatures
 * @param {(line: string) => void} log
 */
export async function makeLargeIndex(from, out, nFeatures, log) {
  const source = await openFeatureIndex(from);
  const known = await everything(source);
  const places = occurrences(await source.tokens(0, source.details.corpus.n_tokens));
  const random = new Random(1);
  const tables = new LatentTables(out);
  const densities = new Float32Array(nFeatures);
  for (let latent = 0; latent < nFeatures; latent++) {
    const { figures, details, examples } = known[latent % known.length];
    const scale = Math.exp(0.5 * random.normal());
    const row = changed(figures, latent, scale, random, source.details.corpus.n_tokens);
    densities[latent] = row.density;
    await tables.add(
      row,
      {
        ...details,
        latent_index: latent,
        neighbours: details.neighbours.map(() => random.integer(nFeatures)),
      },
      elsewhere(examples, latent, scale, places, source.details.corpus.context_size, random),
    );
    if ((latent + 1) % 65_536 === 0) log(`${latent + 1} features`);
  }
  const files = await tables.finish();
  const massOf = (latent) => tokenMass(known[latent % known.length], 0.5 + (latent % 97) / 97);
  files.push(await writeTokenLatents(out, massOf, nFeatures, countsOf(places)));
  await finish(source, out, nFeatures, files);
}

async function everything(source) {
  const known = [];
  for (const figures of await source.features()) {
    if (figures.n_fired === 0) continue;
    const latent = figures.latent_index;
    const details = await source.detailsOf(latent);
    const examples = (await source.examplesOf(latent)).filter(({ group }) => group !== 'near_miss');
    known.push({ figures, details, examples });
  }
  return known;
}

/** Where each token stands in the text. */
function occurrences(tokens) {
  const places = new Map();
  tokens.forEach((token, place) => {
    if (!places.has(token)) places.set(token, []);
    places.get(token).push(place);
  });
  return { tokens, of: places };
}

function countsOf({ of }) {
  const counts = new Uint32Array(Math.max(...of.keys()) + 1);
  for (const [token, places] of of) counts[token] = places.length;
  return counts;
}

function changed(figures, latent, scale, random, nTokens) {
  const density = Math.min(0.5, figures.density * scale);
  return {
    ...figures,
    latent_index: latent,
    n_fired: Math.max(1, Math.round(density * nTokens)),
    density,
    density_low: figures.density_low * scale,
    density_high: figures.density_high * scale,
    max_activation: Math.fround(figures.max_activation * scale),
    mean_activation: Math.fround(figures.mean_activation * scale),
    nearest_cosine: random.uniform(),
    map_x: figures.map_x + random.normal(),
    map_y: figures.map_y + random.normal(),
    cluster: Math.floor(CLUSTERS * random.uniform() ** 2),
  };
}

/** Some of a feature's examples, each at another place with the same token. */
function elsewhere(examples, latent, scale, places, contextSize, random) {
  const step = Math.max(1, examples.length / EXAMPLES);
  const chosen = examples.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  return chosen.map((example) => {
    const same = places.of.get(places.tokens[example.token_index]);
    const token_index = same[random.integer(same.length)];
    const inContext = (_, i) => {
      const place = (token_index % contextSize) + example.near_offsets[i];
      return place >= 0 && place < contextSize;
    };
    return {
      ...example,
      latent_index: latent,
      token_index,
      activation: Math.fround(example.activation * scale),
      near_offsets: example.near_offsets.filter(inContext),
      near_activations: example.near_activations.filter(inContext),
    };
  });
}

function tokenMass({ figures, details }, scale) {
  const total = figures.n_fired * figures.mean_activation * scale;
  const entries = details.top_tokens.map((token, i) => ({
    token,
    nFired: details.top_token_firings[i],
    sum: details.top_token_shares[i] * total,
  }));
  return { entries, total };
}

async function finish(source, out, nFeatures, files) {
  const kept = source.details.files.filter(({ path }) => /^(corpus|vocabulary)/.test(path));
  mkdirSync(join(out, 'corpus'), { recursive: true });
  for (const { path } of kept) copyFileSync(join(source.folder, path), join(out, path));
  const { dictionary } = source.details;
  await writeManifest(out, {
    ...{
      kind: 'feature-index',
      seed: 1,
      madeFrom: { index: await sha256File(join(source.folder, 'manifest.json')) },
    },
    details: {
      ...source.details,
      effects: null,
      dictionary: {
        ...dictionary,
        d_sae: nFeatures,
        model_name: `${dictionary.model_name}, ${nFeatures} features`,
      },
      files: [...kept, ...files],
    },
  });
}

/** @returns whether a folder holds an index of that many features */
export function holdsIndex(folder, nFeatures) {
  const manifest = join(folder, 'manifest.json');
  return (
    existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).details.dictionary.d_sae === nFeatures
  );
}
