//! What passes read at Microsoft's: what a lagging list shows, with credentials that may be broken, at a host that may not
//! answer.

use crate::{
    microsoft::{ENVIRONMENTS, Host, PRODUCTION, SOLUTIONS, prerequisites},
    support::{S, in_production, named, other_environment, spec_environment},
    world::World,
};
use dualwrite_api::{
    Reason,
    connection::{FailureClass, MismatchPolicy},
};
use dualwrite_plan::{
    desired::{Desired, same_id},
    maps::{ConnectionSetDetails, LinkDetails},
    observed::{
        DataverseSays, Environment, Fact, LinkFacts, LinkView, Observed, Preflight, Problem,
        SpecEnvironment, Tenant,
    },
    operation::{BackupView, Observations, Reads, RemoteRequest, reads},
    world::KnownOperation,
};
use jiff::Timestamp;

pub fn not_read() -> Problem {
    Problem {
        class: FailureClass::Busy,
        ..Problem::transient("It was not looked at in this pass.")
    }
}

fn down() -> Problem {
    Problem::transient("The dual-write service answered 503.")
}

fn no_link() -> Problem {
    Problem::transient("The dual-write service shows no link, so nothing of it can be read.")
}

fn expired() -> Problem {
    Problem::needs_person(
        Reason::ClientSecretExpired,
        "The secret of the application has expired.",
    )
}

fn refused() -> Problem {
    Problem::needs_person(Reason::AccessDenied, "403: the maps are not shown.")
}

/// Nothing of it was read.
pub fn unread(began: Timestamp, problem: &Problem) -> Observed {
    Observed {
        began,
        credentials: Fact::Unknown(problem.clone()),
        environment: Fact::Unknown(problem.clone()),
        tenant: Fact::Unknown(not_read()),
        dataverse: Fact::Unknown(not_read()),
        applications: Fact::Unknown(not_read()),
        link: LinkView::Unknown(problem.clone()),
        maps: Fact::Unknown(problem.clone()),
        details: LinkDetails::unread(problem),
        preflight: Preflight::unread(&not_read()),
    }
}

fn nothing(began: Timestamp, problem: &Problem) -> Observations {
    Observations {
        began,
        integrated: Fact::Unknown(problem.clone()),
        applications: Fact::Unknown(problem.clone()),
        remote: Fact::Unknown(problem.clone()),
        link: LinkView::Unknown(problem.clone()),
        maps: Fact::Unknown(problem.clone()),
        details: LinkDetails::unread(problem),
        backup: BackupView::Unknown(problem.clone()),
    }
}

/// What is there, if it is read.
fn when<T>(is_read: bool, there: impl FnOnce() -> Fact<T>) -> Fact<T> {
    if is_read {
        there()
    } else {
        Fact::Unknown(not_read())
    }
}

fn facts((environment, set): (String, String)) -> LinkFacts {
    LinkFacts {
        connection_set_id: set,
        connection_set_name: Some("contoso".into()),
        environment_id: environment,
        legal_entities: None,
    }
}

fn companies() -> Vec<String> {
    vec!["DEMF".into(), "USMF".into()]
}

impl Host {
    /// Another one than that of the specs is in production.
    fn environment(&self, id: &str) -> Environment {
        let environment = match id {
            S => spec_environment(),
            PRODUCTION => in_production(other_environment()),
            _ => other_environment(),
        };
        let is_integrated = self.integrated.as_deref() == Some(id);
        Environment {
            id: id.into(),
            finance_operations: is_integrated.then(|| named(&self.name)),
            ..environment
        }
    }

    fn link_view(&self, now: Timestamp) -> LinkView {
        match self.shown_link(now) {
            _ if now < self.blind_until => LinkView::Unknown(down()),
            Some(link) => LinkView::To(facts(link)),
            None if now < self.down_until => LinkView::HostDown("it is stopped".into()),
            None => LinkView::Absent,
        }
    }

    fn map_view(
        &self,
        link: &LinkView,
        now: Timestamp,
    ) -> Fact<Vec<dualwrite_plan::maps::TableMap>> {
        match link {
            LinkView::Unknown(problem) => Fact::Unknown(problem.clone()),
            LinkView::To(_) if now < self.blind_until => Fact::Unknown(down()),
            LinkView::To(_) if now < self.refuses_maps_until => Fact::Unknown(refused()),
            LinkView::To(_) => Fact::Known(self.shown_maps(now)),
            LinkView::NotObserved | LinkView::Absent | LinkView::HostDown(_) => {
                Fact::Unknown(no_link())
            }
        }
    }

    fn set(&self) -> ConnectionSetDetails {
        ConnectionSetDetails {
            dataverse_name: Some("contoso-dataverse".into()),
            legal_entities: companies(),
            integration_keys: self.keys.clone(),
        }
    }

    fn solutions(&self, now: Timestamp) -> Vec<String> {
        let mut all = SOLUTIONS.map(str::to_owned).to_vec();
        if self.behaviour.shuffles && now.as_millisecond() % 2 == 0 {
            all.reverse();
        }
        all
    }

    fn details(&self, reads: &Reads, link: &LinkView, now: Timestamp) -> LinkDetails {
        if !matches!(link, LinkView::To(_)) {
            return LinkDetails::unread(&no_link());
        }
        LinkDetails {
            connection_set: when(reads.connection_set, || Fact::Known(self.set())),
            solutions: when(reads.solutions, || Fact::Known(self.solutions(now))),
            prerequisites: when(reads.solutions, || Fact::Known(prerequisites())),
        }
    }
}

impl World {
    fn host_named(&self, name: &str) -> &Host {
        &self.hosts[name]
    }

    fn is_broken(&self, secret: Option<&str>) -> bool {
        secret.is_some_and(|secret| self.broken.contains(secret))
    }

    // ---- a connection's pass ----

    /// The link; the rest comes a moment later.
    pub fn observe_link(&self, desired: &Desired, began: Timestamp) -> Observed {
        let secret = desired.credentials.secret_ref.as_ref();
        if self.is_broken(secret.map(|secret| secret.name.as_str())) {
            return unread(began, &expired());
        }
        let host = self.host_named(&desired.host);
        let mut observed = unread(began, &not_read());
        observed.credentials = Fact::Known(());
        observed.link = host.link_view(self.now);
        observed
    }

    pub fn observe_rest(&self, desired: &Desired, observed: &mut Observed) {
        if observed.credentials != Fact::Known(()) {
            return;
        }
        let host = self.host_named(&desired.host);
        let spec = host.environment(&desired.environment_id);
        let is_integrated = spec.finance_operations.is_some();
        observed.environment = Fact::Known(SpecEnvironment::Visible(spec));
        observed.tenant = Fact::Known(tenant(host, &observed.link));
        observed.dataverse = Fact::Known(if is_integrated {
            DataverseSays::IntegratedWith {
                url: format!("https://{}/", host.name),
                host: Some(host.name.clone()),
            }
        } else {
            DataverseSays::NotIntegrated
        });
        observed.applications = when(is_integrated, || {
            Fact::Known(host.packages.values().cloned().collect())
        });
        observed.maps = match &observed.link {
            LinkView::Absent | LinkView::HostDown(_) => Fact::Unknown(not_read()),
            link => host.map_view(link, self.now),
        };
        let is_to_be_reset = desired.mismatch.policy == MismatchPolicy::Reset
            && matches!(&observed.link, LinkView::To(link) if !same_id(&link.environment_id, &desired.environment_id));
        if is_to_be_reset && observed.maps.known().is_some() {
            let all = Reads {
                connection_set: true,
                solutions: true,
                ..Reads::default()
            };
            observed.details = host.details(&all, &observed.link, self.now);
        }
    }

    // ---- an operation's pass ----

    pub fn read_before_maps(&self, operation: &KnownOperation, began: Timestamp) -> Observations {
        let reads = reads(operation);
        if reads.is_empty() {
            return nothing(began, &not_read());
        }
        let secret = operation.spec.access.credentials.secret_ref.as_ref();
        if self.is_broken(secret.map(|secret| secret.name.as_str())) {
            return nothing(began, &expired());
        }
        let host = self.host_named(&operation.spec.finance_operations_host);
        let target = &operation.spec.target.environment_id;
        let mut observed = nothing(began, &not_read());
        observed.integrated = when(reads.integration, || {
            Fact::Known(host.integrated.as_ref() == Some(target))
        });
        observed.applications = when(reads.applications, || {
            Fact::Known(host.packages.values().cloned().collect())
        });
        observed.link = if reads.link {
            host.link_view(self.now)
        } else {
            LinkView::NotObserved
        };
        let is_written = reads.backup && self.ledger.backups.contains(&operation.uid);
        observed.backup = if is_written {
            BackupView::Intact
        } else {
            BackupView::Missing
        };
        observed
    }

    /// The rest, a moment later; whether anything can be sent.
    pub fn read_maps(&self, operation: &KnownOperation, observed: &mut Observations) -> bool {
        let reads = reads(operation);
        let secret = operation.spec.access.credentials.secret_ref.as_ref();
        if self.is_broken(secret.map(|secret| secret.name.as_str())) {
            *observed = nothing(observed.began, &expired());
            return false;
        }
        if reads.is_empty() {
            return true;
        }
        let host = self.host_named(&operation.spec.finance_operations_host);
        observed.maps = when(reads.maps, || host.map_view(&observed.link, self.now));
        observed.details = host.details(&reads, &observed.link, self.now);
        observed.remote = match &reads.remote {
            _ if self.now < host.blind_until => Fact::Unknown(down()),
            Some(
                RemoteRequest::Maps(id)
                | RemoteRequest::Solution(id)
                | RemoteRequest::Installation(id),
            ) => Fact::Known(host.request(id, self.now)),
            None => Fact::Unknown(not_read()),
        };
        true
    }
}

fn tenant(host: &Host, link: &LinkView) -> Tenant {
    let linked = match link {
        LinkView::To(link) => Some(link.environment_id.clone()),
        _ => None,
    };
    Tenant {
        complete: true,
        visible: ENVIRONMENTS.len(),
        naming_host: host
            .integrated
            .iter()
            .map(|id| host.environment(id))
            .collect(),
        linked: linked.map(|id| host.environment(&id)),
    }
}
