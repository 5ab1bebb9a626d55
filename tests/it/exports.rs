//! Nets for other programs, and nets from them.

use std::{
    error::Error,
    fs,
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
    process::Command,
};

use burn::tensor::Device;
use half::{bf16, f16};
use lenet::{
    data::load_mnist,
    evaluation::Evaluation,
    export::{Format, Input, Net},
    inference::Trained,
    picture,
    state_dict::{Values, net},
};
use rten::Model;
use rten_tensor::{NdTensor, prelude::*};
use serde_json::json;
use zip::write::SimpleFileOptions;

use crate::common::{arg, full_run, idx_files, model_bits, parameter_bits, project, run};

/// The net of [`full_run`], as it is exported.
fn exported() -> Net {
    Net::read(full_run().0.path(), None).unwrap()
}

fn evaluation(run_folder: &Path) -> Evaluation {
    let (code, output, error) = run(&["evaluate", arg(run_folder), "--json"]);
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&output).unwrap()
}

/// The documentation shows this function.
#[rustfmt::skip]
fn probabilities(file: &Path, images: &[[u8; 784]]) -> Result<NdTensor<f32, 2>, Box<dyn Error>> {
    let net = Model::load_file(file)?;
    let image = NdTensor::from_data([images.len(), 28, 28], images.as_flattened().to_vec());
    let [probabilities] = net.run_n(vec![(net.node_id("image")?, image.into())], [net.node_id("probabilities")?], None)?;
    Ok(probabilities.try_into()?)
}

/// The logits by another program; `images` are bytes, or numbers from 0 to 1.
fn logits(net: &Model, images: &[[u8; 784]], input: Input) -> Vec<f32> {
    let bytes = images.as_flattened();
    let image = match input {
        Input::Byte => NdTensor::from_data([images.len(), 28, 28], bytes.to_vec()).into(),
        Input::Float => {
            let floats = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<_>>();
            NdTensor::from_data([images.len(), 1, 28, 28], floats).into()
        }
    };
    let inputs = vec![(net.node_id("image").unwrap(), image)];
    let [logits] = net.run_n(inputs, [net.node_id("logits").unwrap()], None).unwrap();
    let logits: NdTensor<f32, 2> = logits.try_into().unwrap();
    logits.to_vec()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn an_onnx_file_gives_the_same_answers_in_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    let (code, output, error) = run(&["export", arg(full_run().0.path()), arg(&file)]);
    assert_eq!((code, output.trim_end()), (0, arg(&file)), "{error}");
    let (_, test) = load_mnist().unwrap();
    let images: Vec<[u8; 784]> = (0..test.len()).map(|i| *test.image(i)).collect();
    let trained = Trained::load(full_run().0.path(), None).unwrap();
    let ours = trained.probabilities(&images).unwrap();
    let theirs = probabilities(&file, &images).unwrap().to_vec();
    assert!(largest_difference(&ours.concat(), &theirs) < 1e-5);
    let answer = |row: &[f32]| (0..10).max_by(|a, b| row[*a].total_cmp(&row[*b]));
    assert!(ours.iter().zip(theirs.chunks(10)).all(|(ours, theirs)| answer(ours) == answer(theirs)));

    let batch = lenet::data::images_tensor(images.iter(), trained.card.scale, &trained.device);
    let ours: Vec<f32> = trained.net.forward(batch).into_data().iter().collect();
    for input in [Input::Byte, Input::Float] {
        let net = Model::load(exported().to_bytes(Format::Onnx, input).unwrap()).unwrap();
        for size in [1, 7, 1000] {
            let theirs = logits(&net, &images[..size], input);
            assert!(largest_difference(&ours[..size * 10], &theirs) < 1e-4, "{input:?}, {size} images");
        }
    }
}

#[test]
fn the_scale_of_the_pixels_is_in_the_graph() {
    let (_, test) = load_mnist().unwrap();
    let images = [*test.image(0), *test.image(1)];
    for scale in [lenet::config::Scale::Standard, lenet::config::Scale::Unit, lenet::config::Scale::Byte] {
        let mut exported = exported();
        exported.card.scale = scale;
        let device = Device::flex();
        let batch = lenet::data::images_tensor(images.iter(), scale, &device);
        let ours: Vec<f32> = net(&exported.parameters, &device).unwrap().forward(batch).into_data().iter().collect();
        for input in [Input::Byte, Input::Float] {
            let model = Model::load(exported.to_bytes(Format::Onnx, input).unwrap()).unwrap();
            let theirs = logits(&model, &images, input);
            let size = ours.iter().fold(1.0, |size: f32, logit| size.max(logit.abs()));
            assert!(largest_difference(&ours, &theirs) / size < 1e-5, "{scale:?}, {input:?}");
        }
    }
}

#[test]
fn the_documented_function_is_this_one() {
    let document = fs::read_to_string(project("docs/other-programs.md")).unwrap();
    let block = document.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(include_str!("exports.rs").contains(block));
}

#[test]
fn a_net_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let original = full_run().0.path();
    for name in ["net.safetensors", "net.PT", "net.pth"] {
        let (file, back) = (folder.path().join(name), folder.path().join(format!("{name}-run")));
        assert_eq!(run(&["export", arg(original), arg(&file)]).0, 0);
        let first = fs::read(&file).unwrap();
        assert_eq!(run(&["export", arg(original), arg(&file)]).0, 0);
        assert_eq!(fs::read(&file).unwrap(), first, "equal runs give equal bytes");

        let (code, output, error) = run(&["import", arg(&file), "--out", arg(&back)]);
        assert_eq!(code, 0, "{error}");
        let why = if name == "net.safetensors" { ": the file says so" } else { " (loss on 1000 images: standard 0.0" };
        assert!(error.contains(&format!("the pixels are scaled as \"standard\"{why}")), "{error}");
        assert!(output.starts_with("test accuracy 9") && output.contains(arg(&back)), "{output}");
        assert_eq!(model_bits(&back), model_bits(original));
        assert_eq!(evaluation(&back), evaluation(original));
        let page = fs::read_to_string(back.join("report.html")).unwrap();
        assert!(page.contains("Imported: the parameters are from") && page.contains("Feature maps"));
    }
}

#[test]
fn an_imported_net_stands_where_a_run_stands() {
    let folder = tempfile::tempdir().unwrap();
    let [file, imported, tuned] = ["net.pt", "imported", "tuned"].map(|name| folder.path().join(name));
    assert_eq!(run(&["export", "pretrained", arg(&file)]).0, 0);
    assert_eq!(run(&["import", arg(&file), "--out", arg(&imported), "--scale", "standard"]).0, 0);
    let (_, output, _) = run(&["predict", arg(&imported), arg(&project("tests/pictures/7.png"))]);
    assert!(output.contains("7.png  7 "), "{output}");
    let train = |more: &[&str]| run(&[&["train", "configs/smoke.toml", "--set", "data.train=640"][..], more].concat());
    let slowly = ["--set", "training.epochs=1", "--set", "optimizer.learning_rate=1e-9", "--out", arg(&tuned)];
    let (code, output, error) = train(&[&slowly[..], &["--from", arg(&imported)]].concat());
    assert!(code == 0 && output.starts_with("test accuracy 99."), "{output}{error}");
    let page = folder.path().join("page.html");
    assert_eq!(run(&["report", arg(&imported), arg(&tuned), "--out", arg(&page)]).0, 0);
    assert_eq!(run(&["export", arg(&imported), arg(&folder.path().join("again.onnx"))]).0, 0);

    for (arguments, expected) in [
        (["evaluate", arg(&imported), "--split", "valid"], "unknown which images it learned from"),
        (["import", arg(&file), "--out", arg(&imported)], "already holds a run: add --force"),
    ] {
        let (code, _, error) = run(&arguments);
        assert!(code == 1 && error.contains(expected), "{error}");
    }
    let (code, _, error) = train(&["--resume", "--out", arg(&imported)]);
    assert!(code == 1 && error.contains("was imported") && error.contains("--from"), "{error}");
}

/// A file of safetensors, from names, types, shapes and bytes.
fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend(bytes);
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] });
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

fn f32s(tensor: &Values) -> Vec<u8> {
    tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The tensors as a tutorial's net has them: other names, another order, C5 as a dense layer, and all kinds of floats.
fn tutorial(parts: &Net) -> Vec<(&'static str, &'static str, &[usize], Vec<u8>)> {
    let dict = &parts.parameters;
    let doubles = |tensor: &Values| tensor.values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    let halves = |tensor: &Values| tensor.values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    let brains = |tensor: &Values| tensor.values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    vec![
        ("fc3.bias", "F32", &[10], f32s(&dict.output.bias)),
        ("fc1.weight", "F32", &[120, 400], f32s(&dict.c5.weight)),
        ("fc1.bias", "F32", &[120], f32s(&dict.c5.bias)),
        ("fc2.weight", "F64", &[84, 120], doubles(&dict.f6.weight)),
        ("fc2.bias", "F32", &[84], f32s(&dict.f6.bias)),
        ("conv1.weight", "F32", &[6, 1, 5, 5], f32s(&dict.c1.weight)),
        ("conv1.bias", "F16", &[6], halves(&dict.c1.bias)),
        ("conv2.weight", "F32", &[16, 6, 5, 5], f32s(&dict.c3.weight)),
        ("conv2.bias", "BF16", &[16], brains(&dict.c3.bias)),
        ("fc3.weight", "F32", &[10, 84], f32s(&dict.output.weight)),
    ]
}

#[test]
fn tensors_are_told_by_their_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("a tutorial's.safetensors"), folder.path().join("run"));
    let original = exported();
    let tensors = tutorial(&original);
    fs::write(&file, safetensors(&tensors)).unwrap();
    let (code, _, error) = run(&["import", arg(&file), "--out", arg(&out)]);
    assert_eq!(code, 0, "{error}");
    let rounded = |values: &Values, round: fn(f32) -> f32| Values {
        shape: values.shape.clone(),
        values: values.values.iter().map(|v| round(*v)).collect(),
    };
    let mut expected = original.parameters.clone();
    expected.c1.bias = rounded(&expected.c1.bias, |v| f16::from_f32(v).to_f32());
    expected.c3.bias = rounded(&expected.c3.bias, |v| bf16::from_f32(v).to_f32());
    assert_eq!(model_bits(&out), parameter_bits(&net(&expected, &Device::flex()).unwrap()));

    // A checkpoint: the optimizer has a tensor of the same shape for each parameter.
    let names: Vec<[String; 2]> =
        tensors.iter().map(|(name, ..)| ["state_dict", "optimizer"].map(|root| format!("{root}.{name}"))).collect();
    let both = names.iter().zip(&tensors).flat_map(|(names, (_, dtype, shape, bytes))| {
        names.iter().map(|name| (name.as_str(), *dtype, *shape, bytes.clone()))
    });
    fs::write(&file, safetensors(&both.collect::<Vec<_>>())).unwrap();
    let (code, _, error) = run(&["import", arg(&file), "--out", arg(&out), "--force"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(model_bits(&out), parameter_bits(&net(&expected, &Device::flex()).unwrap()));
}

/// A `state_dict` with one more entry: opcodes that push a key and a value, and set the item.
fn with_entry(torch: &[u8], opcodes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(torch)).unwrap();
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let name = entry.name().unwrap().into_owned();
        if name.ends_with("data.pkl") {
            assert_eq!(bytes.pop(), Some(b'.'));
            bytes.extend_from_slice(opcodes);
            bytes.push(b'.');
        }
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn of_a_checkpoint_that_holds_harmless_objects_the_tensors_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("lightning.pt"), folder.path().join("run"));
    let torch = exported().to_bytes(Format::Torch, Input::Byte).unwrap();
    fs::write(&file, with_entry(&torch, b"X\x05\0\0\0extracargparse\nNamespace\n)\x81s")).unwrap();
    let (code, _, error) = run(&["import", arg(&file), "--out", arg(&out)]);
    assert!(code == 0 && error.contains("also holds argparse.Namespace, of which nothing was read"), "{error}");
}

#[test]
fn a_file_that_is_not_what_it_claims_is_told_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let marker = folder.path().join("executed");
    let command = format!("touch {}", arg(&marker));
    let code = [b"\x80\x02cposix\nsystem\nX", &(command.len() as u32).to_le_bytes()[..], command.as_bytes(), b"\x85R."];
    let mut damaged = exported();
    damaged.parameters.c3.bias.values[3] = f32::NAN;
    let original = exported();
    let good = safetensors(&tutorial(&original));
    let other = [
        ("conv1.weight", "F32", &[32, 1, 3, 3][..], vec![0; 32 * 9 * 4]),
        ("conv1.bias", "F32", &[32], vec![0; 32 * 4]),
    ];
    let mut whole = tutorial(&original);
    whole[9] = ("fc3.weight", "I32", &[10, 84], vec![0; 10 * 84 * 4]);
    let mut more = tutorial(&original);
    more.push(("bn.weight", "F32", &[6], vec![0; 6 * 4]));
    let mut twice = tutorial(&original);
    twice.push(("ema.weight", "F32", &[10, 84], f32s(&original.parameters.output.weight)));
    let onnx = original.to_bytes(Format::Onnx, Input::Byte).unwrap();
    let torch = original.to_bytes(Format::Torch, Input::Byte).unwrap();
    // As an argument of something harmless, and as pickle writes since protocol 4.
    let nested = b"X\x05\0\0\0extracargparse\nNamespace\ncposix\nsystem\nX\x04\0\0\0true\x85R\x85Rs";
    let modern = b"X\x05\0\0\0extra\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x8c\x011\x85Rs";
    let mut call = b"X\x05\0\0\0extra".to_vec();
    call.extend_from_slice(&code[0][2..]);
    call.extend(code[1..].iter().copied().flatten());
    *call.last_mut().unwrap() = b's';
    let cases: [(&str, Vec<u8>, &[&str]); 16] = [
        (
            "twice.safetensors",
            safetensors(&twice),
            &["several for output.weight [classes, 84]", "no place for ema.weight [10, 84]"],
        ),
        ("cut.safetensors", good[..good.len() - 1].to_vec(), &["not a readable safetensors file", "damaged"]),
        ("empty.safetensors", Vec::new(), &["is empty. Copy or download it again"]),
        (
            "onnx.pt",
            onnx,
            &["is an ONNX file. Such files are not read: save the net's parameters as a safetensors file"],
        ),
        (
            "page.pt",
            b"<!DOCTYPE html><html>".to_vec(),
            &["is a web page (HTML). The download was answered with a page"],
        ),
        (
            "other.safetensors",
            safetensors(&other),
            &[
                "is not LeNet-5:\n  no c1.weight [6, 1, 5, 5]\n",
                "no c5.weight [120, 16, 5, 5] or [120, 400]",
                "no output.weight [classes, 84]",
                "no place for conv1.weight [32, 1, 3, 3]",
            ],
        ),
        ("more.safetensors", safetensors(&more), &["no place for ", "[6]"]),
        ("whole.safetensors", safetensors(&whole), &["fc3.weight: stored as I32, but only F32"]),
        (
            "nan.pt",
            damaged.to_bytes(Format::Torch, Input::Byte).unwrap(),
            &["its values cannot be used:\n  c3.bias: not all are finite numbers"],
        ),
        ("code.pt", code.concat(), &["names posix.system", "Nothing in it was executed"]),
        (
            "beside.pt",
            with_entry(&torch, &call),
            &["names posix.system, which runs when Python loads", "Nothing in it was executed", ".safetensors"],
        ),
        ("nested.pt", with_entry(&torch, nested), &["names posix.system"]),
        ("modern.pt", with_entry(&torch, modern), &["names builtins.eval"]),
        ("cut.pt", torch[..9999].to_vec(), &["not a readable state_dict of PyTorch", "damaged"]),
        ("net.h5", b"\x89HDF\r\n\x1a\n".to_vec(), &["is an HDF5 file, as Keras writes. Such files are not read"]),
        ("model.bpk", fs::read(full_run().0.path().join("model.bpk")).unwrap(), &["It needs no import"]),
    ];
    for (name, bytes, expected) in cases {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let (code, output, error) = run(&["import", arg(&file), "--out", arg(&out)]);
        assert_eq!((code, output.as_str()), (1, ""), "{error}");
        assert!(error.contains(name) && expected.iter().all(|text| error.contains(text)), "{error}");
        assert!(!error.contains("panicked") && !out.exists() && !marker.exists(), "{error}");
    }
    for (path, expected) in [(folder.path().join("none.pt"), "cannot read"), (folder.path().into(), "is not a file")] {
        let (code, _, error) = run(&["import", arg(&path), "--out", arg(&out)]);
        assert!(code == 1 && error.contains(expected) && !out.exists(), "{error}");
    }
}

#[test]
fn an_untrained_net_has_no_clear_scale() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("zero.safetensors"), folder.path().join("run"));
    let mut blank = exported();
    blank.parameters = blank.parameters.map(|tensor| Values { values: vec![0.0; tensor.values.len()], ..tensor });
    // Without the metadata that lenet writes.
    fs::write(&file, safetensors(&tutorial(&blank))).unwrap();
    let (code, _, error) = run(&["import", arg(&file), "--out", arg(&out)]);
    assert!(code == 2 && error.contains("clearly the best") && error.contains("--scale") && !out.exists(), "{error}");
    let (code, _, error) = run(&["import", arg(&file), "--out", arg(&out), "--scale", "byte"]);
    assert!(code == 0 && error.contains("warning: its shapes are those of LeNet-5, but it misses"), "{error}");
}

#[test]
fn other_classes_keep_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let (_, test) = load_mnist().unwrap();
    let items: Vec<_> =
        (0..300).map(|i| (*test.image(i), test.label(i))).filter(|(_, l)| [3, 5, 7].contains(l)).collect();
    for prefix in ["train", "t10k"] {
        idx_files(folder.path(), prefix, &items);
    }
    let mut three = exported();
    three.card.classes = ["a", "it's", "\u{fc}"].map(String::from).to_vec();
    let output = &mut three.parameters.output;
    output.weight = Values { shape: vec![3, 84], values: output.weight.values[..3 * 84].to_vec() };
    output.bias = Values { shape: vec![3], values: output.bias.values[..3].to_vec() };

    let images: Vec<[u8; 784]> = items.iter().map(|(image, _)| *image).collect();
    let net_of_three = net(&three.parameters, &Device::flex()).unwrap();
    let batch = lenet::data::images_tensor(images.iter(), three.card.scale, &Device::flex());
    let ours: Vec<f32> = net_of_three.forward(batch).into_data().iter().collect();
    let model = Model::load(three.to_bytes(Format::Onnx, Input::Byte).unwrap()).unwrap();
    assert!(largest_difference(&ours, &logits(&model, &images, Input::Byte)) < 1e-4);

    for (format, name, more, names) in [
        (Format::Safetensors, "three.safetensors", &[][..], ["a", "it's", "\u{fc}"]),
        // PyTorch's reader in Rust does not show the metadata: the names are those of the data.
        (Format::Torch, "three.pt", &["--scale", "standard"], ["3", "5", "7"]),
    ] {
        let (file, out) = (folder.path().join(name), folder.path().join("run"));
        fs::write(&file, three.to_bytes(format, Input::Byte).unwrap()).unwrap();
        let import = |more: &[&str]| run(&[&["import", arg(&file), "--out", arg(&out), "--force"], more].concat());
        let (code, _, error) = import(more);
        assert!(
            code == 2 && error.contains("tells apart 3 classes, but MNIST has 10 (0, 1, 2, \u{2026}, 9)"),
            "{error}"
        );
        let (code, _, error) = import(&[more, &["--data", arg(folder.path())]].concat());
        assert_eq!(code, 0, "{error}");
        let trained = Trained::load(&out, None).unwrap();
        assert_eq!((trained.classes(), trained.net.classes()), (&names.map(String::from)[..], 3));
        let digits = folder.path().join("digits");
        let (code, _, error) =
            run(&["train", "configs/smoke.toml", "--from", arg(&out), "--out", arg(&digits), "--force"]);
        // All but its output is taken for other classes.
        assert_eq!(code, 0, "{error}");
        let back = folder.path().join("back.safetensors");
        assert_eq!(run(&["export", arg(&out), arg(&back)]).0, 0);
        assert!(fs::read(&back).unwrap().windows(names[2].len()).any(|text| text == names[2].as_bytes()));
    }
}

#[test]
fn what_cannot_be_exported_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (arguments, code, expected) in [
        (vec!["export", "pretrained", &file("net.onx")], 2, ".html, .onnx, .safetensors and .pt"),
        (vec!["export", "pretrained", &file("net")], 2, ".html, .onnx, .safetensors and .pt"),
        (vec!["export", "pretrained", &file("net.html"), "--license", "MIT"], 2, "--license is for .onnx"),
        (vec!["export", "pretrained", &file("net.pt"), "--input", "float"], 2, "--input is for .onnx"),
        (vec!["export", "no/such", &file("net.pt")], 1, "is not a run"),
        (vec!["export", "pretrained", &file("no/such/net.pt")], 1, "cannot write into"),
    ] {
        let (got, output, error) = run(&arguments);
        assert_eq!((got, output.as_str()), (code, ""), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn training_begins_with_another_runs_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let train = |more: &[&str]| {
        let common = ["train", "configs/smoke.toml", "--set", "data.train=640", "--set", "training.epochs=2"];
        run(&[&common[..], &["--set", "optimizer.learning_rate=1e-9", "--out", arg(&out)], more].concat())
    };
    for (more, code, expected) in [
        (&["--from", "pretrained", "--set", "data.scale=unit"][..], 2, "--set data.scale=standard"),
        (&["--from", "no/such"], 1, "no/such is not a run"),
    ] {
        let (got, _, error) = train(more);
        assert!(got == code && error.contains(expected) && !out.exists(), "{error}");
    }
    let (code, output, error) = train(&["--from", "pretrained"]);
    assert_eq!(code, 0, "{error}");
    assert!(output.starts_with("test accuracy 99."), "{output}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["started_from"]["path"], "pretrained");
    assert!(fs::read_to_string(out.join("config.toml")).unwrap().contains("from = \"pretrained\""));
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("began with the parameters of pretrained"));
    // The run that is replaced may be the one to begin with, and a resumed run remembers it.
    let (code, output, error) = train(&["--from", arg(&out), "--force"]);
    assert!(code == 0 && output.starts_with("test accuracy 99."), "{output}{error}");
    let (code, output, error) = train(&["--from", arg(&out), "--resume", "--set", "training.epochs=3"]);
    assert!(code == 0 && output.starts_with("test accuracy 99."), "{output}{error}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["started_from"]["path"], arg(&out));
}

/// What a program prints, or why there is nothing.
fn printed(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Prints why a test is skipped, or fails if it must not be.
fn skip(reason: &str) {
    assert!(std::env::var_os("LENET_NEED_BROWSER").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

/// Compares a program's framing with ours. `program` makes a command from a file of pixels, a width and a height.
fn check_framing(needs: &str, program: impl Fn(&Path, u32, u32) -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("grey");
    for name in fs::read_dir(project("tests/pictures")).unwrap().map(|entry| entry.unwrap().path()) {
        let grey = picture::open(&name).unwrap().to_luma8();
        fs::write(&raw, grey.as_raw()).unwrap();
        let ours = picture::normalize(&grey.clone().into()).unwrap();
        let theirs = match printed(&mut program(&raw, grey.width(), grey.height())) {
            Ok(theirs) => theirs,
            Err(reason) => return skip(&format!("{needs}: {reason}")),
        };
        let differences: Vec<u8> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.abs_diff(*theirs)).collect();
        assert!(theirs.len() == 784 && differences.iter().all(|d| *d <= 1), "{}: {differences:?}", name.display());
    }
}

#[test]
fn numpy_frames_pictures_as_predict_does_first() {
    const FRAME: &str = "
import sys; sys.path.insert(0, 'examples')
import numpy as np
from frame import frame
file, width, height = sys.argv[1:]
sys.stdout.buffer.write(frame(np.fromfile(file, np.uint8).reshape(int(height), int(width))).tobytes())";
    let python = std::env::var_os("LENET_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    check_framing("no Python with numpy; `pip install numpy`, and LENET_PYTHON names it", |file, width, height| {
        let mut command = Command::new(&python);
        command.args(["-c", FRAME, arg(file), &width.to_string(), &height.to_string()]).current_dir(project(""));
        command
    });
}

#[test]
fn javascript_frames_pictures_as_predict_does_first() {
    const FRAME: &str = "
import { readFileSync } from 'node:fs';
import { frame } from './examples/frame.mjs';
const [file, width, height] = process.argv.slice(-3);
process.stdout.write(frame(readFileSync(file), Number(width), Number(height)));";
    check_framing("no Node; on Debian: apt install nodejs", |file, width, height| {
        let mut command = Command::new("node");
        let arguments = ["--input-type=module", "-e", FRAME, "--", arg(file), &width.to_string(), &height.to_string()];
        command.args(arguments).current_dir(project(""));
        command
    });
}
