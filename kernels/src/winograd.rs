//! Winograd's minimal filtering F(5, 5): five outputs of a filter of five taps from nine products instead of twenty-five.
//!
//! ```text
//! y[k] = Σᵢ g[i] · d[k + i]        k = 0..5, i = 0..5, d = 9 inputs
//!
//! y = Aᵀ ((G g) ⊙ (Bᵀ d))          ⊙ value by value
//! ```
//!
//! `G g` are the values of the polynomial `g` at eight points and at infinity, up to factors; `Bᵀ` are the Lagrange polynomials of
//! these points, `Aᵀ` their powers (S. Winograd, Arithmetic Complexity of Computations, SIAM 1980, chapter III; A. Lavin and S. Gray,
//! <https://arxiv.org/abs/1509.09308>). In a sum of filters over many inputs, `Bᵀ` and `Aᵀ` are applied once for each input and output,
//! so that the products are nearly all the work.
//!
//! The points are ±[`POINTS`] and infinity. Points of opposite signs share their even and odd powers; powers of two are exact.
//! The error of a convolution in `f32` is three to five times that of the plain sum (`the_error_is_small` measures it): B. Barabasz et al.,
//! <https://arxiv.org/abs/1803.10986>.

use macerator::Simd;

use crate::{
    shapes::{KERNEL, PRODUCTS},
    simd::{F32x16, unroll},
};

/// Outputs of a filter that are computed together, from as many inputs as there are products.
pub const OUTPUTS: usize = PRODUCTS - KERNEL + 1;

/// Half of the points; the others are their negatives, and infinity.
const POINTS: [f32; 4] = [0.25, 0.5, 1.0, 2.0];

/// The last product; before it are those of each point and its negative.
const INFINITY: usize = PRODUCTS - 1;

/// `Q(t) = Π (t - b²)` over the points `b` other than the `k`-th, from the lowest power on.
const fn other_points(k: usize) -> [f32; 4] {
    let mut q = [1.0, 0.0, 0.0, 0.0];
    let (mut j, mut degree) = (0, 0);
    while j < POINTS.len() {
        if j != k {
            let square = POINTS[j] * POINTS[j];
            degree += 1;
            let mut i = degree;
            while i > 0 {
                q[i] = q[i - 1] - square * q[i];
                i -= 1;
            }
            q[0] *= -square;
        }
        j += 1;
    }
    q
}

const OTHER_POINTS: [[f32; 4]; 4] = [other_points(0), other_points(1), other_points(2), other_points(3)];

/// `Π (t - b²)` over all points, without its highest power, which has the factor 1.
const fn all_points() -> [f32; 4] {
    let (q, square) = (OTHER_POINTS[3], POINTS[3] * POINTS[3]);
    [-square * q[0], q[0] - square * q[1], q[1] - square * q[2], q[2] - square * q[3]]
}

const ALL_POINTS: [f32; 4] = all_points();

/// `1 / (2 a Q(a²))` for a point `a`: the factor of its Lagrange polynomial, which the filter gets.
const fn scale(k: usize) -> f32 {
    let (a, q) = (POINTS[k], OTHER_POINTS[k]);
    let t = a * a;
    1.0 / (2.0 * a * (q[0] + t * (q[1] + t * (q[2] + t * q[3]))))
}

const SCALES: [f32; 4] = [scale(0), scale(1), scale(2), scale(3)];

/// `G g`: the filter's side.
#[inline(always)]
pub fn transform_filter<S: Simd, const N: usize>(g: [F32x16<S, N>; KERNEL]) -> [F32x16<S, N>; PRODUCTS] {
    let mut products = [g[KERNEL - 1]; PRODUCTS];
    unroll!(k < 4, {
        let (a, scale) = (POINTS[k], SCALES[k]);
        let mut even = g[0].mul(F32x16::splat(scale));
        even = g[2].mul_add(F32x16::splat(scale * a * a), even);
        even = g[4].mul_add(F32x16::splat(scale * a * a * a * a), even);
        let mut odd = g[1].mul(F32x16::splat(scale * a));
        odd = g[3].mul_add(F32x16::splat(scale * a * a * a), odd);
        products[2 * k] = even.add(odd);
        // The other point's factor has the opposite sign.
        products[2 * k + 1] = odd.sub(even);
    });
    products
}

/// `Bᵀ d`: the inputs' side.
#[inline(always)]
pub fn transform_input<S: Simd, const N: usize>(d: [F32x16<S, N>; PRODUCTS]) -> [F32x16<S, N>; PRODUCTS] {
    let mut products = [d[PRODUCTS - 1]; PRODUCTS];
    unroll!(k < 4, {
        let q = OTHER_POINTS[k];
        let (mut even, mut odd) = (d[6], d[7]);
        unroll!(i < 3, {
            even = d[2 * i].mul_add(F32x16::splat(q[i]), even);
            odd = d[2 * i + 1].mul_add(F32x16::splat(q[i]), odd);
        });
        products[2 * k] = even.mul_add(F32x16::splat(POINTS[k]), odd);
        products[2 * k + 1] = even.mul_add(F32x16::splat(-POINTS[k]), odd);
    });
    unroll!(i < 4, {
        products[INFINITY] = d[2 * i].mul_add(F32x16::splat(ALL_POINTS[i]), products[INFINITY]);
    });
    products
}

/// `Aᵀ` of the products, and a bias.
#[inline(always)]
pub fn transform_output<S: Simd, const N: usize>(
    products: [F32x16<S, N>; PRODUCTS],
    bias: F32x16<S, N>,
) -> [F32x16<S, N>; OUTPUTS] {
    let mut y = [bias; OUTPUTS];
    y[4] = y[4].add(products[INFINITY]);
    unroll!(k < 4, {
        let a = POINTS[k];
        let (sum, difference) = (products[2 * k].add(products[2 * k + 1]), products[2 * k].sub(products[2 * k + 1]));
        y[0] = y[0].add(sum);
        y[1] = difference.mul_add(F32x16::splat(a), y[1]);
        y[2] = sum.mul_add(F32x16::splat(a * a), y[2]);
        y[3] = difference.mul_add(F32x16::splat(a * a * a), y[3]);
        y[4] = sum.mul_add(F32x16::splat(a * a * a * a), y[4]);
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        simd::{InstructionSet, Kernel, LANES},
        testing::noise,
    };

    /// So many filters are summed, as for a unit of C3.
    const FILTERS: usize = 30;

    /// The root mean square errors of the filters' sums: by the plain sum, and by nine products.
    struct Errors<'a>(&'a mut [f64; 2]);

    impl Kernel for Errors<'_> {
        #[inline(always)]
        fn run<S: Simd, const N: usize>(self) {
            const ROUNDS: usize = 50;
            *self.0 = [0.0; 2];
            for round in 0..ROUNDS {
                let (g, d) = (noise(round, FILTERS * KERNEL * LANES), noise(100 + round, FILTERS * PRODUCTS * LANES));
                let blocks = |values: &[f32]| values.as_chunks::<LANES>().0.to_vec();
                let (g, d) = (blocks(&g), blocks(&d));
                let mut exact = [[0.0; LANES]; OUTPUTS];
                let mut plain = [F32x16::<S, N>::splat(0.0); OUTPUTS];
                let mut sums = [F32x16::<S, N>::splat(0.0); PRODUCTS];
                for (g, d) in g.chunks_exact(KERNEL).zip(d.chunks_exact(PRODUCTS)) {
                    for (k, i) in (0..OUTPUTS).flat_map(|k| (0..KERNEL).map(move |i| (k, i))) {
                        plain[k] = F32x16::load(&g[i]).mul_add(F32x16::load(&d[k + i]), plain[k]);
                        for (lane, exact) in exact[k].iter_mut().enumerate() {
                            *exact += f64::from(g[i][lane]) * f64::from(d[k + i][lane]);
                        }
                    }
                    let g = transform_filter(std::array::from_fn(|i| F32x16::load(&g[i])));
                    let d = transform_input(std::array::from_fn(|i| F32x16::load(&d[i])));
                    for product in 0..PRODUCTS {
                        sums[product] = g[product].mul_add(d[product], sums[product]);
                    }
                }
                for (error, found) in self.0.iter_mut().zip([plain, transform_output(sums, F32x16::splat(0.0))]) {
                    for (found, exact) in found.iter().zip(&exact) {
                        let values = found.to_array();
                        *error += values.iter().zip(exact).map(|(v, e)| (f64::from(*v) - e).powi(2)).sum::<f64>();
                    }
                }
            }
            for error in self.0 {
                *error = (*error / (ROUNDS * OUTPUTS * LANES) as f64).sqrt();
            }
        }
    }

    #[test]
    fn the_error_is_small() {
        for set in InstructionSet::available() {
            let mut errors = [0.0; 2];
            set.run(Errors(&mut errors));
            let [plain, nine_products] = errors;
            assert!(plain > 0.0 && nine_products < 5.0 * plain, "{}: {plain} and {nine_products}", set.name());
        }
    }
}
