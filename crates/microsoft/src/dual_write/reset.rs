//! A reset: dual-write's configuration is cleared, and the connection set is made anew.

use crate::Call;
use jiff::Timestamp;

use super::connection_set::ConnectionSetEnvironment;
use super::create_link::LinkRequest;
use super::send::To;
use super::template::{CallTemplate, Values};
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::MutationError;

/// Where a reset leads.
///
/// The destination is always that of `link`. A reset to the *current* destination \[O\] gives the sides of the
/// connection set too, and the body copies them; what they lack, and a side that is not given, is filled from `link`,
/// as for a first link. A reset to *another* destination \[I\] gives no side: those of the connection set would name
/// the destination that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRequest {
    /// The destination, and the companies that take part after the reset.
    pub link: LinkRequest,
    /// The Dataverse side of the connection set, to be copied.
    pub dataverse_side: Option<ConnectionSetEnvironment>,
    /// The finance and operations side of the connection set, to be copied.
    pub finance_operations_side: Option<ConnectionSetEnvironment>,
}

impl ResetRequest {
    /// Why the body would name two destinations, if it would.
    fn contradiction(&self) -> Option<&'static str> {
        let Some(dataverse) = &self.dataverse_side else {
            let alone = self.finance_operations_side.is_some();
            return alone.then_some(
                "only the finance and operations side of the connection set is to be copied; \
                 copy both sides to reset to the current destination, and none to reset to another.",
            );
        };
        let copied = dataverse.environment_id.as_deref();
        let same = copied.is_none_or(|id| id.eq_ignore_ascii_case(&self.link.environment_id));
        (!same).then_some(
            "the connection set names another Power Platform environment than the one that the reset is to lead to; \
             read where dual-write is linked again before a reset.",
        )
    }

    /// The values of `LINK_PLACEHOLDERS` and `RESET_PLACEHOLDERS`.
    fn values(&self, cid: &str, force: bool) -> Values {
        let link = &self.link;
        let host = &link.finance_operations_host;
        let dataverse = filled(
            self.dataverse_side.as_ref(),
            [
                "CRM",
                &link.domain_name,
                &link.environment_name,
                &link.dataverse_url,
            ],
            link,
            false,
        );
        let finance_operations = filled(
            self.finance_operations_side.as_ref(),
            ["AX", host, host, &link.finance_operations_url],
            link,
            link.is_dev_instance,
        );
        let mut values = link.values();
        values.extend([
            ("connectionSetId", cid.into()),
            ("force", force.into()),
            ("dataverseTargetType", dataverse.target_type.into()),
            ("dataverseName", dataverse.name.into()),
            ("dataverseDisplayName", dataverse.display_name.into()),
            ("dataverseUrl", dataverse.direct_url.into()),
            ("dataverseIsDevInstance", dataverse.is_dev_instance.into()),
            (
                "financeOperationsTargetType",
                finance_operations.target_type.into(),
            ),
            ("financeOperationsName", finance_operations.name.into()),
            (
                "financeOperationsDisplayName",
                finance_operations.display_name.into(),
            ),
            (
                "financeOperationsEnvironmentId",
                finance_operations.environment_id.into(),
            ),
            ("financeOperationsUrl", finance_operations.direct_url.into()),
            ("isDevInstance", finance_operations.is_dev_instance.into()),
        ]);
        values
    }
}

/// The side as the connection set has it; what it lacks as for a first link: target type, name, display name, URL.
fn filled(
    copied: Option<&ConnectionSetEnvironment>,
    [target_type, name, display_name, url]: [&str; 4],
    link: &LinkRequest,
    is_dev_instance: bool,
) -> ConnectionSetEnvironment {
    let text = |copied: Option<&String>, own: &str| {
        Some(copied.map_or_else(|| own.to_owned(), Clone::clone))
    };
    let of = |field: fn(&ConnectionSetEnvironment) -> Option<&String>| copied.and_then(field);
    ConnectionSetEnvironment {
        target_type: text(of(|side| side.target_type.as_ref()), target_type),
        name: text(of(|side| side.name.as_ref()), name),
        display_name: text(of(|side| side.display_name.as_ref()), display_name),
        environment_id: text(
            of(|side| side.environment_id.as_ref()),
            &link.environment_id,
        ),
        direct_url: text(
            of(|side| side.direct_url.as_ref()),
            url.trim_end_matches('/'),
        ),
        is_dev_instance: copied
            .and_then(|side| side.is_dev_instance)
            .or(Some(is_dev_instance)),
    }
}

/// `POST api/ConnectionSet/{cid}/Reset?targetType=AX&forceReset={true|false}`
///
/// To the current destination [O Dual-write-automations, toolbAX]; to another one \[I\]: no public client has sent
/// one. The call can be replaced, see [`CallTemplate`]. \[D\] It clears table maps, integration keys, companies, alert
/// settings, the activity log and the history of initial syncs; without `force` it is refused while a map runs.
/// Slow: ten times the usual time. A success only means that the request was taken: read the link back.
///
/// # Errors
/// See [`MutationError`]. Not sent when a Dataverse side that is to be copied names another environment than the
/// destination, or only the other side is to be copied.
pub async fn reset(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
    reset: &ResetRequest,
    force: bool,
    template: &CallTemplate,
    send_by: Timestamp,
) -> Result<(), MutationError> {
    let to = To {
        session,
        service,
        call: Call::ResetLink,
    };
    if let Some(why) = reset.contradiction() {
        return Err(MutationError::NotSent(to.refuse(why)));
    }
    let call = template.render(&reset.values(cid, force));
    to.by_template(call, send_by).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::template::{LINK_PLACEHOLDERS, RESET_PLACEHOLDERS};
    use super::*;

    #[test]
    fn every_placeholder_has_a_value_and_every_value_a_placeholder() {
        let link = LinkRequest {
            environment_id: String::new(),
            environment_name: String::new(),
            domain_name: String::new(),
            dataverse_url: String::new(),
            finance_operations_host: String::new(),
            finance_operations_url: String::new(),
            is_dev_instance: false,
            legal_entities: Vec::new(),
        };
        let sorted = |lists: &[&[&'static str]]| {
            let mut names = lists.concat();
            names.sort_unstable();
            names
        };
        let names = |values: Values| values.into_keys().collect::<Vec<_>>();
        assert_eq!(names(link.values()), sorted(&[LINK_PLACEHOLDERS]));
        let reset = ResetRequest {
            link,
            dataverse_side: None,
            finance_operations_side: None,
        };
        assert_eq!(
            names(reset.values("", false)),
            sorted(&[LINK_PLACEHOLDERS, RESET_PLACEHOLDERS])
        );
    }
}
