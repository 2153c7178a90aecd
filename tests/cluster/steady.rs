//! Silence when nothing changes, and starts and ends of the process.

mod process;
mod silence;
