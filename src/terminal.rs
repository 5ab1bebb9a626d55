//! Standard error, which may be closed, and the terminal, which may have to be put in order.

use std::{
    fmt::Display,
    io::{Write, stderr, stdout},
};

/// Writes a line to standard error. Whoever closed it does not want to know.
pub fn say(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Takes the terminal back from the dashboard when the program ends at once.
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
