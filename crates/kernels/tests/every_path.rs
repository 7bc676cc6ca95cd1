//! Every primitive on every instruction set of this CPU, over random shapes, against plain loops. Small and without
//! files, so that it also runs under a sanitizer: the contract suite in TypeScript compares more, but cannot see a read
//! past the end of an array.

use monoseme_kernels::{
    Adam, CoActivationInput, CodesByLatentView, CodesView, DecodeInput, EncodeInput, Engine,
    GeometricMedianInput, GradientInput, InstructionSet, Moments, N_FACTS, NestedInput, PairSumsInput,
    ProductInput, Pull, ScreenedMut, ScreenedView, Selection, SparseSum, UpdateRowsInput, add_pair_sums,
    bytes_of_row, center, co_activations, column_sums, decode, encode, geometric_median, nested_residuals,
    product, residuals, sampled_products, screen, squared_gradient_norm, transpose, update_rows,
};

/// Xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Small whole numbers, whose sums of products are exact in any order. Exactly as long as asked, so that a read past
    /// the end is one past the allocation.
    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.below(5) as f32 - 2.0).collect()
    }

    /// Numbers whose sums are rounded.
    fn fractions(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0).collect()
    }

    /// Leave one in so many as it is.
    fn clear(&mut self, values: &mut [f32], one_in: usize) {
        values.iter_mut().filter(|_| self.below(one_in) > 0).for_each(|value| *value = 0.0);
    }
}

struct Shape {
    n_rows: usize,
    width: usize,
    d_sae: usize,
}

fn shape(random: &mut Random) -> Shape {
    let mut size = |limit: usize| 1 + random.below(limit);
    Shape { n_rows: size(70) - 1, width: size(90), d_sae: size(90) }
}

/// `[n_rows, d_sae]` of a full product plus bias, as plain loops make it.
fn pre_acts(x: &[f32], w: &[f32], bias: &[f32], width: usize) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    x.chunks_exact(width)
        .flat_map(|x| w.chunks_exact(width).zip(bias).map(move |(w, bias)| dot(x, w) + bias))
        .collect()
}

/// All latents of an encoder, in fp32.
fn whole<'a>(
    x: &'a [f32],
    w_enc: &'a [f32],
    b_enc: &'a [f32],
    d_in: usize,
    selection: Selection<'a>,
) -> EncodeInput<'a> {
    let (n_rows, d_sae) = (x.len() / d_in, b_enc.len());
    EncodeInput { x, n_rows, d_in, d_sae, w_enc, b_enc, selection, latents: None, screened: None }
}

fn run_all(engine: &Engine, random: &mut Random) {
    let Shape { n_rows, width, d_sae } = shape(random);
    let mut x = random.values(n_rows * width);
    if random.below(2) == 0 {
        random.clear(&mut x, 12);
    }
    let w = random.values(d_sae * width);
    let bias = random.values(d_sae);
    let all = pre_acts(&x, &w, &bias, width);
    let k = 1 + random.below(d_sae);
    for selection in [Selection::Threshold(None), Selection::TopK(k), Selection::BatchTopK { k, guess: 0.0 }]
    {
        let input = whole(&x, &w, &bias, width, selection);
        let codes = encode(engine, &input).unwrap();
        let n_positive = all.iter().filter(|value| **value > 0.0).count();
        match selection {
            Selection::Threshold(_) => assert_eq!(codes.values.len(), n_positive),
            _ => assert!(codes.values.len() <= n_positive.min(k * n_rows)),
        }
        for row in 0..n_rows {
            for pair in codes.row_pointers[row] as usize..codes.row_pointers[row + 1] as usize {
                assert_eq!(codes.values[pair], all[row * d_sae + codes.latent_indices[pair] as usize]);
            }
        }
        let view = CodesView {
            n_rows,
            d_sae,
            row_pointers: &codes.row_pointers,
            latent_indices: &codes.latent_indices,
            values: &codes.values,
        };
        run_sparse(engine, random, view, &w, &x, width);
        run_pairs(engine, view);
        run_company(engine, view);
    }
    run_screened(engine, &x, &w, &bias, width);
    let offset = random.values(width);
    let mut centered = x.clone();
    center(engine, &mut centered, &offset).unwrap();
    assert!(centered.iter().enumerate().all(|(i, value)| *value == x[i] - offset[i % width]));
    assert_eq!(column_sums(engine, &x, width).unwrap().len(), width);
    if n_rows > 0 {
        let input = GeometricMedianInput { points: &x, n_rows, width, max_iterations: 3, tolerance: 0.0 };
        assert_eq!(geometric_median(engine, &input).unwrap().len(), width);
    }
}

/// Bytes and facts of an encoder.
fn screened(engine: &Engine, w: &[f32], d_sae: usize, width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut bytes = vec![0; d_sae * bytes_of_row(engine.instruction_set, width)];
    let mut facts = vec![0.0; d_sae * N_FACTS];
    screen(engine, w, d_sae, width, ScreenedMut { bytes: &mut bytes, facts: &mut facts }).unwrap();
    (bytes, facts)
}

/// With biases so low that few latents are active.
fn run_screened(engine: &Engine, x: &[f32], w: &[f32], bias: &[f32], width: usize) {
    let low: Vec<f32> = bias.iter().map(|bias| bias - 5.0 * (width as f32).sqrt()).collect();
    let d_sae = bias.len();
    let (bytes, facts) = screened(engine, w, d_sae, width);
    for selection in
        [Selection::Threshold(None), Selection::TopK(1), Selection::BatchTopK { k: 1, guess: 0.5 }]
    {
        let dense = whole(x, w, &low, width, selection);
        let expected = encode(engine, &dense).unwrap();
        // All latents, and some of them.
        for n in [d_sae, d_sae / 2] {
            let row = bytes_of_row(engine.instruction_set, width);
            let (bytes, facts) = (&bytes[..n * row], &facts[..n * facts.len() / d_sae]);
            let screened = EncodeInput { screened: Some(ScreenedView { bytes, facts }), ..dense };
            let codes = encode(engine, &screened).unwrap();
            assert_eq!(codes.row_pointers, expected.row_pointers);
            assert_eq!(codes.latent_indices, expected.latent_indices);
            assert_eq!(codes.values, expected.values);
        }
    }
}

/// Rows that are mostly zeros have the same codes by themselves as beside rows that are not, where zeros are not skipped.
fn run_mostly_zeros(engine: &Engine, random: &mut Random) {
    let Shape { n_rows, width, d_sae } = shape(random);
    let mut x = random.fractions(n_rows * width);
    random.clear(&mut x, 10);
    let mut among_others = x.clone();
    among_others.extend(random.fractions(n_rows * width));
    let (w, bias) = (random.fractions(d_sae * width), random.fractions(d_sae));
    let thresholds = random.fractions(d_sae);
    let some: Vec<u32> = (0..d_sae as u32).filter(|_| random.below(3) > 0).collect();
    let k = 1 + random.below(d_sae);
    for selection in [Selection::Threshold(Some(&thresholds)), Selection::TopK(k)] {
        for latents in [None, Some(&some[..])] {
            let alone = EncodeInput { latents, ..whole(&x, &w, &bias, width, selection) };
            let codes = encode(engine, &alone).unwrap();
            let expected =
                encode(engine, &EncodeInput { x: &among_others, n_rows: 2 * n_rows, ..alone }).unwrap();
            let n = codes.values.len();
            assert_eq!(codes.row_pointers, expected.row_pointers[..=n_rows]);
            assert_eq!(codes.latent_indices, expected.latent_indices[..n]);
            assert_eq!(codes.values, expected.values[..n]);
        }
    }
}

/// The codes with themselves.
fn run_pairs(engine: &Engine, codes: CodesView<'_>) {
    let d = codes.d_sae;
    let mut expected = vec![0.0f64; d * d];
    for row in codes.row_pointers.windows(2) {
        let pairs = row[0] as usize..row[1] as usize;
        for i in pairs.clone() {
            for j in pairs.clone() {
                let at = codes.latent_indices[i] as usize * d + codes.latent_indices[j] as usize;
                expected[at] += f64::from(codes.values[i]) * f64::from(codes.values[j]);
            }
        }
    }
    for width in [1, 2, 4] {
        let mut sums = vec![0.0; d * d * width];
        add_pair_sums(engine, PairSumsInput { a: codes, b: codes, width, sums: &mut sums }).unwrap();
        let products: Vec<f64> = sums.iter().step_by(width).copied().collect();
        assert_eq!(products, expected);
    }
}

/// Each row a context of its own: what fires with a latent is counted on its rows alone.
fn run_company(engine: &Engine, codes: CodesView<'_>) {
    let mut n_fired = vec![0; codes.d_sae];
    codes.latent_indices.iter().for_each(|&latent| n_fired[latent as usize] += 1);
    let input = CoActivationInput {
        ends: codes.row_pointers,
        latents: codes.latent_indices,
        n_fired: &n_fired,
        context_size: 1,
        asked: 0..codes.d_sae,
        most: codes.d_sae,
        fewest: 1,
    };
    let found = co_activations(engine, &input).unwrap();
    let rows_of = |latent: u32| {
        codes
            .row_pointers
            .windows(2)
            .filter(move |row| codes.latent_indices[row[0] as usize..row[1] as usize].contains(&latent))
    };
    for latent in 0..codes.d_sae {
        for pair in found.pointers[latent] as usize..found.pointers[latent + 1] as usize {
            let beside = rows_of(latent as u32).filter(|row| {
                codes.latent_indices[row[0] as usize..row[1] as usize].contains(&found.others[pair])
            });
            assert_eq!(found.counts[pair] as usize, beside.count());
            assert_eq!(found.lags[pair], 0);
        }
    }
}

/// Two groups at random: the second error is that of the whole.
fn run_nested(engine: &Engine, random: &mut Random, decode: DecodeInput<'_>, x: &[f32], decoded: &[f32]) {
    let groups: Vec<u8> = decode.codes.values.iter().map(|_| random.below(2) as u8).collect();
    let input = NestedInput { decode, target: x, groups: &groups, weights: &[2.0, 1.0], end: None };
    let mut errors = vec![0.0; 2 * x.len()];
    let nested = nested_residuals(engine, input, &mut errors).unwrap();
    let (first, whole) = errors.split_at(x.len());
    let mut held = vec![0.0; x.len()];
    let again = nested_residuals(engine, input, &mut held).unwrap();
    assert_eq!((&held[..], &again.products), (whole, &nested.products));
    nested_residuals(engine, NestedInput { end: Some(1), ..input }, &mut held).unwrap();
    assert_eq!(held, first);
    assert!(whole.iter().zip(decoded).zip(x).all(|((e, a), b)| *e == a - b));
    assert_eq!(nested.squared_errors.len(), 2 * decode.codes.n_rows);
    for (weighted, vectors) in [(0, first), (1, whole)] {
        let products = sampled_products(engine, &decode, vectors).unwrap();
        let own = groups.iter().enumerate().filter(|(_, group)| **group == weighted);
        for (pair, _) in own {
            assert_eq!(nested.products[pair], products[pair]);
        }
    }
}

fn run_sparse(
    engine: &Engine,
    random: &mut Random,
    codes: CodesView<'_>,
    w: &[f32],
    x: &[f32],
    width: usize,
) {
    let input = DecodeInput { codes, d_out: width, w_dec: w, b_dec: None };
    let decoded = decode(engine, &input).unwrap();
    let mut expected = vec![0.0f32; codes.n_rows * width];
    for row in 0..codes.n_rows {
        for pair in codes.row_pointers[row] as usize..codes.row_pointers[row + 1] as usize {
            let latent = codes.latent_indices[pair] as usize;
            for column in 0..width {
                expected[row * width + column] += codes.values[pair] * w[latent * width + column];
            }
        }
    }
    assert_eq!(decoded, expected);
    let mut differences = vec![0.0; x.len()];
    let errors = residuals(engine, &input, Some(x), &mut differences).unwrap();
    assert!(differences.iter().zip(&decoded).zip(x).all(|((d, a), b)| *d == a - b));
    assert_eq!(errors.products, sampled_products(engine, &input, &differences).unwrap());
    let mut in_place = x.to_vec();
    assert_eq!(residuals(engine, &input, None, &mut in_place).unwrap().products, errors.products);
    assert_eq!(in_place, differences);
    run_nested(engine, random, input, x, &decoded);
    let product = |a: &[f32], is_transposed: bool| {
        let input = ProductInput { a, is_transposed, b: w, n_rows: codes.n_rows, inner: codes.d_sae, width };
        let mut out = vec![0.0; codes.n_rows * width];
        product(engine, input, &mut out).unwrap();
        out
    };
    let (n_rows, d_sae) = (codes.n_rows, codes.d_sae);
    let (mut dense, mut turned) = (vec![0.0; n_rows * d_sae], vec![0.0; n_rows * d_sae]);
    for row in 0..n_rows {
        for pair in codes.row_pointers[row] as usize..codes.row_pointers[row + 1] as usize {
            let latent = codes.latent_indices[pair] as usize;
            dense[row * d_sae + latent] = codes.values[pair];
            turned[latent * n_rows + row] = codes.values[pair];
        }
    }
    assert_eq!(product(&dense, false), decoded);
    assert_eq!(product(&turned, true), decoded);
    let by_latent = transpose(engine, &codes).unwrap();
    let sum = SparseSum {
        by_latent: CodesByLatentView {
            n_rows: codes.n_rows,
            d_sae: codes.d_sae,
            latent_pointers: &by_latent.latent_pointers,
            row_indices: &by_latent.row_indices,
            pair_indices: &by_latent.pair_indices,
        },
        coefficients: codes.values,
        rows: x,
    };
    let factors = random.values(codes.d_sae * 2);
    let parts = [width as u32 / 2, width.div_ceil(2) as u32];
    let pull = Some(Pull { factors: &factors, parts: &parts });
    let gradient =
        GradientInput { sums: &[sum, sum], pull, width, unit_norm: random.below(2) == 0, mask: None };
    assert!(squared_gradient_norm(engine, gradient, w).unwrap() >= 0.0);
    let adam = || Adam::new(1e-3, 0.9, 0.999, 1e-8, 3.0);
    let (mut first, mut second) = (vec![0.5; w.len()], vec![0.5; w.len()]);
    let (mut first_bits, mut second_bits) = (vec![0x3f00u16; w.len()], vec![0x3f00u16; w.len()]);
    let mut updated = Vec::new();
    for moments in [Moments::F32(&mut first, &mut second), Moments::Bf16(&mut first_bits, &mut second_bits)] {
        let mut weights = w.to_vec();
        let input = UpdateRowsInput {
            gradient,
            weights: &mut weights,
            moments,
            gradient_scale: 0.5,
            adam: adam(),
            screened: None,
        };
        update_rows(engine, input).unwrap();
        updated.push(weights);
    }
    let mut weights = w.to_vec();
    let (mut first, mut second) = (vec![0.5; w.len()], vec![0.5; w.len()]);
    let turns: Vec<_> = (0..codes.d_sae).map(|_| random.below(2)).collect();
    for turn in [1, 0] {
        let mask: Vec<_> = turns.iter().map(|&of_latent| u8::from(of_latent == turn)).collect();
        let gradient = GradientInput { mask: Some(&mask), ..gradient };
        let moments = Moments::F32(&mut first, &mut second);
        let (weights, gradient_scale) = (&mut weights[..], 0.5);
        let input =
            UpdateRowsInput { gradient, weights, moments, gradient_scale, adam: adam(), screened: None };
        update_rows(engine, input).unwrap();
    }
    assert_eq!(weights, updated[0], "latents in turns are updated as all at once");
    assert_eq!(updated[0], updated[1], "moments are rounded after they are used");
}

#[test]
fn random_shapes_on_every_instruction_set() {
    for set in InstructionSet::available() {
        let engine = Engine::new(2, Some(set.name())).unwrap();
        let mut random = Random(88_172_645_463_325_252);
        for _ in 0..60 {
            run_all(&engine, &mut random);
            run_mostly_zeros(&engine, &mut random);
        }
        assert!(engine.candidates() > 0, "nothing was screened");
    }
}

/// Codes of which most latents are active are the same while screening is tried, left alone and tried again; and where few
/// are active with the same encoder, it comes back.
#[test]
fn screening_comes_back_where_it_was_in_vain() {
    let engine = Engine::new(2, None).unwrap();
    let mut random = Random(2_463_534_242);
    let (n_rows, width, d_sae) = (96, 64, 640);
    let x = random.fractions(n_rows * width);
    let w = random.fractions(d_sae * width);
    let (bytes, facts) = screened(&engine, &w, d_sae, width);
    let screened = Some(ScreenedView { bytes: &bytes, facts: &facts });
    let encoded = |bias: f32, screened| {
        let bias = vec![bias; d_sae];
        let selection = Selection::Threshold(None);
        let input = EncodeInput { screened, ..whole(&x, &w, &bias, width, selection) };
        encode(&engine, &input).unwrap()
    };
    let (many, few) = (encoded(0.0, None), encoded(-8.0, None));
    assert!(many.values.len() > 10 * few.values.len() && !few.values.is_empty());
    for _ in 0..3 {
        assert_eq!(encoded(0.0, screened), many);
    }
    let before = engine.candidates();
    for _ in 0..40 {
        assert_eq!(encoded(-8.0, screened), few);
    }
    assert!(engine.candidates() > before, "screening did not come back");
}

/// A step that looks at some of its rows with lower thresholds screens those in vain, and the others as ever.
#[test]
fn screening_in_vain_is_remembered_by_the_kind_of_call() {
    let engine = Engine::new(2, None).unwrap();
    let mut random = Random(2_463_534_242);
    let (width, d_sae) = (64, 640);
    let x = random.fractions(144 * width);
    let w = random.fractions(d_sae * width);
    let (bytes, facts) = screened(&engine, &w, d_sae, width);
    let encoded = |x: &[f32], bias: f32| {
        let bias = vec![bias; d_sae];
        let screened = Some(ScreenedView { bytes: &bytes, facts: &facts });
        let input = EncodeInput { screened, ..whole(x, &w, &bias, width, Selection::Threshold(None)) };
        encode(&engine, &input).unwrap().values.len()
    };
    let (some, others) = x.split_at(48 * width);
    for _ in 0..5 {
        let n_many = encoded(some, 0.0);
        let before = engine.candidates();
        let n_few = encoded(others, -8.0);
        assert!(n_many > 10 * n_few && n_few > 0);
        assert!(engine.candidates() > before, "the others were not screened");
    }
}
