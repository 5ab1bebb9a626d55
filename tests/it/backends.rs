//! Compares every backend in the build with `flex`: results, learning, and runs that move from one to the other.
//!
//! A backend without a device on this machine is skipped, unless `LENET_NEED_DEVICES` is set, as in CI.

use burn::{
    data::dataloader::DataLoader,
    nn::loss::CrossEntropyLossConfig,
    optim::{GradientsParams, SgdConfig, momentum::MomentumConfig},
    prelude::*,
};
use lenet::{
    artifacts::Existing,
    backend::{BACKENDS, FoundDevice, select},
    config::Operators,
    data::BatchLoader,
    evaluation::evaluate,
    inference::Trained,
    model::{LeNet5, LeNet5Config},
};

use crate::{
    common::{arg, finish, lenet, smoke, splits, train_quietly},
    operator::{assert_close, assert_same, burn_step, images, values},
};

/// A device of each backend in the build except `flex`.
fn others() -> Vec<FoundDevice> {
    let mut found = Vec::new();
    for backend in BACKENDS.iter().filter(|b| b.compiled && b.name != "flex") {
        match select(backend.name) {
            Ok(device) => found.push(device),
            Err(reason) => {
                assert!(std::env::var_os("LENET_NEED_DEVICES").is_none(), "{reason}");
                eprintln!("skipped: {reason}");
            }
        }
    }
    found
}

/// A net with the same parameters on another device, computed by Burn's own operators.
fn on(device: &Device, net: &LeNet5) -> LeNet5 {
    let record = net.clone().into_record().cast_to_module_dtype();
    LeNet5Config::new(10).init(device).try_load_record(record).unwrap().with_operators(Operators::Composed)
}

#[test]
fn the_same_seed_draws_the_same_parameters_everywhere() {
    let expected = values(LeNet5Config::new(10).init_seeded(3, &Device::flex()).f6.weight.val());
    for found in others() {
        assert_eq!(
            values(LeNet5Config::new(10).init_seeded(3, &found.device.autodiff()).f6.weight.val()),
            expected,
            "{}",
            found.name
        );
    }
}

#[test]
fn logits_loss_and_gradients_agree() {
    let net = LeNet5Config::new(10).init_seeded(1, &Device::flex());
    let images = images(0, 13, 2);
    let flex = Device::flex().autodiff();
    let expected = burn_step(&on(&flex, &net), &images, &flex);
    for found in others() {
        let device = found.device.clone().autodiff();
        assert_same(&found.name, &burn_step(&on(&device, &net), &images, &device), &expected);
        // Once more without autodiff: inference may use other kernels than training.
        let data = TensorData::new(images.clone(), [13, 1, 32, 32]);
        let logits = on(&found.device, &net).forward(Tensor::from_data(data, &found.device));
        assert_close(&format!("{}: logits without autodiff", found.name), &values(logits), &expected.logits);
    }
}

/// The mean loss of every fifty training steps, and of twice as many test images at the end.
fn learn(net: &LeNet5, device: &Device, operators: Operators, steps: usize, batch_size: usize) -> (Vec<f64>, f64) {
    let training = device.clone().autodiff();
    let mut net = on(&training, net).with_operators(operators);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let images = splits().train.slice(0, steps * batch_size);
    let loader = BatchLoader::new(images, batch_size, training.clone());
    let mut losses = Vec::new();
    for batch in loader.iter() {
        let batch = batch.unwrap();
        let loss = CrossEntropyLossConfig::new()
            .init(&training)
            .forward(net.forward(batch.images.tensor(&training)), batch.targets);
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        losses.push(loss);
        net = optimizer.step(0.005, net, gradients);
    }
    let losses: Vec<f64> = losses.into_iter().map(|loss| values(loss)[0]).collect();
    let means = losses.chunks(50).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect();
    let net = on(device, &net).with_operators(operators);
    let tested = evaluate(&net, &splits().test.slice(0, 2 * steps), device).unwrap();
    (means, tested.loss)
}

#[test]
fn a_few_hundred_steps_reach_the_same_loss() {
    let net = LeNet5Config::new(10).init_seeded(1, &Device::flex());
    let expected = |steps, batch_size| learn(&net, &Device::flex(), Operators::Composed, steps, batch_size);
    let (expected, small_expected) = (expected(250, 16), expected(100, 1));
    assert!(expected.0[4] < 0.7 * expected.0[0] && expected.1 < expected.0[1], "{expected:?}");
    for found in others() {
        // The operators of `ndarray` itself are not optimized in this build: there are fewer steps there, of a single image.
        let ways: &[_] = match found.name.as_str() {
            "ndarray" => &[(Operators::Fused, 250, 16, &expected), (Operators::Composed, 100, 1, &small_expected)],
            _ => &[(Operators::Composed, 250, 16, &expected)],
        };
        for (operators, steps, batch_size, (losses, tested)) in ways {
            let learned = learn(&net, &found.device, *operators, *steps, *batch_size);
            for (loss, expected) in learned.0.iter().zip(losses).chain([(&learned.1, tested)]) {
                // Rounding errors grow with each step, but a wrong gradient or inference kernel differs far more than
                // this.
                assert!((loss - expected).abs() < 0.02 * expected, "{} {operators:?}: {learned:?}", found.name);
            }
        }
    }
}

#[test]
fn a_run_moves_from_one_backend_to_another() {
    let image: [u8; 784] = *splits().test.image(0);
    for found in others() {
        let folder = tempfile::tempdir().unwrap();
        let overrides = ["training.epochs=1", "data.train=320", "data.validation=100"];
        let mut config = smoke(&overrides);
        config.backend.clone_from(&found.name);
        let first = train_quietly(&config, folder.path(), Existing::Refuse).unwrap();
        assert_eq!((&first.backend, &first.hardware), (&found.name, &found.hardware));
        for backend in ["flex", &found.name] {
            config.backend = backend.into();
            config.training.epochs += 1;
            let report = train_quietly(&config, folder.path(), Existing::Resume).unwrap();
            assert_eq!((report.epochs.len(), report.backend.as_str()), (config.training.epochs, backend));
            let read: Vec<_> = ["flex", &found.name]
                .map(|name| Trained::load(folder.path(), Some(name)).unwrap().probabilities(&[image]).unwrap())
                .into_iter()
                .map(|rows| rows[0].iter().copied().map(f64::from).collect::<Vec<_>>())
                .collect();
            assert_close(&found.name, &read[1], &read[0]);
        }
    }
}

#[test]
fn a_missing_backend_or_device_says_what_to_do() {
    let complaint = |name: &str| select(name).unwrap_err().to_string();
    assert!(
        complaint("flex:7")
            .starts_with("backend \"flex:7\" finds one device here, flex:0. Use another one with --backend")
    );
    assert!(complaint("flex:x").contains("the device's index, such as flex:0"));
    assert!(complaint("tpu").contains("Known: auto, flex, ndarray, cpu, wgpu, vulkan, metal, webgpu, cuda, rocm"));
    for backend in BACKENDS.iter().filter(|b| !b.compiled) {
        let message = complaint(backend.name);
        assert!(message.contains(&format!("`cargo run --features {} -- …`", backend.name)), "{message}");
        assert!(message.contains("Compiled in: flex"), "{message}");
    }
    assert!(select("auto").is_ok());
}

/// With a GPU backend in the build but no driver on the machine, everything except that backend works, resuming too.
#[test]
fn without_a_driver_the_cpu_still_trains_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let train = |epochs: &str, more: &[&str]| {
        let epochs = format!("training.epochs={epochs}");
        let common = ["train", "configs/smoke.toml", "--out", arg(folder.path()), "--set", &epochs, "--quiet"];
        let mut command = lenet(&[&common[..], more].concat());
        for drivers in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "LIBGL_DRIVERS_PATH", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
            command.env(drivers, "/nowhere");
        }
        finish(command.env("BURN_DEVICE", "bogus").output().unwrap())
    };
    let (code, _, error) = train("1", &["--backend", "wgpu", "--set", "data.train=64"]);
    assert_eq!(code, 2, "{error}");
    let said = if cfg!(feature = "wgpu") { "finds no device here; it needs a driver" } else { "is not compiled in" };
    assert!(error.contains(said) && !error.contains("panicked"), "{error}");
    for (epochs, more) in [("1", &["--backend", "auto"][..]), ("2", &["--resume"])] {
        let (code, _, error) = train(epochs, more);
        assert_eq!(code, 0, "{error}");
    }
}
