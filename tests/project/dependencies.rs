//! What deny.toml forbids is in no dependency: for every machine, also without cargo-deny, which says more.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};

/// The platform of the image: what others would take is not downloaded for a test.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn rules() -> toml::Table {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    let text = std::fs::read_to_string(text).unwrap();
    toml::from_str(&text).unwrap()
}

/// Every package that a build with all features may take, with those of tests.
fn packages() -> Vec<Value> {
    let asked = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
        ])
        .arg(format!("--filter-platform={PLATFORM}"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{said}");
    let mut metadata: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("no list of packages");
    };
    assert!(packages.len() > 200, "only {} packages", packages.len());
    packages
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// Whether a package is of this repository.
fn is_ours(package: &Value) -> bool {
    let manifest = package["manifest_path"].as_str().unwrap();
    package["source"].is_null() && Path::new(manifest).starts_with(env!("CARGO_MANIFEST_DIR"))
}

/// Whether one of the licences that a package may be used under is among the allowed ones.
fn is_allowed(license: &str, allowed: &[Licensee]) -> bool {
    let expression = Expression::parse_mode(license, ParseMode::LAX).unwrap();
    expression.evaluate(|wanted| allowed.iter().any(|one| one.satisfies(wanted)))
}

fn allowed_licenses() -> Vec<Licensee> {
    let rules = rules();
    let listed = rules["licenses"]["allow"].as_array().unwrap();
    let parse = |license: &toml::Value| Licensee::parse(license.as_str().unwrap()).unwrap();
    listed.iter().map(parse).collect()
}

#[test]
fn every_dependency_may_be_used_under_a_licence_that_is_allowed() {
    let allowed = allowed_licenses();
    let refused: Vec<_> = packages()
        .iter()
        .map(|package| (name(package).to_owned(), package["license"].clone()))
        .filter(|(_, license)| {
            !license
                .as_str()
                .is_some_and(|text| is_allowed(text, &allowed))
        })
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn a_licence_that_is_not_listed_is_refused() {
    let allowed = allowed_licenses();
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "AGPL-3.0-or-later"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

#[test]
fn no_dependency_is_banned_and_all_come_from_the_registry() {
    let rules = rules();
    let banned: Vec<&str> = rules["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| ban["crate"].as_str().unwrap())
        .collect();
    assert!(banned.contains(&"openssl-sys"), "{banned:?}");
    for package in packages() {
        assert!(
            !banned.contains(&name(&package)),
            "{} is banned",
            name(&package)
        );
        let source = &package["source"];
        assert!(
            is_ours(&package) || source == REGISTRY,
            "{} is from {source}",
            name(&package)
        );
    }
}

#[test]
fn every_dependency_of_ours_names_its_version() {
    let ours: Vec<Value> = packages().into_iter().filter(is_ours).collect();
    assert!(ours.len() > 1, "only {} crates of ours", ours.len());
    for package in &ours {
        let dependencies = package["dependencies"].as_array().unwrap();
        // A crate of this repository has no other version than the one that stands here.
        for dependency in dependencies.iter().filter(|one| one["path"].is_null()) {
            assert_ne!(dependency["req"], "*", "{}", name(dependency));
        }
    }
}
