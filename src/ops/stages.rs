//! Each layer by itself, forwards and backwards, over a mini-batch on one thread: for benchmarks.

use std::mem::MaybeUninit;

use macerator::Arch;

use super::{
    block::Lines,
    conv::{C1_MAPS, C3_MAPS, INPUT, KERNEL, S2, S2_WINNERS, S4, S4_WINNERS, Seen},
    dense::Rows,
    layers::{
        BackwardWeights, C1Backward, C1Forward, C3Backward, C3Forward, C5, C5_ROW, C5Backward, C5Forward, ConvSums, F6,
        F6_ROW, F6Backward, F6Forward, OUTPUT, OUTPUT_ROW, Outer, OutputBackward, OutputForward, PARAMETERS, Ten,
        Weights, eight_lanes, run,
    },
};

/// What each stage of a step works on.
struct Step<'a> {
    arch: Arch,
    w: Weights<'a>,
    back: BackwardWeights<'a>,
    images: Lines,
    s2: Lines,
    s2_winners: Lines,
    seen: Vec<Seen>,
    s4: Lines,
    s4_winners: Lines,
    c5: Lines,
    f6: Lines,
    output: Lines,
    logits: Lines,
    output_errors: Lines,
    f6_errors: Lines,
    c5_errors: Lines,
    s4_errors: Lines,
    s2_errors: Lines,
    output_gradient: Vec<MaybeUninit<f32>>,
    f6_gradient: Vec<MaybeUninit<f32>>,
    c5_gradient: Vec<MaybeUninit<f32>>,
    sums: ConvSums,
}

/// One stage of a step of training: its name, and the multiply-adds that its textbook form takes for an image.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// The layers and the direction.
    pub name: &'static str,
    /// Multiply-adds for an image, of convolutions without regard to which windows won.
    pub multiply_adds: usize,
    run: fn(&mut Step),
}

/// Multiply-adds of each layer forwards.
const C1_WORK: usize = 28 * 28 * C1_MAPS * KERNEL * KERNEL;
const C3_WORK: usize = 10 * 10 * C3_MAPS * C1_MAPS * KERNEL * KERNEL;

/// The stages, in the order of a step.
pub const STAGES: [Stage; 10] = [
    Stage {
        name: "C1+S2 forwards",
        multiply_adds: C1_WORK,
        run: |s| {
            let (s2, winners, seen) = (&mut *s.s2, &mut *s.s2_winners, &mut *s.seen);
            run(s.arch, C1Forward { images: &s.images, w: &s.w, s2, winners, seen });
        },
    },
    Stage {
        name: "C3+S4 forwards",
        multiply_adds: C3_WORK,
        run: |s| {
            let (s4, winners) = (&mut *s.s4, &mut *s.s4_winners);
            run(s.arch, C3Forward { s2: &s.s2, seen: &s.seen, w: &s.w, s4, winners });
        },
    },
    Stage {
        name: "C5 forwards",
        multiply_adds: S4 * C5,
        run: |s| run(s.arch, C5Forward { s4: &s.s4, w: &s.w, c5: &mut s.c5 }),
    },
    Stage {
        name: "F6 forwards",
        multiply_adds: C5 * F6,
        run: |s| run(s.arch, F6Forward { c5: &s.c5, w: &s.w, f6: &mut s.f6 }),
    },
    Stage {
        name: "output forwards",
        multiply_adds: F6 * OUTPUT,
        run: |s| run(s.arch, OutputForward { f6: &s.f6, w: &s.w, sums: &mut s.output, logits: &mut s.logits }),
    },
    Stage {
        name: "output backwards",
        multiply_adds: 2 * F6 * OUTPUT,
        run: |s| {
            let (a, b) = (Rows::new(&s.f6, F6_ROW), Rows::new(&s.output_errors, OUTPUT_ROW));
            run(s.arch, Outer { out: &mut s.output_gradient, first: 0, a, b });
            let errors = &s.output_errors;
            run(s.arch, OutputBackward { output_errors: errors, w: &s.back, f6: &s.f6, f6_errors: &mut s.f6_errors });
        },
    },
    Stage {
        name: "F6 backwards",
        multiply_adds: 2 * C5 * F6,
        run: |s| {
            let (a, b) = (Rows::new(&s.c5, C5_ROW), Rows::new(&s.f6_errors, F6_ROW));
            run(s.arch, Outer { out: &mut s.f6_gradient, first: 0, a, b });
            let errors = &s.f6_errors;
            run(s.arch, F6Backward { f6_errors: errors, w: &s.back, c5: &s.c5, c5_errors: &mut s.c5_errors });
        },
    },
    Stage {
        name: "C5 backwards",
        multiply_adds: 2 * S4 * C5,
        run: |s| {
            let (a, b) = (Rows::new(&s.c5_errors, C5_ROW), Rows::new(&s.s4, S4));
            run(s.arch, Outer { out: &mut s.c5_gradient, first: 0, a, b });
            let errors = &s.c5_errors;
            run(s.arch, C5Backward { c5_errors: errors, w: &s.back, s4: &s.s4, s4_errors: &mut s.s4_errors });
        },
    },
    Stage {
        name: "C3+S4 backwards",
        multiply_adds: 2 * C3_WORK,
        run: |s| {
            let kernel = C3Backward {
                s4_errors: &s.s4_errors,
                w: &s.back,
                winners: &s.s4_winners,
                s2: &s.s2,
                s2_errors: &mut s.s2_errors,
                sums: &mut s.sums,
            };
            run(eight_lanes(s.arch), kernel);
        },
    },
    Stage {
        name: "C1+S2 backwards",
        multiply_adds: C1_WORK,
        run: |s| {
            let (images, s2_errors) = (&s.images, &s.s2_errors);
            let kernel = C1Backward { images, seen: &s.seen, s2_errors, winners: &s.s2_winners, sums: &mut s.sums };
            run(eight_lanes(s.arch), kernel);
        },
    },
];

/// Numbers between -0.5 and 0.5 without a pattern.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed) as f32) * 12.9898).sin() * 0.5).collect()
}

/// Hands a measurement over to `measure`: a call of what it is given is the stage over a mini-batch of pictures,
/// `[n * 1024]`.
pub fn with_stage(stage: Stage, pictures: &[f32], measure: impl FnOnce(&mut dyn FnMut())) {
    let images = pictures.len() / INPUT;
    let fan_in = [25.0_f32, 150.0, 400.0, 120.0, 84.0];
    let parameters: Ten<Vec<f32>> = std::array::from_fn(|i| {
        let scale = 2.0 / fan_in[i / 2].sqrt();
        numbers(i, PARAMETERS[i]).into_iter().map(|v| v * scale).collect()
    });
    let parameters = parameters.each_ref().map(|p| &p[..]);
    let zeros = |length: usize| Lines::zeros(images * length);
    // Ten numbers and six zeros in each row.
    let output_errors = numbers(7, images * OUTPUT_ROW).into_iter().enumerate();
    let output_errors = output_errors.map(|(i, v)| if i % OUTPUT_ROW < OUTPUT { v } else { 0.0 }).collect();
    let mut step = Step {
        arch: Arch::detect(),
        w: Weights::new(&parameters),
        back: BackwardWeights::new(&parameters),
        images: pictures[..images * INPUT].iter().copied().collect(),
        s2: zeros(S2),
        s2_winners: zeros(S2_WINNERS),
        seen: vec![Seen::default(); images],
        s4: zeros(S4),
        s4_winners: zeros(S4_WINNERS),
        c5: zeros(C5_ROW),
        f6: zeros(F6_ROW),
        output: zeros(OUTPUT_ROW),
        logits: zeros(OUTPUT),
        output_errors,
        f6_errors: zeros(F6_ROW),
        c5_errors: zeros(C5_ROW),
        s4_errors: zeros(S4),
        s2_errors: zeros(S2),
        output_gradient: vec![MaybeUninit::uninit(); F6 * OUTPUT_ROW],
        f6_gradient: vec![MaybeUninit::uninit(); C5 * F6_ROW],
        c5_gradient: vec![MaybeUninit::uninit(); C5 * S4],
        sums: ConvSums::default(),
    };
    // Each stage finds what those before it leave.
    for stage in STAGES {
        (stage.run)(&mut step);
    }
    measure(&mut || (stage.run)(&mut step));
}
