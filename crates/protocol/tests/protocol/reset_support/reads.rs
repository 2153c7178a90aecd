//! What an operation's pass reads: what its next step needs, and no more, as the controller does.

use std::collections::BTreeMap;

use super::Operator;
use dualwrite_plan::{
    maps::{ConnectionSetDetails, LinkDetails},
    observed::{Fact, LinkFacts, LinkView, Problem},
    operation::{BackupView, Observations, Reads, RemoteRequest, RemoteState, reads},
};

pub fn down() -> Problem {
    Problem::transient("The dual-write service answered 503.")
}

fn not_read() -> Problem {
    Problem::transient("It was not read.")
}

impl Operator {
    pub fn observe(&self) -> Observations {
        let reads = reads(&self.api.stored);
        let mut observed = Observations {
            began: self.now,
            integrated: when(reads.integration, &self.integrated),
            applications: Fact::Unknown(not_read()),
            remote: Fact::Unknown(not_read()),
            link: LinkView::Unknown(down()),
            maps: Fact::Unknown(down()),
            details: LinkDetails::unread(&down()),
            backup: if reads.backup {
                self.backup.clone()
            } else {
                BackupView::Missing
            },
        };
        if !self.service.is_blind(self.now) {
            self.see(&mut observed, &reads);
        }
        observed
    }

    fn see(&self, observed: &mut Observations, reads: &Reads) {
        observed.details = LinkDetails::unread(&not_read());
        observed.remote = self.remote(reads.remote.as_ref());
        let Some((environment, set)) = &self.service.link else {
            observed.link = LinkView::Absent;
            observed.maps = Fact::Unknown(Problem::transient(
                "The dual-write service shows no link, so nothing of it can be read.",
            ));
            return;
        };
        observed.link = LinkView::To(LinkFacts {
            connection_set_id: set.clone(),
            connection_set_name: Some("contoso".into()),
            environment_id: environment.clone(),
            legal_entities: None,
        });
        observed.maps = Fact::Known(self.service.shown_maps(self.now));
        let solutions = &self.service.behaviour.solutions;
        let names = solutions.iter().map(|(name, _)| name.clone());
        observed.details = LinkDetails {
            connection_set: when(
                reads.connection_set,
                &Fact::Known(ConnectionSetDetails {
                    dataverse_name: Some("contoso-dataverse".into()),
                    legal_entities: self.service.companies.clone(),
                    integration_keys: self.service.keys.clone(),
                }),
            ),
            solutions: when(reads.solutions, &Fact::Known(names.collect())),
            prerequisites: when(reads.solutions, &Fact::Known(BTreeMap::new())),
        };
    }

    fn remote(&self, asked: Option<&RemoteRequest>) -> Fact<RemoteState> {
        match asked {
            Some(RemoteRequest::Maps(id) | RemoteRequest::Solution(id)) => {
                Fact::Known(self.service.request(id, self.now))
            }
            Some(RemoteRequest::Installation(_)) | None => Fact::Unknown(not_read()),
        }
    }
}

/// What is there, if it is read.
fn when<T: Clone>(is_read: bool, there: &Fact<T>) -> Fact<T> {
    if is_read {
        there.clone()
    } else {
        Fact::Unknown(not_read())
    }
}
