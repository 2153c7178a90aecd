//! The decisions: no I/O, no clock, no randomness.
//!
//! | File | What it holds |
//! |---|---|
//! | [`desired`] | what the resource asks for |
//! | [`fact`] | `Known` or `Unknown`, never a bare bool |
//! | [`observed`] | what a pass has read |
//! | [`lifetimes`] | credentials that end soon |
//! | [`maps`] | table maps: what is read of them, and what a plan makes of it |
//! | [`world`] | everything that one decision looks at |
//! | [`picture`] | what the world comes to, found out once: environment, integration, setup, link |
//! | [`decide`] | the decision table: one function a row, first match wins |
//! | [`mix`] | the mix of sandbox and production, over all rows |
//! | [`deletion`] | what the deletion of a resource does |
//! | [`conditions`] | what each condition says of the picture, whatever row matches |
//! | [`checks`] | what can be seen before a link is made, and how to mend it |
//! | [`messages`] | every sentence that a person reads |
//! | [`verdict`] | what a row says |
//! | [`status`] | how picture and verdict become a status, and at most one thing to do |
//! | [`decision`] | what a pass comes to |
//! | [`operation`] | what an operation consists of, and what it does next |
//! | [`backup`] | what a reset takes away, written down for people |
//! | [`retry`] | when to look again |

pub mod backup;
pub mod checks;
pub mod conditions;
pub mod decide;
pub mod decision;
pub mod deletion;
pub mod desired;
pub mod fact;
pub mod lifetimes;
pub mod maps;
pub mod messages;
pub mod mix;
pub mod observed;
pub mod operation;
pub mod picture;
pub mod retry;
pub mod status;
pub mod verdict;
pub mod world;
