//! A weight and a bias for each layer.

use crate::shapes::{C1_MAPS, C3_MAPS, C5, F6, S4, TAPS};

/// One layer's parameters, or their gradients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerParameters<T> {
    /// The weights.
    pub weight: T,
    /// The biases, one for each output.
    pub bias: T,
}

/// The net's parameters, or their gradients, layer by layer.
///
/// # Shapes
/// Those of Burn's modules: convolutions `[outputs, inputs, 5, 5]`, as PyTorch has them too; `f6` and `output` `[inputs,
/// outputs]`, which PyTorch has transposed; biases `[outputs]`. The output has as many as there are classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parameters<T> {
    /// `[6, 1, 5, 5]` and `[6]`
    pub c1: LayerParameters<T>,
    /// `[16, 6, 5, 5]` and `[16]`
    pub c3: LayerParameters<T>,
    /// `[120, 16, 5, 5]` and `[120]`
    pub c5: LayerParameters<T>,
    /// `[120, 84]` and `[84]`
    pub f6: LayerParameters<T>,
    /// `[84, classes]` and `[classes]`
    pub output: LayerParameters<T>,
}

/// How many values each parameter of a net with so many classes has: 60,856 and 85 for each class, which is 61,706 for ten.
#[must_use]
pub const fn lengths(classes: usize) -> Parameters<usize> {
    Parameters {
        c1: LayerParameters { weight: C1_MAPS * TAPS, bias: C1_MAPS },
        c3: LayerParameters { weight: C3_MAPS * C1_MAPS * TAPS, bias: C3_MAPS },
        c5: LayerParameters { weight: C5 * S4, bias: C5 },
        f6: LayerParameters { weight: C5 * F6, bias: F6 },
        output: LayerParameters { weight: F6 * classes, bias: classes },
    }
}

impl Parameters<&[f32]> {
    /// The number of classes, after a check that all lengths are those of a net.
    ///
    /// # Panics
    /// The parameters are not as long as [`lengths`] says, or there are no classes.
    pub(crate) fn classes(&self) -> usize {
        let classes = self.output.bias.len();
        assert!(classes > 0, "a net needs classes");
        assert_eq!(self.map(<[f32]>::len), lengths(classes));
        classes
    }
}

impl<T> Parameters<T> {
    /// The parameters in the order of the layers, weights before biases.
    pub fn into_array(self) -> [T; 10] {
        let Self { c1, c3, c5, f6, output } = self;
        [c1.weight, c1.bias, c3.weight, c3.bias, c5.weight, c5.bias, f6.weight, f6.bias, output.weight, output.bias]
    }

    /// The reverse of [`Parameters::into_array`].
    pub fn from_array(values: [T; 10]) -> Self {
        let [c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias] = values;
        Self {
            c1: LayerParameters { weight: c1, bias: c1_bias },
            c3: LayerParameters { weight: c3, bias: c3_bias },
            c5: LayerParameters { weight: c5, bias: c5_bias },
            f6: LayerParameters { weight: f6, bias: f6_bias },
            output: LayerParameters { weight: output, bias: output_bias },
        }
    }

    /// Applies `f` to each parameter.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Parameters<U> {
        Parameters::from_array(self.into_array().map(f))
    }

    /// Pairs of the parameters of both.
    pub fn zip<U>(self, other: Parameters<U>) -> Parameters<(T, U)> {
        Parameters {
            c1: self.c1.zip(other.c1),
            c3: self.c3.zip(other.c3),
            c5: self.c5.zip(other.c5),
            f6: self.f6.zip(other.f6),
            output: self.output.zip(other.output),
        }
    }

    /// References to the parameters.
    pub fn as_ref(&self) -> Parameters<&T> {
        let Self { c1, c3, c5, f6, output } = self;
        Parameters { c1: c1.as_ref(), c3: c3.as_ref(), c5: c5.as_ref(), f6: f6.as_ref(), output: output.as_ref() }
    }
}

impl<T> LayerParameters<T> {
    fn zip<U>(self, other: LayerParameters<U>) -> LayerParameters<(T, U)> {
        LayerParameters { weight: (self.weight, other.weight), bias: (self.bias, other.bias) }
    }

    fn as_ref(&self) -> LayerParameters<&T> {
        LayerParameters { weight: &self.weight, bias: &self.bias }
    }
}
