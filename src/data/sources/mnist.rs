//! MNIST through Burn's `MnistDataset`. It trusts its cache folder and panics on anything wrong in it, so the folder is
//! checked, and repaired from the files that come with this project.

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use burn::data::dataset::Dataset;
use burn_dataset::vision::{MnistDataset, MnistItem};
use rayon::prelude::*;

use super::{
    files::{FILES, file_of_mnist},
    idx,
};
use crate::{
    Error, Result,
    data::{ImageSet, PIXELS, digits},
    files::{is_temporary, remove_files, sha256, sha256_of_file, write_atomically},
    panics,
};

/// SHA-256 of the four uncompressed files, in the order of [`FILES`]. Their MD5 sums are the published ones.
const SHA256: [&str; 4] = [
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
];

/// Who holds a lock on this file of the cache repairs it, or wants it to stay as it is.
const LOCK: &str = "lenet.lock";

/// At most this many bytes of a file are read; the largest is 47 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Loads the training and the test set of MNIST with Burn's `MnistDataset`, from its cache folder, which is checked and, if need be,
/// filled or repaired.
///
/// # Errors
/// The files are neither in the cache nor in `data/mnist` and cannot be downloaded, or the cache cannot be written.
pub fn load_mnist() -> Result<(ImageSet, ImageSet)> {
    let cache = dirs::cache_dir()
        .ok_or_else(|| {
            Error::Data(
                "there is no cache folder for MNIST: set HOME, or data.folder to the folder of its files".into(),
            )
        })?
        .join("burn-dataset")
        .join("mnist");
    if let Some(sets) = load_intact(&cache) {
        return Ok(sets);
    }
    match prepare(&cache) {
        Ok(()) => load(&cache),
        // The cache may be read-only: then the files that come with the program are read directly.
        Err(error) => sources().iter().find_map(|folder| idx::read_folder(folder, &[]).ok()).ok_or(error),
    }
}

/// The training and the test set, if the cache is as it should be. Checking takes a third of the time of loading, so both are done
/// at once.
fn load_intact(cache: &Path) -> Option<(ImageSet, ImageSet)> {
    // Waits while another process repairs the cache, and lets none begin.
    let lock = File::open(cache.join(LOCK)).ok();
    lock.as_ref().map(File::lock_shared).transpose().ok()?;
    // Burn would download what is missing.
    let are_there = (0..FILES.len()).all(|index| cached(cache, index).is_file());
    let (wrong, loaded) = rayon::join(|| wrong_files(cache), || are_there.then(|| load(cache)));
    loaded.filter(|_| wrong.is_empty())?.ok()
}

/// The training and the test set that Burn finds in its cache.
fn load(cache: &Path) -> Result<(ImageSet, ImageSet)> {
    let load = |read: fn() -> MnistDataset| {
        let unreadable = |panic: String| {
            panics::of_the_system(&panic).unwrap_or_else(|| {
                Error::Data(format!("MNIST cannot be loaded from {}, though it is there: {panic}", cache.display()))
            })
        };
        to_bytes(&panics::catch(read).map_err(unreadable)?)
    };
    // One after the other, since loading holds the images in memory twice.
    Ok((load(MnistDataset::train)?, load(MnistDataset::test)?))
}

/// Makes sure that the cache holds the four files, undamaged.
fn prepare(cache: &Path) -> Result<()> {
    if wrong_files(cache).is_empty() {
        return Ok(());
    }
    for split in ["train", "test"] {
        let folder = cache.join(split);
        fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
    }
    // A second process waits here and then finds everything in place. The lock ends with the process.
    let lock_path = cache.join(LOCK);
    let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
    lock.lock().map_err(Error::io("lock", &lock_path))?;
    for split in ["train", "test"] {
        remove_files(&cache.join(split), is_temporary);
    }

    for index in wrong_files(cache) {
        let target = cached(cache, index);
        if let Some(bytes) = sources().iter().find_map(|folder| read_unpacked(&file_of_mnist(folder, index)?, index)) {
            write_atomically(&target, &bytes)?;
        } else if target.exists() {
            fs::remove_file(&target).map_err(Error::io("remove the damaged file", &target))?;
        }
    }
    if wrong_files(cache).is_empty() {
        return Ok(());
    }
    // Burn downloads what is missing, and panics if it cannot.
    match panics::catch(|| (MnistDataset::train(), MnistDataset::test())) {
        Ok(_) if wrong_files(cache).is_empty() => Ok(()),
        Ok(_) => Err(not_found(cache, "what came is not MNIST")),
        Err(panic) => Err(panics::of_the_system(&panic).unwrap_or_else(|| not_found(cache, &panic))),
    }
}

fn not_found(cache: &Path, why: &str) -> Error {
    // Of a panic, what the system said.
    let why = why.rsplit('"').nth(1).unwrap_or(why);
    let names = FILES.map(|name| format!("{name}.gz")).join(", ");
    let damaged = damaged_files().map(|what| format!(". {what}")).unwrap_or_default();
    Error::Data(format!(
        "MNIST was not found: it is neither in {} nor in data/mnist, and it could not be downloaded ({why}). Put \
         {names} into the folder data/mnist, or set data.folder to a folder that holds them{damaged}",
        cache.display()
    ))
}

/// What is wrong with the first file that is there but is not MNIST's.
fn damaged_files() -> Option<String> {
    let folders = sources();
    let files = folders.iter().flat_map(|folder| (0..FILES.len()).map(move |role| (folder, role)));
    let mut complaints =
        files.filter_map(|(folder, role)| Some(idx::complaint(&file_of_mnist(folder, role)?, role)?.to_string()));
    complaints.next()
}

/// The folders that may hold the files: in the working folder, and where this program was built.
fn sources() -> [PathBuf; 2] {
    ["data/mnist".into(), Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")]
}

/// Where Burn looks for a file.
fn cached(cache: &Path, index: usize) -> PathBuf {
    cache.join(if index < 2 { "train" } else { "test" }).join(FILES[index])
}

/// The indices of the files that are missing from the cache or damaged.
fn wrong_files(cache: &Path) -> Vec<usize> {
    let intact = |index: &usize| {
        let path = cached(cache, *index);
        // A pipe would have to be waited for.
        let file = path.is_file().then(|| File::open(path).ok()).flatten()?.take(MAX_FILE_BYTES);
        (sha256_of_file(file).ok()? == SHA256[*index]).then_some(())
    };
    (0..FILES.len()).filter(|index| intact(index).is_none()).collect()
}

/// The content of a file, gzipped or not, if it is intact.
fn read_unpacked(path: &Path, index: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    idx::unpacked(BufReader::new(File::open(path).ok()?)).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    (sha256(&bytes) == SHA256[index]).then_some(bytes)
}

/// Burn's items as bytes: its pixels are whole numbers from 0 to 255, as `f32`.
fn to_bytes(dataset: &impl Dataset<MnistItem>) -> Result<ImageSet> {
    let (mut pixels, mut labels) = (vec![0; dataset.len() * PIXELS], vec![0; dataset.len()]);
    let images = pixels.as_chunks_mut::<PIXELS>().0.par_iter_mut().zip(&mut labels).enumerate();
    images.try_for_each(|(index, (pixels, label))| {
        let item = dataset.get(index).map_err(|e| Error::Data(format!("image {index} of MNIST: {e}")))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they were bytes before")]
        pixels.iter_mut().zip(item.image.as_flattened()).for_each(|(to, pixel)| *to = *pixel as u8);
        *label = item.label;
        Ok(())
    })?;
    ImageSet::new(pixels, labels, digits())
}
