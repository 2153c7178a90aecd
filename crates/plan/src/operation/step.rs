//! What the steps of a plan are, by their names.

use std::fmt;

use dualwrite_api::operation::Action;

/// A step, as its name says it.
///
/// The name stands in the plan and in the status of an operation, so it is a contract with every later release: a name
/// that is not known any more is a step that nobody can do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// Installs this application package.
    Package(String),
    /// Links dual-write to the target.
    Link,
    /// Writes down what a reset takes away.
    Backup,
    /// Stops every table map.
    StopMaps,
    /// Resets the link, so that it ends at the target.
    Reset,
    /// Applies this solution, which brings table maps.
    Solution(String),
    /// Puts the integration keys back.
    IntegrationKeys,
    /// Initialises the table maps that have no project yet.
    InitialiseMaps,
    /// Finds the table maps whose active version differs; each becomes a step of its own.
    MapVersions,
    /// Activates the version that this table map had.
    MapVersion(String),
    /// Starts the table maps of this wave (from 1 on).
    StartMaps(usize),
    /// Pauses the table maps that were paused.
    PauseMaps,
    /// Looks whether the maps are as they should be.
    Verify,
    /// Starts again the maps of this wave (from 1 on) that the act has stopped, because it is given up.
    RestartMaps(usize),
    /// Pauses again the maps that were paused before the act, because it is given up.
    RepauseMaps,
    /// A person does it; it is shown in the plan and never done by the operator.
    ByPerson,
}

impl StepKind {
    /// Reads the name of a step of this action.
    pub fn parse(action: Action, name: &str) -> Option<Self> {
        match action {
            Action::Setup => return Some(Self::Package(name.to_owned())),
            Action::Link => return (name == super::LINK_STEP).then_some(Self::Link),
            Action::Reset | Action::StopMaps => {}
        }
        let (kind, of) = name.split_once('/').unwrap_or((name, ""));
        let wave = || of.parse().ok();
        Some(match (kind, of) {
            ("backup", "") => Self::Backup,
            ("stop-maps", "") => Self::StopMaps,
            ("reset", "") => Self::Reset,
            ("integration-keys", "") => Self::IntegrationKeys,
            ("initialise-maps", "") => Self::InitialiseMaps,
            ("map-versions", "") => Self::MapVersions,
            ("pause-maps", "") => Self::PauseMaps,
            ("verify", "") => Self::Verify,
            ("repause-maps", "") => Self::RepauseMaps,
            ("by-person", "") => Self::ByPerson,
            ("solution", of) if !of.is_empty() => Self::Solution(of.to_owned()),
            ("map-version", of) if !of.is_empty() => Self::MapVersion(of.to_owned()),
            ("start-maps", _) => Self::StartMaps(wave()?),
            ("restart-maps", _) => Self::RestartMaps(wave()?),
            _ => return None,
        })
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(name) => f.write_str(name),
            Self::Link => f.write_str(super::LINK_STEP),
            Self::Backup => f.write_str("backup"),
            Self::StopMaps => f.write_str("stop-maps"),
            Self::Reset => f.write_str("reset"),
            Self::Solution(name) => write!(f, "solution/{name}"),
            Self::IntegrationKeys => f.write_str("integration-keys"),
            Self::InitialiseMaps => f.write_str("initialise-maps"),
            Self::MapVersions => f.write_str("map-versions"),
            Self::MapVersion(name) => write!(f, "map-version/{name}"),
            Self::StartMaps(wave) => write!(f, "start-maps/{wave}"),
            Self::PauseMaps => f.write_str("pause-maps"),
            Self::Verify => f.write_str("verify"),
            Self::RestartMaps(wave) => write!(f, "restart-maps/{wave}"),
            Self::RepauseMaps => f.write_str("repause-maps"),
            Self::ByPerson => f.write_str("by-person"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_its_step() {
        let kinds = [
            StepKind::Backup,
            StepKind::StopMaps,
            StepKind::Reset,
            StepKind::Solution("ContosoMaps/2".into()),
            StepKind::IntegrationKeys,
            StepKind::InitialiseMaps,
            StepKind::MapVersions,
            StepKind::MapVersion("Customers V3 / accounts".into()),
            StepKind::StartMaps(3),
            StepKind::PauseMaps,
            StepKind::Verify,
            StepKind::RestartMaps(1),
            StepKind::RepauseMaps,
            StepKind::ByPerson,
        ];
        for kind in kinds {
            let name = kind.to_string();
            assert_eq!(StepKind::parse(Action::Reset, &name), Some(kind));
        }
        assert_eq!(StepKind::parse(Action::Link, "link"), Some(StepKind::Link));
        assert_eq!(
            StepKind::parse(Action::Setup, "DualWriteCoreAnchor"),
            Some(StepKind::Package("DualWriteCoreAnchor".into()))
        );
        assert_eq!(StepKind::parse(Action::Reset, "start-maps/x"), None);
        assert_eq!(StepKind::parse(Action::Reset, "something"), None);
    }
}
