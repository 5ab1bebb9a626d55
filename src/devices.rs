//! The devices of a run: one, or several that share each mini-batch.
//!
//! Several are Burn's [`ExecutionStrategy::multi`]: each computes the gradients of its part, the first one adds them up, makes
//! the optimizer's step and hands the new parameters to the others. Burn leaves it at the sum, and gives each device images and
//! mini-batches of its own. Here they share the mini-batches that a single device would have, and each part has the weight of
//! its images. So the learning rate, the schedule, the checkpoints and, but for rounding, the results do not depend on how many
//! devices there are.

use std::sync::Arc;

use burn::{
    data::dataloader::{DataLoader, DataLoaderIterator},
    tensor::Device,
    train::{ExecutionStrategy, MultiDeviceOptim, train::WorkerFailure},
};

use crate::{
    Error, Result,
    backend::{FoundDevice, base_name, is_host, lost, select},
    config::Config,
    data::{Batch, BatchLoader},
};

/// The devices that a run trains on: at least one.
#[derive(Debug, Clone)]
pub struct Devices {
    main: FoundDevice,
    others: Vec<FoundDevice>,
}

impl Devices {
    /// Finds the devices that a config names, and checks that they work.
    ///
    /// # Errors
    /// One is unknown or does not work, one that is not the CPU is named twice, or they are of several backends.
    pub fn select(config: &Config) -> Result<Self> {
        let (main, others) = match config.devices.split_first() {
            None => (&config.backend, &[][..]),
            Some(names) => names,
        };
        let main = select(main)?;
        let others = others.iter().map(|name| select(name)).collect::<Result<Vec<_>>>()?;
        let devices = Self { main, others };
        devices.check()?;
        Ok(devices)
    }

    fn check(&self) -> Result<()> {
        let found: Vec<_> = self.found().collect();
        let name = &self.main.name;
        if let Some(other) = self.others.iter().find(|other| base_name(&other.name) != base_name(name)) {
            return Err(Error::Config(format!(
                "devices must be of one backend, but {name} and {} are not: the slower one would keep the other waiting",
                other.name
            )));
        }
        let again = found.iter().enumerate().find(|(i, it)| found[..*i].iter().any(|before| before.name == it.name));
        // The CPU's only serve to try out what several do.
        if let Some((_, it)) = again
            && !is_host(&it.device)
        {
            return Err(Error::Config(format!(
                "devices names {} twice; it is one device, which would only do the same work in two parts",
                it.name
            )));
        }
        Ok(())
    }

    fn found(&self) -> impl Iterator<Item = &FoundDevice> {
        std::iter::once(&self.main).chain(&self.others)
    }

    /// The device that holds the parameters, makes the optimizer's steps, validates and tests: the first one.
    #[must_use]
    pub fn main(&self) -> &Device {
        &self.main.device
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Their names in the config, separated by commas.
    #[must_use]
    pub fn names(&self) -> String {
        self.found().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The hardware, as the drivers name it; devices of a kind are counted.
    #[must_use]
    pub fn hardware(&self) -> String {
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for it in self.found() {
            match kinds.iter_mut().find(|(kind, _)| *kind == it.hardware) {
                Some((_, count)) => *count += 1,
                None => kinds.push((&it.hardware, 1)),
            }
        }
        let shown = kinds.into_iter().map(|(kind, count)| match count {
            1 => kind.to_owned(),
            _ => format!("{count} x {kind}"),
        });
        shown.collect::<Vec<_>>().join("; ")
    }

    /// Whether Burn's threads, one for each of several devices, compute on the thread pool of this process. Then training must
    /// not wait for them on a thread of the pool.
    #[must_use]
    pub(crate) fn share_the_pool(&self) -> bool {
        !self.others.is_empty() && is_host(self.main())
    }

    /// Burn's strategy for several devices; `None` for one.
    pub(crate) fn strategy(&self) -> Option<ExecutionStrategy> {
        let devices = || self.found().map(|it| it.device.clone().autodiff()).collect();
        (!self.others.is_empty()).then(|| ExecutionStrategy::multi(devices(), MultiDeviceOptim::OptimMainDevice))
    }

    /// The loader of the training images: Burn takes from it one for each device.
    ///
    /// # Errors
    /// There are fewer images than devices.
    pub(crate) fn loader(&self, whole: BatchLoader) -> Result<Arc<dyn DataLoader<Batch>>> {
        let (count, images) = (self.count(), whole.num_items());
        if count == 1 {
            return Ok(Arc::new(whole));
        }
        if images < count {
            return Err(Error::Config(format!("devices are {count}, but there are only {images} images to train on")));
        }
        Ok(Arc::new(SharedLoader { whole, count }))
    }

    /// The error of a training; if a worker cannot be reached any more, that is its cause.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if !matches!(error, Error::Training(_) | Error::Device(_)) {
            return error;
        }
        match self.found().find_map(|it| lost(&it.name)) {
            Some(lost) => Error::Training(format!(
                "{lost}; or `lenet train CONFIG --resume --backend NAME` continues elsewhere after the last epoch"
            )),
            None => error,
        }
    }

    /// The error for devices that failed while training.
    pub(crate) fn failed(&self, failures: &[WorkerFailure]) -> Error {
        let name = |index: usize| self.found().nth(index).map_or("an unknown device", |it| it.name.as_str());
        let shown = failures.iter().map(|it| format!("{} failed: {}", name(it.device_id), it.message));
        Error::Training(format!(
            "{}. `lenet train CONFIG --resume` continues after the last epoch, with --devices on those that work",
            shown.collect::<Vec<_>>().join("; ")
        ))
    }
}

/// A loader whose slices are the devices' parts of each mini-batch.
struct SharedLoader {
    whole: BatchLoader,
    count: usize,
}

impl DataLoader<Batch> for SharedLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        self.whole.iter()
    }

    fn num_items(&self) -> usize {
        self.whole.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.whole.to_device(device)
    }

    /// Burn asks for as many slices as there are devices, of as many images each: here only their order counts.
    fn slice(&self, start: usize, _: usize) -> Arc<dyn DataLoader<Batch>> {
        let index = start / (self.num_items() / self.count).max(1);
        Arc::new(self.whole.part(index, self.count))
    }
}

#[cfg(test)]
mod tests {
    use burn::data::dataloader::split::split_dataloader;

    use super::*;
    use crate::data::load_mnist;

    fn devices(names: &[&str]) -> Result<Devices> {
        let devices = names.iter().map(ToString::to_string).collect();
        Devices::select(&Config { devices, ..Config::default() })
    }

    fn labels(batch: &Batch) -> Vec<i32> {
        batch.targets.clone().into_data().iter().collect()
    }

    #[test]
    fn the_parts_make_up_the_mini_batches_of_one_device_in_every_epoch() {
        let (train, _) = load_mnist().unwrap();
        // The last mini-batch has two images, fewer than devices.
        let whole = || BatchLoader::new(train.slice(0, 34), 16, Device::flex()).shuffled(1, 3);
        let three = devices(&["flex", "flex", "flex"]).unwrap();
        let parts = split_dataloader(three.loader(whole()).unwrap(), &[Device::flex(), Device::flex(), Device::flex()]);
        let whole = whole();
        for _ in 0..2 {
            let mut iterators: Vec<_> = parts.iter().map(|part| part.iter()).collect();
            for batch in whole.iter() {
                let batch = batch.unwrap();
                let parts: Vec<_> = iterators.iter_mut().filter_map(Iterator::next).map(|part| part.unwrap()).collect();
                assert_eq!(parts.iter().flat_map(labels).collect::<Vec<_>>(), labels(&batch));
                let shares: f64 = parts.iter().map(|part| part.share).sum();
                assert!((shares - 1.0).abs() < 1e-12 && batch.share.to_bits() == 1.0_f64.to_bits());
                for part in &parts {
                    let share = labels(part).len() as f64 / labels(&batch).len() as f64;
                    assert!((part.share - share).abs() < 1e-12);
                }
            }
            assert!(iterators.iter_mut().all(|iterator| iterator.next().is_none()));
        }
        assert!(three.loader(BatchLoader::new(train.slice(0, 2), 16, Device::flex())).is_err());
    }

    #[test]
    fn devices_have_names_and_failures_name_them() {
        let two = devices(&["flex", "flex:0"]).unwrap();
        assert_eq!(two.names(), "flex, flex");
        assert!(two.hardware().starts_with("2 x the CPU"), "{}", two.hardware());
        let failure = WorkerFailure { device_id: 1, message: "out of memory".into() };
        assert!(two.failed(&[failure]).to_string().starts_with("training failed: flex failed: out of memory. "));
    }

    #[cfg(all(feature = "flex", feature = "ndarray"))]
    #[test]
    fn devices_are_of_one_backend() {
        let error = devices(&["flex", "ndarray"]).unwrap_err();
        assert!(error.to_string().contains("one backend, but flex and ndarray"), "{error}");
    }
}
