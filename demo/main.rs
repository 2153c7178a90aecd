//! `make demo`: everything once, on a throw-away control plane, against simulated Microsoft services.
//!
//! [`stage`] is what it runs on, [`story`] what it tells, [`show`] how it looks. `KEEP=1` leaves it running afterwards.

mod show;
mod stage;
mod story;
#[path = "../tests/support/mod.rs"]
mod support;

use std::io::BufRead as _;
use std::process::ExitCode;
use std::time::Duration;

use show::Show;
use stage::Stage;
use story::Ending;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// What a shell reports for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    // The harness panics with a sentence; it is shown below, in its place.
    std::panic::set_hook(Box::new(|_| {}));
    let show = Show::new();
    if let Err(error) = std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")) {
        show.bad(&format!(
            "The demo failed: its folder cannot be entered: {error}"
        ));
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            show.bad(&format!("The demo failed: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let stage = Stage::default();
    let code = runtime.block_on(perform(show, &stage));
    show.still();
    stage.tear_down();
    // Whatever still starts is given the time to see that it is not wanted any more.
    runtime.shutdown_timeout(Duration::from_secs(20));
    ExitCode::from(code)
}

async fn perform(show: Show, stage: &Stage) -> u8 {
    let task = tokio::spawn({
        let stage = stage.clone();
        async move { story::tell(show, &stage).await }
    });
    let stop = task.abort_handle();
    let told = tokio::select! {
        told = task => told,
        () = interrupted() => {
            stop.abort();
            show.still();
            show.bad("Interrupted: everything that was started is being ended.");
            return INTERRUPTED;
        }
    };
    let why = match told {
        Ok(Ok(ending)) => {
            finish(show, &ending).await;
            return 0;
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(broken) => panic_text(broken),
    };
    show.still();
    show.bad(&format!("The demo failed: {why}"));
    let log = stage.log_tail(25);
    if !log.is_empty() {
        show.say("The operator's last lines:");
        show.output(&log.join("\n"));
    }
    1
}

async fn finish(show: Show, ending: &Ending) {
    show.good("That is all.");
    let keep = std::env::var("KEEP").is_ok_and(|keep| !matches!(keep.as_str(), "" | "0"));
    let seconds = show.elapsed().as_secs();
    if !keep {
        show.say(&format!(
            "It took {seconds} seconds; everything is being removed. To explore by yourself: KEEP=1 make demo. To go on \
             with a cluster: README.md."
        ));
        return;
    }
    show.say(&format!(
        "It took {seconds} seconds, and everything stays up. In another terminal:"
    ));
    println!(
        "
  export KUBECONFIG={}
  export PATH={}:$PATH     # the kubectl that fits
  kubectl get dwc,dwo
  kubectl explain dwc.spec
  kubectl describe dwo
  curl -s {}/metrics | grep dualwrite_condition
  curl -s {control}/journal     # what the simulated Microsoft services were asked to change
  curl -s {control}/state       # their state; PATCH changes it

  To make the link right again, as a reset would, and have the operator look:
  curl -X PATCH {control}/state -d '{{\"financeOperations\":{{\"contoso-uat.sandbox.operations.dynamics.com\":{{\"link\":{{\"environmentId\":\"6f2c8d0e-0000-4000-8000-000000000010\"}}}}}}}}'
  kubectl annotate dwc contoso-uat --overwrite dualwrite.dev/reconcile-at=\"$(date)\"
",
        ending.kubeconfig,
        ending.kubectl_folder,
        format_args!("http://{}", ending.admin),
        control = ending.control,
    );
    show.title("Enter or Ctrl-C ends it.");
    tokio::select! {
        () = enter() => {}
        () = interrupted() => {}
    }
    show.say("Everything is being removed.");
}

/// Ctrl-C or SIGTERM. Never, where they cannot be waited for: then they end the process, and the harness the rest.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// A line on stdin; its end is no line. On a thread of its own, which may wait for as long as the process lives.
async fn enter() {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let read = std::io::stdin().lock().read_line(&mut String::new());
        if read.is_ok_and(|bytes| bytes > 0) {
            let _ = tell.send(());
        } else {
            std::mem::forget(tell);
        }
    });
    let _ = told.await;
}

fn panic_text(broken: tokio::task::JoinError) -> String {
    match broken.try_into_panic() {
        Ok(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast::<&str>().map_or_else(
                |_| "for no reason that it could say".to_owned(),
                |text| (*text).to_owned(),
            ),
        },
        Err(error) => error.to_string(),
    }
}
