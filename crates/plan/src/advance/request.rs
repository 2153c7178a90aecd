//! What a step asks for.

use jiff::Timestamp;

use dualwrite_api::operation::IntegrationKey;

/// A request whose intent is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The step.
    pub step: String,
    /// After this it must not be sent any more.
    pub before: Timestamp,
    /// What to ask for.
    pub request: Request,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The installation of this application package.
    Install(String),
    /// The first link.
    Link,
    /// Writing down what a reset takes away; to Kubernetes, and as often as it takes.
    Backup,
    /// A change of the state of table maps.
    Maps {
        /// Which change.
        change: MapChange,
        /// The id of the connection set.
        set: String,
        /// The maps: each with the id of its active version and, unless it is to be initialised, of its project.
        maps: Vec<MapTarget>,
    },
    /// The reset.
    Reset {
        /// The id of the connection set.
        set: String,
        /// Even though a map is not stopped.
        force: bool,
    },
    /// Applying a solution.
    Solution {
        /// The id of the connection set.
        set: String,
        /// The solution's unique name.
        name: String,
    },
    /// The integration keys.
    IntegrationKeys {
        /// The name by which the service knows the Dataverse environment.
        dataverse_name: String,
        /// The keys.
        keys: Vec<IntegrationKey>,
    },
    /// Another active version of a table map.
    Version {
        /// The id of the connection set.
        set: String,
        /// The id of the version.
        template: String,
        /// The id of the map's project.
        project: String,
    },
}

/// A change of the state of table maps; none of them ever asks for an initial sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapChange {
    /// Start, without initial sync.
    Start,
    /// Stop.
    Stop,
    /// Pause.
    Pause,
    /// Initialise.
    Initialise,
}

/// A table map, as requests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapTarget {
    /// The id of the version that is active.
    pub template: String,
    /// The id of its project.
    pub project: Option<String>,
}
