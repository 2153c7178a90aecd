//! A person does it; it is shown in the plan and never done by the operator.

use super::{At, Step, Target, named, reads_maps};
use crate::{messages::PlanWords, operation::model::Reads};
use dualwrite_api::operation::Action;

/// A person does it.
pub struct ByPerson;

impl ByPerson {
    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        named(action, name, Self)
    }
}

impl Step for ByPerson {
    fn name(&self) -> String {
        "by-person".into()
    }

    fn words(&self, words: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let PlanWords { host, to, .. } = words;
        let what = format!(
            "You compare the data of {host} and {to}, then run the table maps on the Dual-write page, with Initial sync left \
             out; the end of this operation names the order (mismatch.startMaps: Never)"
        );
        (what, "as long as you need")
    }

    /// What the end of its operation looks at.
    fn reads(&self) -> Reads {
        reads_maps()
    }

    fn target(&self, _: &At<'_>) -> Target {
        Target::Reached
    }

    fn is_by_person(&self) -> bool {
        true
    }
}
