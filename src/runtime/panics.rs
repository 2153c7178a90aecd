//! What is told of a panic: where it was, and nothing of what it says. A panic's text can hold the value that something
//! stumbled over, and in this program that may be a secret.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{self, PanicHookInfo},
};

/// From now on a panic is a line of the log. A backtrace is added where `RUST_BACKTRACE` asks for one.
pub fn log_places_only() {
    panic::set_hook(Box::new(|panicked| {
        let place = place(panicked);
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured)
            .then(|| tracing::field::display(&backtrace));
        tracing::error!(place, backtrace, "the operator has an error of its own");
    }));
}

/// The same for a command that keeps no log.
pub fn tell_places_only() {
    panic::set_hook(Box::new(|panicked| {
        let place = place(panicked);
        eprintln!(
            "dualwrite-operator: the program has an error of its own, at {place}. Please report it to the project."
        );
    }));
}

fn place(panicked: &PanicHookInfo<'_>) -> String {
    panicked
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}
