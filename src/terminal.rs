//! Writing to standard error, which may be closed, and restoring the terminal.

use std::{
    fmt::Display,
    io::{Write, stderr, stdout},
};

/// Writes a line to standard error; a closed one is no error.
pub fn say(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Takes the terminal back from the dashboard before the program exits immediately.
pub(crate) fn restore() {
    use crossterm::{
        cursor::Show,
        event::DisableMouseCapture,
        execute,
        terminal::{LeaveAlternateScreen, disable_raw_mode},
    };
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), LeaveAlternateScreen, DisableMouseCapture, Show);
}
