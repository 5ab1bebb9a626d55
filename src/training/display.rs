//! How training shows its progress.

use std::io::{IsTerminal, stderr, stdin, stdout};

use burn::train::{Interrupter, renderer::tui::TuiMetricsRendererWrapper};
use indicatif::{ProgressBar, ProgressStyle};

/// How training shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Progress {
    /// The dashboard in a terminal, the bar if only standard error is a terminal, else lines
    #[default]
    Auto,
    /// Burn's dashboard
    Dashboard,
    /// A progress bar on standard error, and a line for each epoch
    Bar,
    /// A line for each epoch on standard error
    Lines,
    /// Nothing
    None,
}

impl Progress {
    /// Replaces [`Progress::Auto`] by what suits the terminal, and the dashboard by lines if there is no terminal.
    #[must_use]
    pub fn resolve(self) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match self {
            Self::Auto if !stderr().is_terminal() || dumb => Self::Lines,
            Self::Auto if stdout().is_terminal() && stdin().is_terminal() => Self::Dashboard,
            Self::Auto => Self::Bar,
            Self::Dashboard if !stdout().is_terminal() => Self::Lines,
            chosen => chosen,
        }
    }
}

pub(super) enum Display {
    Dashboard(Box<TuiMetricsRendererWrapper>),
    Bar(ProgressBar),
    Lines,
    None,
}

impl Display {
    /// The display of a run that has finished `done` epochs already.
    pub(super) fn new(progress: Progress, done: usize, interrupter: &Interrupter) -> Self {
        match progress.resolve() {
            Progress::Dashboard => Self::Dashboard(Box::new(TuiMetricsRendererWrapper::new(
                interrupter.clone(),
                (done > 0).then_some(done),
            ))),
            Progress::Bar => Self::Bar(bar()),
            Progress::Lines | Progress::Auto => Self::Lines,
            Progress::None => Self::None,
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} images, {per_sec:0} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(0).with_style(style)
}

/// The dashboard puts the terminal into raw mode and ignores Ctrl-C: make the terminal send the signal again.
pub(super) fn listen_for_ctrl_c() {
    #[cfg(unix)]
    {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        if let Ok(mut terminal) = tcgetattr(stdin())
            && !terminal.local_flags.contains(LocalFlags::ISIG)
        {
            terminal.local_flags.insert(LocalFlags::ISIG);
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, &terminal);
        }
    }
}
