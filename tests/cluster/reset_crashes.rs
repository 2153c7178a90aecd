//! What goes wrong in the middle of a reset, at every step of it: the process dies, an answer is lost, the API server is
//! away, a person changes their mind. No reset and no solution is asked for twice, nobody's maps stay stopped without a
//! word, and the act ends restored or says what a person is to do.
//!
//! The cells are made from the steps of a reset that runs undisturbed, so a new step joins by existing. `make test` runs
//! some of them, so that every kind of trouble and every step occurs; `make matrix` all. `DUALWRITE_CELLS=part-of-a-name`
//! runs only some.

mod deaths;
mod people;
mod restart;
mod steps;
mod troubles;

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_the_middle_of_which_something_goes_wrong() {
    let steps = steps::of_an_undisturbed_reset().await;
    let mut cells = deaths::cells(&steps);
    cells.extend(troubles::cells(&steps));
    cells.extend(people::cells(&steps));
    cells.sort_by_key(|cell| !cell.slow);
    let cells = cells.into_iter().map(|cell| (cell.name, cell.run));
    crate::support::cells::all_of(cells.collect()).await;
}
