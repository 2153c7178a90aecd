//! The protocol of connections and operations: what is recorded, and when, so that no request is sent twice.
//!
//! An intent stands in the API server, with the resourceVersion of what the decision was made from, before anything is
//! sent. So whoever dies, is late or sees an old copy cannot send twice: it finds the intent, or is refused by it.
//!
//! The protocol knows neither a client nor a clock. What it needs of them are three traits, in [`shell`]: the operator
//! implements them with Kubernetes and Microsoft's APIs, the tests with both in memory and in virtual time.
//!
//! | File | What it holds |
//! |---|---|
//! | [`shell`] | what the protocol needs: the API server, Microsoft's side, time |
//! | [`connection`] | one pass over a connection: observe, decide, record, act |
//! | [`deletion`] | the finalizer of a connection, and what its deletion does |
//! | [`process`] | what one process remembers of its own requests |
//! | `pass` | one pass over an operation: read, advance, begin a step or not, conclude |
//! | `intent` | the finalizer and the intent, before the request |
//! | `outcome` | what became of the request |
//! | `conclude` | the status when nothing is sent, and the finalizer at the end |
//! | `known` | an operation of the API server, as decisions know it |

mod conclude;
pub mod connection;
pub mod deletion;
mod intent;
mod known;
mod outcome;
mod pass;
pub mod process;
pub mod shell;

pub use known::{approval_write, known};
pub use outcome::PATIENCE as OUTCOME_PATIENCE;
pub use pass::{Again, Failed, is_held, pass};
pub use process::Process;
