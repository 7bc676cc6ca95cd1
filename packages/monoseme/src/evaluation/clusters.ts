/** The three figures of a latent by which the paper tells its clusters apart. */
export interface LatentFigures {
  /** [dSae]: share of tokens on which the latent fires. */
  readonly densities: Float64Array;
  /** [dSae]: b_enc[j]. */
  readonly encoderBiases: Float64Array;
  /** [dSae]: ⟨W_enc[j], W_dec[j]⟩. */
  readonly encoderDecoderProducts: Float64Array;
}

/** Where a cluster lies. */
export interface Centre {
  /** Mean log10 of the density. */
  readonly logDensity: number;
  readonly encoderBias: number;
  readonly encoderDecoderProduct: number;
}

export interface DensityClusters {
  /** Latents that fired on no token. */
  readonly nDead: number;
  /** Latents of the ultralow-density cluster; 0 when there is no such cluster. */
  readonly nUltralow: number;
  /** The other latents that fired. */
  readonly nLive: number;
  /** Whether two clusters stand apart. */
  readonly separated: boolean;
  /**
   * The thinnest place between the centres of the two fitted clusters, as a share of the lower peak: below 0.5 they are
   * apart. Undefined with too few latents.
   */
  readonly valley: number | undefined;
  readonly liveCentre: Centre | undefined;
  readonly ultralowCentre: Centre | undefined;
  /** Ascending. */
  readonly ultralow: readonly number[];
}

const DIMENSIONS = 3;
/** Too few latents to fit two clusters to. */
const MIN_LATENTS = 20;
const MAX_VALLEY = 0.5;
/** The ultralow cluster fires at most this share of the other's density: the paper's lie two decades apart. */
const MIN_DECADES = 1;
/** Shares of the latents, by density, from which the fit starts. */
const STARTS = [0.05, 0.2, 0.5];
const STEPS = 200;

/**
 * Tell the ultralow-density cluster from the other latents.
 *
 * Bricken et al. 2023 see two clusters in the space of (log density, encoder bias, encoder · decoder) and cut by eye.
 * Here two normal distributions with axis-parallel spread are fitted (expectation maximisation, after scaling each axis
 * to variance 1); they count as clusters when the mixture has a valley between their centres, at
 * most half as high as the lower peak, and their densities differ by a factor of ten.
 */
export function densityClusters(figures: LatentFigures): DensityClusters {
  const { densities } = figures;
  const fired = Array.from(densities.keys()).filter((latent) => densities[latent] > 0);
  const nDead = densities.length - fired.length;
  const one = { nDead, nUltralow: 0, nLive: fired.length, separated: false, ultralow: [] };
  const all = fired.map((latent) => pointOf(figures, latent));
  const liveCentre = fired.length > 0 ? centreOf(all) : undefined;
  if (fired.length < MIN_LATENTS) return { ...one, valley: undefined, liveCentre, ultralowCentre: undefined };

  const { low, high, memberships } = bestFit(standardised(all));
  const valley = valleyBetween(low, high);
  const ultralow = all.filter((_, i) => memberships[i] > 0.5);
  const live = all.filter((_, i) => memberships[i] <= 0.5);
  const apart = ultralow.length > 0 && live.length > 0 && valley <= MAX_VALLEY;
  if (!apart || centreOf(live).logDensity - centreOf(ultralow).logDensity < MIN_DECADES)
    return { ...one, valley, liveCentre, ultralowCentre: undefined };
  return {
    nDead,
    nUltralow: ultralow.length,
    nLive: live.length,
    separated: true,
    valley,
    liveCentre: centreOf(live),
    ultralowCentre: centreOf(ultralow),
    ultralow: fired.filter((_, i) => memberships[i] > 0.5),
  };
}

type Point = readonly number[];

function pointOf({ densities, encoderBiases, encoderDecoderProducts }: LatentFigures, latent: number): Point {
  return [Math.log10(densities[latent]), encoderBiases[latent], encoderDecoderProducts[latent]];
}

function centreOf(points: readonly Point[]): Centre {
  const mean = (axis: number) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  return { logDensity: mean(0), encoderBias: mean(1), encoderDecoderProduct: mean(2) };
}

function standardised(points: readonly Point[]): Point[] {
  const n = points.length;
  const axes = Array.from({ length: DIMENSIONS }, (_, axis) => {
    const mean = points.reduce((sum, point) => sum + point[axis], 0) / n;
    const variance = points.reduce((sum, point) => sum + (point[axis] - mean) ** 2, 0) / n;
    return { mean, scale: variance > 0 ? 1 / Math.sqrt(variance) : 0 };
  });
  return points.map((point) => axes.map(({ mean, scale }, axis) => (point[axis] - mean) * scale));
}

/** A normal distribution with independent axes, and its share of the points. */
interface Component {
  readonly weight: number;
  readonly mean: Point;
  readonly variance: Point;
}

interface Fit {
  readonly low: Component;
  readonly high: Component;
  /** Probability of each point to be of `low`. */
  readonly memberships: Float64Array;
  readonly logLikelihood: number;
}

/** The likeliest of several fits; each starts with the points below a quantile of the density as the low cluster. */
function bestFit(points: readonly Point[]): Fit {
  const sorted = points.map(([density]) => density).sort((a, b) => a - b);
  const fits = STARTS.map((share) => {
    const cut = sorted[Math.floor(share * sorted.length)];
    return fit(
      points,
      Float64Array.from(points, ([density]) => (density <= cut ? 1 : 0)),
    );
  });
  return fits.reduce((best, next) => (next.logLikelihood > best.logLikelihood ? next : best));
}

function fit(points: readonly Point[], start: Float64Array): Fit {
  let memberships = start;
  let last = -Infinity;
  for (let step = 0; ; step++) {
    const low = component(points, memberships);
    const high = component(
      points,
      memberships.map((share) => 1 - share),
    );
    let logLikelihood = 0;
    memberships = memberships.map((_, i) => {
      const [a, b] = [logDensity(low, points[i]), logDensity(high, points[i])];
      const largest = Math.max(a, b);
      const total = largest + Math.log(Math.exp(a - largest) + Math.exp(b - largest));
      logLikelihood += total;
      return Math.exp(a - total);
    });
    if (step === STEPS || logLikelihood - last < 1e-7 * points.length) {
      const inOrder = low.mean[0] <= high.mean[0];
      return inOrder
        ? { low, high, memberships, logLikelihood }
        : { low: high, high: low, memberships: memberships.map((share) => 1 - share), logLikelihood };
    }
    last = logLikelihood;
  }
}

function component(points: readonly Point[], memberships: Float64Array): Component {
  const weight = Math.max(
    memberships.reduce((sum, share) => sum + share, 0),
    1e-9,
  );
  const moment = (value: (point: Point) => number) =>
    points.reduce((sum, point, i) => sum + memberships[i] * value(point), 0) / weight;
  const mean = Array.from({ length: DIMENSIONS }, (_, axis) => moment((point) => point[axis]));
  // A floor keeps a component from shrinking onto points that are the same.
  const variance = mean.map((centre, axis) =>
    Math.max(
      moment((point) => (point[axis] - centre) ** 2),
      1e-3,
    ),
  );
  return { weight: weight / points.length, mean, variance };
}

function logDensity({ weight, mean, variance }: Component, point: Point): number {
  let sum = Math.log(weight);
  for (let axis = 0; axis < DIMENSIONS; axis++) {
    sum -= 0.5 * (Math.log(2 * Math.PI * variance[axis]) + (point[axis] - mean[axis]) ** 2 / variance[axis]);
  }
  return sum;
}

/** Points between the centres at which the mixture is looked at. */
const VALLEY_POINTS = 101;

/** The lowest density of the mixture on the line between the centres, over the lower of its values at the centres. */
function valleyBetween(a: Component, b: Component): number {
  const difference = b.mean.map((centre, axis) => centre - a.mean[axis]);
  const square = difference.reduce((sum, d) => sum + d * d, 0);
  if (square === 0) return 1;
  // On the line, in units of the distance: centres at 0 and 1.
  const along = ({ weight, variance }: Component, centre: number) => {
    const spread = difference.reduce((sum, d, axis) => sum + d * d * variance[axis], 0) / square ** 2;
    return (t: number) => (weight / Math.sqrt(spread)) * Math.exp(-((t - centre) ** 2) / (2 * spread));
  };
  const [first, second] = [along(a, 0), along(b, 1)];
  const densities = Array.from({ length: VALLEY_POINTS }, (_, i) => {
    const t = i / (VALLEY_POINTS - 1);
    return first(t) + second(t);
  });
  return Math.min(...densities) / Math.min(densities[0], densities[VALLEY_POINTS - 1]);
}
