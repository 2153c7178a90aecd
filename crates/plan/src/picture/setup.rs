//! The application packages that the spec asks for, and how far each is.

use crate::{
    observed::{Fact, Package, PackageState, Problem},
    world::World,
};

/// The packages that the spec asks for, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setup<'a> {
    /// They could not be read.
    Unknown(&'a Problem),
    /// They were.
    Known(Vec<Needed<'a>>),
}

/// A package that the spec asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed<'a> {
    /// Its name, as the spec has it.
    pub name: &'a str,
    /// What was read of it; `None` where it is not listed.
    pub package: Option<&'a Package>,
}

/// How far the packages are together: the first of these that is true of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Something is being done to one.
    InProgress,
    /// The last installation of one has failed.
    Failed,
    /// One is not installed.
    Missing,
    /// All are installed.
    Installed,
}

impl Stage {
    /// How far these packages are.
    pub fn of(needed: &[Needed<'_>]) -> Self {
        let of_one = |needed: &Needed<'_>| match needed.state() {
            PackageState::InProgress(_) => Self::InProgress,
            PackageState::Failed => Self::Failed,
            PackageState::NotInstalled => Self::Missing,
            PackageState::Installed => Self::Installed,
        };
        let stages = needed.iter().map(of_one);
        stages.min().unwrap_or(Self::Installed)
    }
}

impl<'a> Setup<'a> {
    pub(super) fn of(world: &'a World<'a>) -> Self {
        match &world.observed.applications {
            Fact::Unknown(problem) => Self::Unknown(problem),
            Fact::Known(packages) => {
                let names = world.desired.applications.iter();
                Self::Known(names.map(|name| Needed::of(name, packages)).collect())
            }
        }
    }

    /// Whether every package is installed; `None` when that is not known.
    pub fn is_complete(&self) -> Option<bool> {
        match self {
            Self::Unknown(_) => None,
            Self::Known(needed) => Some(needed.iter().all(Needed::is_installed)),
        }
    }
}

impl<'a> Needed<'a> {
    /// Where a package is listed more than once, the installed one is meant.
    fn of(name: &'a str, packages: &'a [Package]) -> Self {
        let mut listed = packages
            .iter()
            .filter(|package| package.name.eq_ignore_ascii_case(name));
        let mut installed = listed
            .clone()
            .filter(|package| package.state == PackageState::Installed);
        Self {
            name,
            package: installed.next().or_else(|| listed.next()),
        }
    }

    /// Whether it is installed.
    pub fn is_installed(&self) -> bool {
        self.state() == &PackageState::Installed
    }

    /// How far it is.
    pub fn state(&self) -> &'a PackageState {
        self.package
            .map_or(&PackageState::NotInstalled, |package| &package.state)
    }
}
