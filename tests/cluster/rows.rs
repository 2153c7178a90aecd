//! The decision table, row by row, with the real process: what a person sees, and that nothing is changed.

mod checks;
mod claims;
mod deletion;
mod drift;
mod people;
mod table;
mod way;
