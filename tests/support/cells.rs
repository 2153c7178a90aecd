//! The cells of one test: what goes wrong at which place, each in a world of its own.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

/// So many run at once, of all tests together. They mostly wait; two cores carry them.
const AT_ONCE: usize = 8;

/// Runs a case as [`all_of`] runs cells.
pub async fn side_by_side<C, F>(cases: Vec<(String, C)>, run: impl Fn(C) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let cells = cases
        .into_iter()
        .map(|(name, case)| (name, run(case).boxed()));
    all_of(cells.collect()).await;
}

/// Runs these cells side by side, and fails with the names of those that fail, and why. `DUALWRITE_CELLS=part-of-a-name`
/// runs only some.
pub async fn all_of(cells: Vec<(String, BoxFuture<'static, ()>)>) {
    let wanted = std::env::var("DUALWRITE_CELLS").unwrap_or_default();
    let running: Vec<_> = cells
        .into_iter()
        .filter(|(name, _)| name.contains(&wanted))
        .map(|(name, cell)| (name, tokio::spawn(in_its_turn(cell))))
        .collect();
    let (mut failed, count) = (Vec::new(), running.len());
    for (name, task) in running {
        match task.await {
            Ok(took) => println!("  {:5.1} s  {name}", took.as_secs_f64()),
            Err(error) => failed.push(format!("--- {name}: {}", words(&*error.into_panic()))),
        }
    }
    assert!(
        count > 0 && failed.is_empty(),
        "{} of {count} cells failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

async fn in_its_turn(cell: BoxFuture<'static, ()>) -> Duration {
    static PLACES: OnceLock<Arc<Semaphore>> = OnceLock::new();
    let places = PLACES.get_or_init(|| Arc::new(Semaphore::new(AT_ONCE)));
    let _place = places.acquire().await.expect("it is never closed");
    let started = Instant::now();
    cell.await;
    started.elapsed()
}

/// The beginning of what a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(a panic without words)");
    text.chars().take(3000).collect()
}
