//! The clients of Microsoft's APIs.
//!
//! Nothing here knows of Kubernetes. Every call says in its documentation how well it is known:
//! **\[D\]** documented by Microsoft, **\[O\]** observed in a public open-source client, **\[I\]** inferred.
//!
//! | Module | What it is |
//! |---|---|
//! | [`clouds`] | Microsoft's clouds and the host names that the operator may talk to |
//! | [`http`] | one way to send: no redirects, bounded answers, a deadline for what changes something |
//! | [`error`] | what went wrong, in an administrator's words, and what is known about a change |
//! | [`catalogue`] | known failures: cause, remedy, class |
//! | [`auth`] | identities, tokens, the limits of one identity |
//! | [`power_platform`] | environments, application packages, installs |
//! | [`dataverse`] | what Dataverse itself says: integration, application users, companies |
//! | [`dual_write`] | where dual-write is linked, table maps, a reset |
//! | [`finance_operations`] | whether a finance and operations environment answers |
//! | [`observer`] | one callback per call, for metrics |

pub mod auth;
pub mod catalogue;
pub mod clouds;
pub mod dataverse;
pub mod dual_write;
pub mod error;
pub mod finance_operations;
pub mod http;
mod json;
pub mod observer;
mod paging;
pub mod power_platform;
mod text;

pub use auth::{Audience, Identity, Limits, Session};
pub use clouds::{AllowedHost, Cloud, HostKind, HostNotAllowed, HostPolicy};
pub use error::{Api, Call, CallError, CallFailure, Class, MutationError};
pub use http::{Http, HttpOptions};
pub use observer::{CallObserver, Unobserved};
