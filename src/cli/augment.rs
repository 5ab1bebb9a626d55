//! `lenet augment`.

use std::path::PathBuf;

use super::print;
use crate::{Result, config::Config, data::Splits, page};

#[derive(Debug, clap::Args)]
pub(super) struct AugmentArgs {
    /// The config file, such as configs/best.toml
    config: PathBuf,
    /// Set a value of the config, such as augmentation.rotation=20; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The page to write
    #[arg(long, value_name = "FILE", default_value = "augmentation.html")]
    out: PathBuf,
}

impl AugmentArgs {
    pub(super) fn run(self) -> Result<()> {
        let config = Config::load(&self.config, &self.overrides)?;
        let name = self.config.display().to_string();
        page::write_augmentation(&name, &config, &Splits::load(&config)?.train, &self.out)?;
        print(&format!("{}\n", self.out.display()))
    }
}
