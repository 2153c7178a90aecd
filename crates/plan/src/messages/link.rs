//! Sentences about the link.

use crate::{
    desired::{self, Desired},
    maps::TableMap,
    observed::{LinkFacts, Problem},
};
use dualwrite_api::{connection::IntegrationKind, operation::MapState};

/// L = S.
pub fn linked(link: &LinkFacts, to: &str, differing: Option<(&[String], &[String])>) -> String {
    let base = format!(
        "Dual-write is linked to {to} (connection set {}).",
        link.connection_set_id
    );
    match differing {
        None => base,
        Some((wanted, actual)) => format!(
            "{base} Its companies differ from spec.link.legalEntities: linked are {}, wanted are {}. On a live link the \
             operator changes nothing; edit them on the Dual-write page under Legal entities.",
            actual.join(", "),
            wanted.join(", ")
        ),
    }
}

/// L is another environment than S.
pub fn linked_elsewhere(desired: &Desired, to: &str) -> String {
    format!(
        "Dual-write is linked to {to}, not to the environment {} of the spec.",
        desired.environment_id
    )
}

/// No link, and setup comes first.
pub fn waiting_for_setup() -> String {
    "No link yet: the dual-write application comes first.".into()
}

/// No link, once.
pub fn no_link_seen() -> String {
    "The dual-write service shows no link.".into()
}

/// A person links.
pub fn awaiting_manual_link(desired: &Desired, with: &str, kind: IntegrationKind) -> String {
    if kind == IntegrationKind::Unified {
        return format!(
            "Set up, but not linked. This is a unified environment, which LCS does not show, and Microsoft documents no other \
             place for the link: open the Dual-write page ({}) as the account that is to own the link, and ask Microsoft \
             support if it offers none. The link should go to {with}, and is seen here.",
            desired::admin_url(&desired.finance_operations_url)
        );
    }
    format!(
        "Set up, but not linked. In LCS ({}), on the environment's page under Power Platform integration, press \"Link to Power \
         Platform environment\"; it usually takes less than five minutes, and is seen here. The link goes to {with}. If LCS \
         still shows \"Dual-write application\", press it and Configure first.",
        desired.lcs_page()
    )
}

/// The operator would link, but only observes.
pub fn would_link(desired: &Desired, with: &str) -> String {
    format!(
        "Set up, but not linked. The operator only observes this resource; with spec.mode: Manage it would link {} to {with} \
         for the companies {}.",
        desired.host,
        desired.legal_entities.join(", ")
    )
}

/// The link is not observed, and should be.
pub fn link_not_observable(desired: &Desired) -> String {
    format!(
        "The link cannot be seen: spec.dualWriteService is missing. Add its url (the address that the Dual-write page of {} \
         talks to: the browser's developer tools, Network, on that page) and a secretRef with username and password; or set \
         spec.link.observe: Never to be Ready without it.",
        desired.host
    )
}

/// The link is not observed, as the spec asks.
pub fn link_unverified() -> String {
    "Integrated and set up. The link is not looked at, because spec.link.observe is Never.".into()
}

/// The link is not looked at.
pub const LINK_NOT_OBSERVED: &str = "The link is not looked at; see the condition Ready.";

/// Nobody can sign in to look at the link.
pub const LINK_NEEDS_CREDENTIALS: &str = "The link cannot be looked at until the credentials are accepted again; see the condition \
                                          CredentialsValid.";

/// The service refuses to show the link.
pub fn link_refused(why: &Problem) -> String {
    format!(
        "The dual-write service refuses this account: it must be system administrator in both environments and have the \
         licences that docs/credentials.md lists. {}",
        why.message
    )
}

/// The service shows the link, and refuses to show its maps.
pub fn maps_refused(why: &Problem) -> String {
    format!(
        "Its table maps cannot be read, so nobody sees whether anything is passed on. {}",
        why.message
    )
}

/// The link could not be read.
pub fn link_unknown(why: &Problem) -> String {
    format!("The link could not be read. {}", why.message)
}

/// No link is seen while the environment is stopped.
pub fn host_down(desired: &Desired, why: &str) -> String {
    format!(
        "No link is seen, and {} does not answer ({why}): the environment may be stopped. Nothing is concluded from that, and \
         nothing is changed; it is looked at again by itself.",
        desired.host
    )
}

/// A link that was seen is seen no more.
pub fn link_vanished(desired: &Desired, environment_id: &str) -> String {
    format!(
        "The link of {} to environment {environment_id} was seen before and is not seen now: the environment may be stopped, \
         being restored, or was unlinked. The operator never makes it again by itself. If it is gone for good, press \"Link to \
         Power Platform environment\" in LCS ({}).",
        desired.host,
        desired.lcs_page()
    )
}

/// Everything is as it should be.
///
/// With the table maps, where they were read: a link whose maps are stopped passes nothing on.
pub fn connected(desired: &Desired, with: &str, maps: Option<&[TableMap]>) -> String {
    let joined = format!(
        "{} and {with} are integrated and linked by dual-write.",
        desired.host
    );
    match maps {
        Some(maps) if !maps.is_empty() => format!("{joined} {}", of_maps(maps)),
        _ => joined,
    }
}

fn of_maps(maps: &[TableMap]) -> String {
    let total = maps.len();
    let broken: Vec<&str> = maps
        .iter()
        .filter(|map| map.state == MapState::NotRunning)
        .map(|map| map.name.as_str())
        .collect();
    let running = maps
        .iter()
        .filter(|map| map.state == MapState::Running)
        .count();
    let needs = if broken.is_empty() {
        String::new()
    } else {
        format!(
            " These should run and do not; look at them on the Dual-write page: {}.",
            super::words::list(&broken, 10)
        )
    };
    match running {
        running if running == total => format!("All {total} table maps run."),
        0 => format!(
            "0 of {total} table maps run: what is changed on either side is not passed on until they are started on the \
             Dual-write page.{needs}"
        ),
        running => format!("{running} of {total} table maps run.{needs}"),
    }
}
