//! The dual-write management service: where dual-write is linked, and the first link.
//!
//! Not a documented API [O Dual-write-automations, toolbAX]: Microsoft can change it. Reads are tolerant of fields
//! and strict about shape, because an answer that is not understood must never look like "not linked".

mod connection_set;
mod create_link;
mod link;
mod template;

pub use connection_set::{ConnectionSet, ConnectionSetEnvironment, connection_set};
pub use create_link::{LINK_TIMEOUT_FACTOR, LinkRequest, create_link};
pub use link::{Link, LinkAnswer, link};
pub use template::{CallTemplate, TemplateError};

use super::Audience;
use super::error::{Api, Call};

const AUDIENCE: Audience = Audience::DualWriteService;

const fn call(operation: &'static str) -> Call {
    Call {
        api: Api::DualWrite,
        operation,
    }
}
