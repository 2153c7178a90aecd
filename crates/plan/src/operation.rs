//! An operation: what it consists of, and what it does next.
//!
//! Each file uses only those above it:
//!
//! | File | What it holds |
//! |---|---|
//! | `event` | what can happen to a step |
//! | `record` | what is on record of a step |
//! | `model` | what one pass looks at, can ask for, and comes to |
//! | `machine` | the protocol of a step, as one table |
//! | `changed_facts` | what has changed since a plan was made |
//! | `steps` | the kinds of steps, one file each, and the list of them |
//! | `plan` | the plans, their names, and whether they are still asked for |
//! | `reads` | what a pass has to read |
//! | `size` | how large an operation may become |
//! | `saga` | the order of the steps, what is taken back, and how it ends |

pub mod changed_facts;
mod event;
mod machine;
mod model;
mod plan;
mod reads;
mod record;
mod saga;
mod size;
pub mod steps;

pub use event::{Event, Failing, Happened, Intent, Transition};
pub use machine::{STATES, TABLE, after_event};
pub use model::{
    BackupView, DELETION_PATIENCE, MapChange, MapTarget, Next, Observations, Other, Owner, Reads,
    RemoteRequest, RemoteState, Request, Send, Sent, Situation,
};
pub use plan::{
    ResetFacts, brought_in, does_the_same, given_up, is_asked_for, link, name, relies_on_the_same,
    reset, setup, stop_maps, why_not_automatic,
};
pub use reads::reads;
pub use record::{Asked, Record, StepRecord};
pub use saga::{advance, after_sending, needs_finalizer};
pub use size::is_too_large;
