//! Credentials that are rotated, broken and mended while an operation runs, in every form, with the real process that is
//! never started again. Nothing is lost and nothing is done twice; meanwhile connection and operation say what is wrong.
//!
//! A journey is one operation that is held at one moment after the other, with another change of one identity at each.
//! Moments come from what the operation records, changes from what a form has, so a new step, form or change joins by
//! existing. `make test` goes through some of the moments, `DUALWRITE_MATRIX=1` through each with each change.
//! `DUALWRITE_CELLS=part-of-a-name` runs only some.

mod acts;
mod changes;
mod forms;
mod journey;

use futures::FutureExt as _;
use strum::IntoEnumIterator as _;

use acts::Act;
use forms::Form;

#[tokio::test(flavor = "multi_thread")]
async fn credentials_change_while_an_operation_runs() {
    let every = std::env::var("DUALWRITE_MATRIX").is_ok_and(|value| value == "1");
    let mut journeys = Vec::new();
    for act in Act::iter() {
        for form in Form::iter().filter(|form| act.takes(*form)) {
            // Each journey begins with another change, so that all of them meet every moment.
            let first = if every {
                0..changes::of(form).len()
            } else {
                act.first(form)
            };
            let stride = if every { 1 } else { act.stride(form) };
            for first in first {
                let journey = journey::go(act, form, first, stride);
                journeys.push((format!("{act:?} by {form:?} {first}"), journey.boxed()));
            }
        }
    }
    crate::support::cells::all_of(journeys).await;
}
