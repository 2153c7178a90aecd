//! Application packages of an environment.

use crate::Call;
use std::cmp::Ordering;

use super::{AUDIENCE, PACKAGES_VERSION, url};
use crate::error::CallError;
use crate::json::{Fields, Odd};
use crate::{Session, paging};

/// One application, installed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The name that identifies it; compare without case.
    pub unique_name: String,
    /// The version that is installed or being installed; of one that is not, the version on offer.
    pub version: Option<String>,
    /// Where it stands.
    pub state: PackageState,
    /// Why the last install failed.
    pub last_error: Option<PackageError>,
    /// A higher version that could be installed.
    pub available_version: Option<String>,
    /// The name that people see.
    pub localized_name: Option<String>,
}

/// What Microsoft says about a failed install.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageError {
    /// `errorCode`.
    pub code: Option<String>,
    /// `errorName`.
    pub name: Option<String>,
    /// `message`.
    pub message: Option<String>,
}

/// Where a package stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageState {
    /// Not installed.
    None,
    /// Installed.
    Installed,
    /// The last install failed.
    Failed,
    /// Being installed, or in a state that this operator does not know; as Microsoft names it.
    InProgress(String),
    /// Being uninstalled.
    Uninstalling,
    /// The last uninstall failed.
    UninstallFailed,
}

/// The packages of one environment, one entry per unique name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageList {
    /// Those that could be read.
    pub packages: Vec<Package>,
    /// Every page was read, and every item on it. Otherwise a package that is missing here may exist.
    pub complete: bool,
}

impl PackageList {
    /// The package of this name, without regard to case.
    pub fn find(&self, unique_name: &str) -> Option<&Package> {
        self.packages
            .iter()
            .find(|package| package.unique_name.eq_ignore_ascii_case(unique_name))
    }
}

impl PackageState {
    /// `state` of a package \[D\], in any casing. An unknown value is in progress, never installed.
    fn read(state: Option<&str>) -> Self {
        let Some(state) = state else {
            return Self::InProgress("state not reported".to_owned());
        };
        match state.to_ascii_lowercase().as_str() {
            "none" | "notinstalled" => Self::None,
            "installed" => Self::Installed,
            "installfailed" => Self::Failed,
            "uninstalling" => Self::Uninstalling,
            "uninstallfailed" => Self::UninstallFailed,
            _ => Self::InProgress(state.to_owned()),
        }
    }

    /// Of several entries with one name, the one with the highest rank tells the state.
    fn rank(&self) -> u8 {
        match self {
            Self::InProgress(_) | Self::Uninstalling => 4,
            Self::Installed => 3,
            Self::UninstallFailed => 2,
            Self::Failed => 1,
            Self::None => 0,
        }
    }
}

impl PackageError {
    pub(super) fn read(fields: Fields<'_>) -> Result<Self, Odd> {
        Ok(Self {
            code: fields.text("errorCode")?,
            name: fields.text("errorName")?,
            message: fields.text("message")?,
        })
    }
}

impl Package {
    fn read(fields: Fields<'_>) -> Result<Self, Odd> {
        let error = fields
            .object("lastError")?
            .or(fields.object("errorDetails")?);
        Ok(Self {
            unique_name: fields.text("uniqueName")?.ok_or(Odd("uniqueName"))?,
            version: fields.text("version")?,
            state: PackageState::read(fields.text("state")?.as_deref()),
            last_error: error.map(PackageError::read).transpose()?,
            available_version: None,
            localized_name: fields.text("localizedName")?,
        })
    }
}

/// `GET /appmanagement/environments/{id}/applicationPackages?appInstallState=All`, all pages.
///
/// \[D\] Power Platform API reference, "Applications: Get environment application package". An update shows as the same
/// `uniqueName` with a higher `version` that is not installed [O d365bap.tools, seen live].
///
/// # Errors
/// A page could not be read, or its link leads to another host.
pub async fn application_packages(
    session: &Session,
    environment_id: &str,
) -> Result<PackageList, CallError> {
    let call = Call::ListApplicationPackages;
    let path = [
        "appmanagement",
        "environments",
        environment_id,
        "applicationPackages",
    ];
    let first = url(
        session,
        call,
        &path,
        &[
            ("appInstallState", "All"),
            ("api-version", PACKAGES_VERSION),
        ],
    )?;
    let pages = paging::all(
        session,
        call,
        &AUDIENCE,
        first,
        paging::MAX_ITEMS,
        |fields| Package::read(fields).ok(),
    )
    .await?;
    Ok(PackageList {
        complete: pages.reached_end && pages.unreadable == 0,
        packages: merge(pages.items),
    })
}

/// One entry per unique name, sorted by it.
fn merge(mut entries: Vec<Package>) -> Vec<Package> {
    entries.sort_by_cached_key(|package| package.unique_name.to_ascii_lowercase());
    entries
        .chunk_by(|a, b| a.unique_name.eq_ignore_ascii_case(&b.unique_name))
        .filter_map(merge_one)
        .collect()
}

fn merge_one(same: &[Package]) -> Option<Package> {
    let by_rank = |a: &&Package, b: &&Package| {
        a.state
            .rank()
            .cmp(&b.state.rank())
            .then_with(|| by_version(a.version.as_deref(), b.version.as_deref()))
    };
    let mut package = same.iter().max_by(by_rank)?.clone();
    if package.last_error.is_none() {
        package.last_error = same.iter().find_map(|other| other.last_error.clone());
    }
    if package.state != PackageState::None {
        let on_offer = same
            .iter()
            .filter(|other| other.state == PackageState::None);
        package.available_version = on_offer
            .filter_map(|other| other.version.as_deref())
            .filter(|version| by_version(Some(version), package.version.as_deref()).is_gt())
            .max_by(|a, b| by_version(Some(a), Some(b)))
            .map(str::to_owned);
    }
    Some(package)
}

/// Compare versions part by part, as numbers; a missing part is 0, and what is not a number is lower than any.
fn by_version(a: Option<&str>, b: Option<&str>) -> Ordering {
    fn parts(version: Option<&str>) -> Vec<Option<u64>> {
        let mut parts: Vec<_> = version
            .unwrap_or("")
            .split('.')
            .map(|part| part.trim().parse().ok())
            .collect();
        while parts.last() == Some(&Some(0)) {
            parts.pop();
        }
        parts
    }
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (lower, higher) in [
            ("1.9", "1.10"),
            ("9.0.0.1", "10"),
            ("1.0", "1.0.0.1"),
            ("", "0.1"),
            ("1.x", "1.1"),
        ] {
            assert!(
                by_version(Some(lower), Some(higher)).is_lt(),
                "{lower} < {higher}"
            );
            assert!(
                by_version(Some(higher), Some(lower)).is_gt(),
                "{higher} > {lower}"
            );
        }
        assert!(by_version(Some("1.0.0"), Some("1")).is_eq());
        assert!(by_version(None, Some("1")).is_lt());
    }

    #[test]
    fn an_unknown_state_is_in_progress_and_never_installed() {
        for state in [
            "Installing",
            "InstallRequested",
            "InstallScheduled",
            "InstallRetrying",
            "Sleeping",
            "INSTALLED2",
        ] {
            assert_eq!(
                PackageState::read(Some(state)),
                PackageState::InProgress(state.to_owned())
            );
        }
        assert_eq!(
            PackageState::read(Some("iNSTALLED")),
            PackageState::Installed
        );
        assert!(matches!(
            PackageState::read(None),
            PackageState::InProgress(_)
        ));
    }
}
