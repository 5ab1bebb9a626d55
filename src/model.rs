//! The net. Its layers are named as in the 1998 paper (`LeCun` et al., section II.B,
//! <http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf>). The assignment's changes: ReLU for the sigmoids, maxima for the
//! averages, every map of S2 into every map of C3, and a linear output with softmax for the RBF units.

mod transfer;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    backend::DispatchTensor,
    module::{ModuleVisitor, Param},
    nn::{
        Linear, LinearConfig, Relu,
        conv::{Conv2d, Conv2dConfig},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    optim::GradientsParams,
    prelude::*,
    store::{ModuleRecord, RecordError},
    tensor::{Bytes, activation::softmax},
};

use burn_pack::Reader;
use lenet_kernels::{LayerParameters, Parameters, lengths};

use crate::{
    Error, Result, backend,
    config::{CLASSES, LossConfig, Operators},
    data::Images,
    fused,
};

/// Burn's CPU backends draw from one generator for the whole process: seeding and drawing must not interleave with other draws.
static RNG_LOCK: Mutex<()> = Mutex::new(());

/// LeNet-5 for any number of classes: 60,856 parameters and 85 for each class.
///
/// The fields are the keys of saved records: renaming one would make every checkpoint unreadable.
#[derive(Module, Debug)]
pub struct LeNet5 {
    /// C1: 6 kernels of 5x5, 156 parameters.
    pub c1: Conv2d,
    /// S2: maximum of 2x2.
    pub s2: MaxPool2d,
    /// C3: 16 kernels of 6x5x5, 2,416 parameters.
    pub c3: Conv2d,
    /// S4: maximum of 2x2.
    pub s4: MaxPool2d,
    /// C5: 120 kernels of 16x5x5, 48,120 parameters.
    pub c5: Conv2d,
    /// F6: 120 to 84, 10,164 parameters.
    pub f6: Linear,
    /// Output: 84 to the number of classes, 850 parameters for ten.
    pub output: Linear,
    relu: Relu,
    /// How training turns logits into a loss.
    #[module(skip)]
    pub loss: LossConfig,
    /// How much an image of each class counts in training; empty if all count the same.
    #[module(skip)]
    pub class_weights: Vec<f32>,
    /// What computes the net.
    #[module(skip)]
    pub operators: Operators,
}

/// Makes a [`LeNet5`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeNet5Config {
    /// The number of classes.
    pub classes: usize,
}

impl LeNet5Config {
    /// For so many classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes }
    }

    /// A net with random parameters, U(±1/√fan-in), drawn by the device's generator, one net after the other.
    #[must_use]
    pub fn init(self, device: &Device) -> LeNet5 {
        let _alone = RNG_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let net = self.undrawn(device);
        net.visit(&mut Draw);
        net
    }

    /// A net whose parameters are drawn with `seed`: the same ones on every backend.
    #[must_use]
    pub fn init_seeded(self, seed: u64, device: &Device) -> LeNet5 {
        let _alone = RNG_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let host = backend::host().unwrap_or_else(|| device.clone());
        host.seed(seed);
        // Taking a record draws them, in the order of the layers.
        let record = self.undrawn(&host).into_record();
        // Cannot fail: the record is of the same net.
        self.undrawn(device).try_load_record(record).unwrap_or_else(|_| self.undrawn(device))
    }

    /// A net whose parameters are drawn when they are first used. Whoever uses them holds [`RNG_LOCK`], or loads a record first.
    pub(crate) fn undrawn(self, device: &Device) -> LeNet5 {
        LeNet5 {
            c1: Conv2dConfig::new([1, 6], [5, 5]).init(device),
            s2: MaxPool2dConfig::new([2, 2]).init(),
            c3: Conv2dConfig::new([6, 16], [5, 5]).init(device),
            s4: MaxPool2dConfig::new([2, 2]).init(),
            c5: Conv2dConfig::new([16, 120], [5, 5]).init(device),
            f6: LinearConfig::new(120, 84).init(device),
            output: LinearConfig::new(84, self.classes).init(device),
            relu: Relu::new(),
            loss: LossConfig::default(),
            class_weights: Vec::new(),
            operators: Operators::default(),
        }
    }

    /// How many values such a net learns: 61,706 for ten classes.
    #[must_use]
    pub fn parameter_count(self) -> usize {
        lengths(self.classes).into_array().into_iter().sum()
    }
}

/// What a step of training needs.
pub(crate) struct FusedStep {
    /// The mean loss of an image by its weight, in nats.
    pub mean: f32,
    /// `[batch * classes]`
    pub logits: Vec<f32>,
    pub gradients: GradientsParams,
}

/// The output of each layer, after ReLU.
#[derive(Debug, Clone)]
pub struct Layers {
    /// `[batch, 6, 28, 28]`
    pub c1: Tensor<4>,
    /// `[batch, 6, 14, 14]`
    pub s2: Tensor<4>,
    /// `[batch, 16, 10, 10]`
    pub c3: Tensor<4>,
    /// `[batch, 16, 5, 5]`
    pub s4: Tensor<4>,
    /// `[batch, 120]`
    pub c5: Tensor<2>,
    /// `[batch, 84]`
    pub f6: Tensor<2>,
    /// `[batch, classes]`, logits
    pub output: Tensor<2>,
}

impl LeNet5 {
    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        // The weights are `[inputs, outputs]`.
        self.output.weight.lazy_shape()[1]
    }

    /// The same net, trained with another loss.
    #[must_use]
    pub fn with_loss(self, loss: LossConfig) -> Self {
        Self { loss, ..self }
    }

    /// The same net, in whose training an image of each class counts so much.
    #[must_use]
    pub fn with_class_weights(self, class_weights: Vec<f32>) -> Self {
        Self { class_weights, ..self }
    }

    /// The same net, computed by other operators.
    #[must_use]
    pub fn with_operators(self, operators: Operators) -> Self {
        Self { operators, ..self }
    }

    /// Logits, before softmax.
    ///
    /// # Shapes
    /// `[batch, 1, 32, 32] -> [batch, classes]`
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let fused = match self.operators {
            Operators::Fused => self.parameters(true).and_then(|parameters| fused::forward(&images, parameters)),
            Operators::Composed => None,
        };
        fused.unwrap_or_else(|| self.layers(images).output)
    }

    /// Logits of images, a row for each, without a backward pass to come: the same as by [`LeNet5::forward`], but where the fused
    /// operator applies, the images are made a few at a time.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn logits(&self, images: &Images, device: &Device) -> Result<Rows> {
        let parameters = self.untaped_if_fused();
        let fused = parameters.and_then(|parameters| fused::infer_images(Arc::new(images.clone()), parameters));
        rows(fused.unwrap_or_else(|| self.forward(images.tensor(device))))
    }

    /// The largest value of each unit over some images: of S2 and S4, map by map, of C5 and of F6.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn strongest_units(&self, images: &Images, device: &Device) -> Result<[Vec<f32>; 4]> {
        let parameters = self.untaped_if_fused();
        let fused = parameters.and_then(|parameters| fused::strongest_units(Arc::new(images.clone()), parameters));
        if let Some(all) = fused {
            let mut rest = fused::values(all)?.into_iter();
            return Ok([6, 16, 120, 84].map(|units| rest.by_ref().take(units).collect()));
        }
        let layers = self.layers(images.tensor(device));
        let [s2, s4] = [layers.s2, layers.s4].map(|maps| maps.max_dim(3).max_dim(2).flatten::<2>(1, 3));
        let [s2, s4, c5, f6] = [s2, s4, layers.c5, layers.f6].map(|units| fused::values(units.max_dim(0)));
        Ok([s2?, s4?, c5?, f6?])
    }

    /// The parameters, on no tape, if fused operators are to be used.
    fn untaped_if_fused(&self) -> Option<Parameters<DispatchTensor>> {
        match self.operators {
            Operators::Fused => self.parameters(false),
            Operators::Composed => None,
        }
    }

    /// A step's loss, logits and gradients by the fused operator, if it applies; see [`fused::step`].
    pub(crate) fn fused_step(
        &self,
        images: fused::SharedImages,
        targets: fused::Targets,
        share: f32,
    ) -> Option<FusedStep> {
        fn register<const D: usize>(
            gradients: &mut GradientsParams,
            param: &Param<Tensor<D>>,
            gradient: DispatchTensor,
        ) {
            gradients.register(param.id, Tensor::<D>::from_dispatch(gradient));
        }
        let mut step = fused::step(images, self.parameters(false)?, targets, share)?;
        let (mean, logits) = (step.mean, std::mem::take(&mut step.logits));
        let Parameters { c1, c3, c5, f6, output } = step.into_gradients();
        let mut gradients = GradientsParams::new();
        for (layer, grads) in [(&self.c1, c1), (&self.c3, c3), (&self.c5, c5)] {
            register(&mut gradients, &layer.weight, grads.weight);
            register(&mut gradients, layer.bias.as_ref()?, grads.bias);
        }
        for (layer, grads) in [(&self.f6, f6), (&self.output, output)] {
            register(&mut gradients, &layer.weight, grads.weight);
            register(&mut gradients, layer.bias.as_ref()?, grads.bias);
        }
        Some(FusedStep { mean, logits, gradients })
    }

    /// The parameters as the fused operators take them, with their tape or without; `None` if a layer has no bias.
    fn parameters(&self, taped: bool) -> Option<Parameters<DispatchTensor>> {
        fn value<const D: usize>(param: &Param<Tensor<D>>, taped: bool) -> DispatchTensor {
            let value = param.val();
            if taped { value.into_dispatch() } else { value.inner().into_dispatch() }
        }
        let layer =
            |weight, bias: Option<&Param<Tensor<1>>>| Some(LayerParameters { weight, bias: value(bias?, taped) });
        Some(Parameters {
            c1: layer(value(&self.c1.weight, taped), self.c1.bias.as_ref())?,
            c3: layer(value(&self.c3.weight, taped), self.c3.bias.as_ref())?,
            c5: layer(value(&self.c5.weight, taped), self.c5.bias.as_ref())?,
            f6: layer(value(&self.f6.weight, taped), self.f6.bias.as_ref())?,
            output: layer(value(&self.output.weight, taped), self.output.bias.as_ref())?,
        })
    }

    /// The output of each layer, by Burn's own operators.
    ///
    /// # Shapes
    /// images `[batch, 1, 32, 32]`; the outputs as [`Layers`] says
    #[must_use]
    pub fn layers(&self, images: Tensor<4>) -> Layers {
        let c1 = self.relu.forward(self.c1.forward(images));
        let s2 = self.s2.forward(c1.clone());
        let c3 = self.relu.forward(self.c3.forward(s2.clone()));
        let s4 = self.s4.forward(c3.clone());
        let c5 = self.relu.forward(self.c5.forward(s4.clone())).flatten::<2>(1, 3);
        let f6 = self.relu.forward(self.f6.forward(c5.clone()));
        let output = self.output.forward(f6.clone());
        Layers { c1, s2, c3, s4, c5, f6, output }
    }

    /// The probability of each class.
    ///
    /// # Shapes
    /// `[batch, 1, 32, 32] -> [batch, classes]`
    #[must_use]
    pub fn probabilities(&self, images: Tensor<4>) -> Tensor<2> {
        softmax(self.forward(images), 1)
    }

    /// Reads a net from a record file onto a device. It has as many classes as the record.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or holds another net.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::from_record(std::fs::read(path).map_err(Error::io("read", path))?, path, device)
    }

    /// Reads a net from the bytes of a record file onto a device; messages name it by `path`. It has as many classes as the
    /// record.
    ///
    /// # Errors
    /// The bytes are damaged or hold another net.
    pub fn from_record(bytes: Vec<u8>, path: &Path, device: &Device) -> Result<Self> {
        let classes = recorded_classes(&bytes, path)?;
        let net = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes))
            .and_then(|record| LeNet5Config::new(classes).undrawn(device).try_load_record(record))
            .map_err(|e| wrong_record(path, &e))?;
        let mut finite = AllFinite(Ok(true));
        net.visit(&mut finite);
        let reason = "holds values that are not finite numbers; it may be damaged: train again".to_owned();
        if finite.0? { Ok(net) } else { Err(Error::Record { path: path.to_owned(), reason }) }
    }
}

/// The number of classes of the net in a record. Burn's records do not show their shapes, but the format beneath does.
pub(crate) fn recorded_classes(record: &[u8], path: &Path) -> Result<usize> {
    let tensors = Reader::from_bytes(Bytes::from_bytes_vec(record.to_vec())).and_then(Reader::into_tensors);
    let tensors = tensors.map_err(|e| Error::unreadable_record(path, e))?;
    let bias = tensors.iter().find(|tensor| tensor.name == "output.bias").map(|tensor| tensor.shape.num_elements());
    bias.filter(|classes| CLASSES.contains(classes)).ok_or_else(|| {
        let [min, max] = [CLASSES.start(), CLASSES.end()];
        let what = match bias {
            Some(classes) => format!("its output has {classes} classes, not {min} to {max}"),
            None => "it has no output.bias".into(),
        };
        another_net(path, &what)
    })
}

/// A matrix's values, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    values: Vec<f32>,
    columns: usize,
}

impl Rows {
    /// All values, row by row.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns)
    }
}

/// Reads the rows of a `[batch, classes]` tensor.
pub(crate) fn rows(tensor: Tensor<2>) -> Result<Rows> {
    let columns = tensor.dims()[1].max(1);
    Ok(Rows { values: fused::values(tensor)?, columns })
}

/// The index of the largest value, the first of equals.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

/// Draws all parameters.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.val());
    }
}

struct AllFinite(Result<bool>);

impl ModuleVisitor for AllFinite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(true) = self.0 else { return };
        self.0 = fused::values(param.val()).map(|values| values.into_iter().all(f32::is_finite));
    }
}

fn wrong_record(path: &Path, error: &RecordError) -> Error {
    match error {
        RecordError::Io(what) => Error::unreadable_record(path, what),
        RecordError::Validation(what) => another_net(path, what),
    }
}

fn another_net(path: &Path, what: &str) -> Error {
    Error::Record { path: path.to_owned(), reason: format!("is a record of another net than LeNet-5 ({what})") }
}
