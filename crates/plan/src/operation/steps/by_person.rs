//! A person does it; it is shown in the plan and never done by the operator.

use super::step::Step;
use crate::messages::PlanWords;

/// A person does it.
#[derive(Default)]
pub struct ByPerson;

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

    fn is_by_person(&self) -> bool {
        true
    }
}
