//! ONNX: the whole net as one graph, from the pixels of 28x28 images to logits and probabilities. The scale of the pixels
//! and the margin of background are inside, so that they cannot be forgotten.

mod proto;

use clap::ValueEnum;
use lenet_kernels::INPUT_SIDE;
use prost::Message;

use self::proto::{
    Attribute, Dimension, Entry, FLOAT, Graph, INT64, Kind, Model, Node, OperatorSet, Shape, Side, Tensor, TensorKind,
    UINT8, ValueInfo,
};
use super::Metadata;
use crate::{
    config::Scale,
    data::IMAGE_SIDE,
    state_dict::{StateDict, named},
};

/// The version of the file format, and of the set of operators: runtimes since 2022 read them.
///
/// Source: <https://github.com/onnx/onnx/blob/main/docs/Versioning.md>.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
/// The dimension that is as long as the caller likes.
const BATCH: &str = "N";

/// What the graph takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Input {
    /// Bytes: uint8 [N, 28, 28], 0 (background) to 255
    #[default]
    Byte,
    /// Numbers: float32 [N, 1, 28, 28], 0 (background) to 1
    Float,
}

pub(super) fn to_bytes(parameters: &StateDict, scale: Scale, input: Input, metadata: &Metadata) -> Vec<u8> {
    let metadata = metadata.iter().map(|(key, value)| Entry { key: (*key).into(), value: value.clone() });
    Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "LeNet-5: which class a 28x28 image shows".into(),
        graph: Some(graph(parameters, scale, input)),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: metadata.collect(),
    }
    .encode_to_vec()
}

fn graph(dict: &StateDict, scale: Scale, input: Input) -> Graph {
    let mut chain = Chain::new("image");
    preprocessing(&mut chain, scale, input);
    for (layer, pooling) in [("C1", "S2"), ("C3", "S4")] {
        chain.convolution(layer);
        chain.node(&format!("{layer}.relu"), "Relu", &[], vec![]);
        chain.node(pooling, "MaxPool", &[], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    }
    chain.convolution("C5");
    chain.node("C5.relu", "Relu", &[], vec![]);
    chain.node("C5.flatten", "Flatten", &[], vec![int("axis", 1)]);
    chain.dense("F6", "F6");
    chain.node("F6.relu", "Relu", &[], vec![]);
    chain.dense("output", "logits");
    chain.named("softmax", "Softmax", &[], vec![int("axis", 1)], "probabilities");

    let parameters = named(dict).map(|(name, tensor)| Tensor {
        dims: tensor.shape.iter().map(|side| whole(*side)).collect(),
        data_type: FLOAT,
        name: name.into(),
        raw_data: tensor.bytes(),
    });
    chain.initializers.extend(parameters);
    let classes = dict.output.bias.values.len();
    Graph {
        node: chain.nodes,
        name: "LeNet-5".into(),
        initializer: chain.initializers,
        input: vec![image(input)],
        output: vec![
            value("logits", FLOAT, &[classes], "before softmax"),
            value("probabilities", FLOAT, &[classes], "of each class, 0 to 1"),
        ],
    }
}

/// From what the caller has to what C1 takes: `[N, 1, 32, 32]`, scaled.
fn preprocessing(chain: &mut Chain, scale: Scale, input: Input) {
    let (slope, intercept) = scale.linear();
    let slope = match input {
        Input::Byte => {
            chain.constants("image.channel_axis", INT64, &[1], 1_i64.to_le_bytes().to_vec());
            chain.node("image.channel", "Unsqueeze", &["image.channel_axis"], vec![]);
            chain.node("image.float", "Cast", &[], vec![int("to", FLOAT.into())]);
            slope
        }
        Input::Float => slope * 255.0,
    };
    let margin = whole((INPUT_SIDE - IMAGE_SIDE) / 2);
    let margins = [0, 0, margin, margin, 0, 0, margin, margin].map(i64::to_le_bytes);
    chain.constants("image.margins", INT64, &[8], margins.concat());
    chain.node("image.pad", "Pad", &["image.margins"], vec![]);
    for (name, operator, constant, neutral) in
        [("image.scale", "Mul", slope, 1.0_f32), ("image.shift", "Add", intercept, 0.0)]
    {
        if constant.to_bits() != neutral.to_bits() {
            let value = format!("{name}.by");
            chain.constants(&value, FLOAT, &[], constant.to_le_bytes().to_vec());
            chain.node(name, operator, &[&value], vec![]);
        }
    }
}

/// Nodes of which each takes what the one before it gives, and constants.
struct Chain {
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
    last: String,
}

impl Chain {
    fn new(input: &str) -> Self {
        Self { nodes: Vec::new(), initializers: Vec::new(), last: input.into() }
    }

    fn node(&mut self, name: &str, operator: &str, constants: &[&str], attributes: Vec<Attribute>) {
        self.named(name, operator, constants, attributes, name);
    }

    /// A node whose output has another name than itself.
    fn named(&mut self, name: &str, operator: &str, constants: &[&str], attributes: Vec<Attribute>, output: &str) {
        let last = std::mem::replace(&mut self.last, output.into());
        let constants = constants.iter().map(|constant| (*constant).to_owned());
        self.nodes.push(Node {
            input: std::iter::once(last).chain(constants).collect(),
            output: vec![output.into()],
            name: name.into(),
            op_type: operator.into(),
            attribute: attributes,
        });
    }

    fn convolution(&mut self, layer: &str) {
        let [weight, bias] = parameters(layer);
        self.node(layer, "Conv", &[&weight, &bias], vec![ints("kernel_shape", &[5, 5])]);
    }

    fn dense(&mut self, layer: &str, output: &str) {
        let [weight, bias] = parameters(layer);
        self.named(layer, "Gemm", &[&weight, &bias], vec![int("transB", 1)], output);
    }

    fn constants(&mut self, name: &str, data_type: i32, dims: &[i64], raw_data: Vec<u8>) {
        self.initializers.push(Tensor { dims: dims.to_vec(), data_type, name: name.into(), raw_data });
    }
}

/// The names of a layer's parameters.
fn parameters(layer: &str) -> [String; 2] {
    ["weight", "bias"].map(|kind| format!("{}.{kind}", layer.to_lowercase()))
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.into(), i: Some(value), ints: Vec::new(), kind: 2 }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.into(), i: None, ints: values.to_vec(), kind: 7 }
}

fn image(input: Input) -> ValueInfo {
    let side = IMAGE_SIDE;
    match input {
        Input::Byte => value("image", UINT8, &[side, side], "pixels from 0 (background) to 255 (foreground)"),
        Input::Float => value("image", FLOAT, &[1, side, side], "pixels from 0 (background) to 1 (foreground)"),
    }
}

/// A tensor for each image of a batch.
fn value(name: &str, elem_type: i32, sides: &[usize], doc_string: &str) -> ValueInfo {
    let fixed = sides.iter().map(|side| Side::Fixed(whole(*side)));
    let sides = std::iter::once(Side::Named(BATCH.into())).chain(fixed);
    let shape = Shape { dim: sides.map(|side| Dimension { side: Some(side) }).collect() };
    let kind = Kind { tensor: Some(TensorKind { elem_type, shape: Some(shape) }) };
    ValueInfo { name: name.into(), kind: Some(kind), doc_string: doc_string.into() }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
