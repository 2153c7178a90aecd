//! The dual-write management service: where dual-write is linked, the first link, a reset, and table maps.
//!
//! Not a documented API [O Dual-write-automations, toolbAX]: Microsoft can change it. Reads are tolerant of fields
//! and strict about shape, because an answer that is not understood must never look like "not linked" or "no maps".

mod connection_set;
mod create_link;
mod integration_keys;
mod link;
mod map_changes;
mod requests;
mod reset;
mod send;
mod solutions;
mod table_maps;
mod template;

pub use connection_set::{ConnectionSet, ConnectionSetEnvironment, connection_set};
pub use create_link::{LinkRequest, create_link};
pub use integration_keys::set_integration_keys;
pub use link::{Link, LinkAnswer, link};
pub use map_changes::{MapChange, MapTarget, change_maps, switch_version};
pub use requests::{RequestState, map_request, solution_request};
pub use reset::{ResetRequest, reset};
pub use solutions::{apply_solution, prerequisites, solutions};
pub use table_maps::{MapVersion, TableMap, TableMapState, table_maps};
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
