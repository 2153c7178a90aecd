//! The finalizer of a connection, and what its deletion does.

use std::fmt::Display;

use dualwrite_api::{DualWriteConnection, DualWriteOperationSpec, Reason, STOP_MAPS_FINALIZER};
use dualwrite_plan::{
    decision::Event,
    deletion::{self, Deletion, SHUT_OUT_PATIENCE},
    desired::Desired,
    messages,
    operation::DELETION_PATIENCE,
    world::{Settings, World, after},
};
use jiff::Timestamp;

use crate::{
    connection::{SOON, adopt, again_in},
    pass::{Again, Failed, failed},
    shell::{CallError, Connections, Failure},
};

const FINALIZER: &str = "the finalizer of the connection";

/// Whether a connection carries the finalizer.
pub fn is_held(connection: &DualWriteConnection) -> bool {
    let mut finalizers = connection.metadata.finalizers.iter().flatten();
    finalizers.any(|finalizer| finalizer == STOP_MAPS_FINALIZER)
}

/// Puts the finalizer on a connection whose deletion is to stop its maps, or takes it off; `true` if that was to be done.
pub(crate) async fn adjust<S: Connections>(
    shell: &S,
    connection: &DualWriteConnection,
    desired: &Desired,
) -> Result<bool, Failed<S::Error>> {
    let wanted = deletion::is_to_be_held(desired);
    if wanted == is_held(connection) {
        return Ok(false);
    }
    match shell.hold_connection(connection, wanted).await {
        Ok(()) => Ok(true),
        Err(error) if error.failure() == Failure::Conflict => Ok(true),
        Err(error) => Err(failed(FINALIZER)(error)),
    }
}

/// One pass over a connection that is being deleted since `deleted`; without what it asks for, its spec cannot be read.
///
/// # Errors
/// When the API server could not be read or written.
pub async fn pass<S: Connections>(
    shell: &S,
    settings: &Settings,
    connection: &DualWriteConnection,
    desired: Option<&Desired>,
    deleted: Timestamp,
) -> Result<Again, Failed<S::Error>> {
    if !is_held(connection) {
        return Ok(Again::OnChange);
    }
    let pass = Pass {
        shell,
        settings,
        connection,
        deleted,
    };
    let Some(desired) = desired else {
        let why = messages::maps_left("its spec cannot be read");
        return pass.release(warning(why)).await;
    };
    match pass.decide(desired).await {
        Deletion::Release(event) => pass.release(event).await,
        Deletion::Wait(until) => Ok(Again::At(until)),
        Deletion::Stop { name, spec } => pass.create(&name, &spec).await,
    }
}

struct Pass<'a, S> {
    shell: &'a S,
    settings: &'a Settings,
    connection: &'a DualWriteConnection,
    deleted: Timestamp,
}

impl<S: Connections> Pass<'_, S> {
    async fn decide(&self, desired: &Desired) -> Deletion {
        let shell = self.shell;
        let memory = self.connection.status.clone().unwrap_or_default();
        // Without being asked for, nothing needs to be looked at.
        let observed = if deletion::is_to_be_held(desired) && !desired.suspend {
            shell.observe(desired, &memory).await.0
        } else {
            shell.unobserved()
        };
        let (operations, rivals) = shell.watched_neighbours(desired);
        let world = World {
            desired,
            observed: &observed,
            credentials: &memory.credentials,
            operations: &operations,
            rivals: &rivals,
            memory: &memory,
            now: shell.now(),
            settings: self.settings,
        };
        deletion::decide(&world, self.deleted)
    }

    /// The operation is there before the connection may go; a crash in between finds it again.
    async fn create(
        &self,
        name: &str,
        spec: &DualWriteOperationSpec,
    ) -> Result<Again, Failed<S::Error>> {
        let created = self
            .shell
            .create_operation(self.connection, name, spec)
            .await;
        match created {
            Ok(()) => Ok(again_in(self.shell, SOON)),
            Err(error) if error.failure() == Failure::Conflict => self.taken(name, spec).await,
            Err(error) if self.is_given_up(error.failure()) => self.release_without(&error).await,
            Err(error) => Err(failed("the operation of a deletion")(error)),
        }
    }

    /// The name of the operation is taken: by itself, or by another plan, which may go away while there is time.
    async fn taken(
        &self,
        name: &str,
        spec: &DualWriteOperationSpec,
    ) -> Result<Again, Failed<S::Error>> {
        if adopt(self.shell, self.connection, name, spec).await? {
            return Ok(again_in(self.shell, SOON));
        }
        if self.is_over() {
            let why = format!("another operation is called {name}");
            return self.release_without(&why).await;
        }
        Ok(again_in(self.shell, self.settings.poll))
    }

    /// A namespace that is being deleted takes no new objects, and a right may be gone: neither may hold the deletion up.
    fn is_given_up(&self, failure: Failure) -> bool {
        match failure {
            Failure::Refused => true,
            Failure::RefusedForNow => self.shell.now() >= after(self.deleted, SHUT_OUT_PATIENCE),
            Failure::Conflict | Failure::Gone | Failure::Uncertain => self.is_over(),
        }
    }

    fn is_over(&self) -> bool {
        self.shell.now() >= after(self.deleted, DELETION_PATIENCE)
    }

    async fn release_without(&self, why: &impl Display) -> Result<Again, Failed<S::Error>> {
        let why = messages::maps_left(&format!("no operation could be created ({why})"));
        self.release(warning(why)).await
    }

    /// Lets the connection go, and says what becomes of its maps.
    async fn release(&self, event: Event) -> Result<Again, Failed<S::Error>> {
        match self.shell.hold_connection(self.connection, false).await {
            Ok(()) => {
                self.shell.tell_events(self.connection, &[event]).await;
                Ok(Again::OnChange)
            }
            Err(error) => match error.failure() {
                Failure::Conflict => Ok(again_in(self.shell, SOON)),
                Failure::Gone => Ok(Again::OnChange),
                Failure::Refused | Failure::RefusedForNow | Failure::Uncertain => {
                    Err(failed(FINALIZER)(error))
                }
            },
        }
    }
}

const fn warning(note: String) -> Event {
    Event {
        warning: true,
        reason: Reason::MapsLeftAsTheyAre,
        note,
    }
}
