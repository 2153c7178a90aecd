//! What goes wrong in the middle of a reset, at every step of it: the process dies, an answer is lost, the API server is
//! away, a person changes their mind. No reset and no solution is asked for twice, nobody's maps stay stopped without a
//! word, and the act ends restored or says what a person is to do.
//!
//! The cells are made from the steps of a reset that runs undisturbed, so a new step joins by existing. `make test` runs
//! some of them, so that every kind of trouble and every step occurs; `make matrix` all. `DUALWRITE_CELLS=part-of-a-name`
//! runs only some.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test stops where it failed

mod support;

#[path = "cluster_reset_crashes/deaths.rs"]
mod deaths;
#[path = "cluster_reset_crashes/people.rs"]
mod people;
#[path = "cluster_reset_crashes/restart.rs"]
mod restart;
#[path = "cluster_reset_crashes/steps.rs"]
mod steps;
#[path = "cluster_reset_crashes/troubles.rs"]
mod troubles;

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_the_middle_of_which_something_goes_wrong() {
    let steps = steps::of_an_undisturbed_reset().await;
    let mut cells = deaths::cells(&steps);
    cells.extend(troubles::cells(&steps));
    cells.extend(people::cells(&steps));
    cells.sort_by_key(|cell| !cell.slow);
    let cells = cells.into_iter().map(|cell| (cell.name, cell.run));
    support::crash::all_of(steps::AT_ONCE, cells.collect()).await;
}
