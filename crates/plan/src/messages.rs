//! Every sentence that a person reads in a condition or an operation.
//!
//! Each names what is wrong, where, and what to do next, in the words of Lifecycle Services (LCS) and the Power Platform
//! admin center. Times are absolute, so that a message stays the same while nothing happens. No sentence advises an
//! irreversible step from missing visibility.

mod checks;
mod integration;
mod link;
mod mismatch;
mod operations;
mod plan;
mod reading;
mod reset;
mod reset_ends;
mod setup;
mod words;

pub use checks::*;
pub use integration::*;
pub use link::*;
pub use mismatch::*;
pub use operations::*;
pub use plan::*;
pub use reading::*;
pub use reset::*;
pub use reset_ends::*;
pub use setup::*;
pub use words::*;
