//! What is generated is what is committed, what documents promise exists, and nobody knows whom he should not.
//! With `GENERATE=1` (`make generate`) the generated files are written instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::CommandFactory as _;
use dualwrite_api::connection::CheckName;
use dualwrite_api::operation::{Action, Phase};
use dualwrite_api::{ConditionType, DualWriteConnection, Reason};
use dualwrite_microsoft::{Api, Call, CallObserver as _, Class, catalogue};
use dualwrite_operator::controller::condition_metrics::ConditionMetrics;
use dualwrite_operator::metrics::Metrics;
use dualwrite_operator::runtime::cli::Cli;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize as _;
use serde_json::Value;
use strum::IntoEnumIterator as _;

// ---- generated files ----

#[test]
fn the_definitions_are_those_of_the_program() {
    for kind in ["connections", "operations"] {
        let output = Command::new(env!("CARGO_BIN_EXE_dualwrite-operator"))
            .args(["crd", kind])
            .output()
            .unwrap();
        assert!(output.status.success(), "dualwrite-operator crd {kind}");
        let printed = String::from_utf8(output.stdout).unwrap();
        hold_equal(&format!("crds/dualwrite{kind}.yaml"), &printed);
    }
}

#[test]
fn the_flags_are_documented_as_the_program_has_them() {
    let mut table =
        "| Flag | Environment | Default | What it does |\n|---|---|---|---|\n".to_owned();
    for flag in flags_of_run() {
        let value = flag.get_value_names().and_then(|names| names.first());
        let takes_value = flag.get_action().takes_values();
        // clap names a value after its flag where no better name is given: that says nothing.
        let long = flag.get_long().unwrap();
        let own = long.replace('-', "_").to_uppercase();
        let value = value.filter(|name| takes_value && name.as_str() != own);
        let value = value.map(|name| format!(" {name}"));
        let default = flag.get_default_values().first();
        let default = default.map(|text| format!("`{}`", text.to_string_lossy()));
        writeln!(
            table,
            "| `--{}{}` | `{}` | {} | {} |",
            long,
            value.unwrap_or_default(),
            flag.get_env().unwrap().to_string_lossy(),
            default.filter(|_| takes_value).unwrap_or_default(),
            flag.get_help().unwrap()
        )
        .unwrap();
    }
    hold_part_equal("docs/flags.md", "flags", &table);
}

#[test]
fn the_link_template_is_documented_as_it_is() {
    let template = read("crates/microsoft/src/dual_write/default_link.json");
    let block = format!("```json\n{}\n```\n", template.trim_end());
    hold_part_equal("docs/linking.md", "link-template", &block);
}

#[test]
fn the_errors_are_documented_as_the_program_knows_them() {
    hold_part_equal("docs/errors.md", "errors", &catalogue::page());
}

/// What Entra refuses becomes the reason of a condition, so each reason must be one that is explained.
#[test]
fn every_refusal_of_entra_is_a_reason_of_conditions() {
    let entra = catalogue::AREAS
        .iter()
        .flat_map(|area| area.entries)
        .filter(|entry| entry.api == Api::Entra && entry.class == Class::NeedsPerson);
    for entry in entra {
        assert!(
            entry.reason.parse::<Reason>().is_ok(),
            "{} is no reason of conditions",
            entry.reason
        );
    }
}

fn flags_of_run() -> Vec<clap::Arg> {
    let mut command = Cli::command();
    command.build();
    let run = command.find_subcommand("run").expect("there is `run`");
    let flags = run.get_arguments();
    let shown = flags.filter(|flag| flag.get_env().is_some() && !flag.is_hide_set());
    shown.cloned().collect()
}

// ---- documents ----

#[test]
fn the_metrics_are_documented_as_they_are_served() {
    let metrics = Metrics::default();
    metrics.show(ConditionMetrics {
        scopes: Vec::new(),
        most: 0,
    });
    metrics.pass("any").done(true);
    metrics.operation_ended(Action::Setup, Phase::Succeeded, Duration::ZERO);
    metrics.call(Call::Token, "200", Duration::ZERO);
    let text = metrics.text().unwrap();
    let mut served = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let end = if kind == "counter" { "_total" } else { "" };
            served.insert(format!("{name}{end}"), kind.to_owned());
        }
    }
    let rows = rows(&read("docs/metrics.md"));
    let documented = rows.iter().filter(|row| row[0].starts_with("`dualwrite_"));
    let documented: BTreeMap<_, _> = documented
        .map(|row| (code(&row[0]), row[1].clone()))
        .collect();
    assert_eq!(
        documented, served,
        "docs/metrics.md (left) and /metrics (right)"
    );
    // Without a resource these have no sample.
    let of_resources = [
        "dualwrite_condition",
        "dualwrite_credential_expires_timestamp_seconds",
    ];
    for row in rows
        .iter()
        .filter(|row| documented.contains_key(&code(&row[0])))
    {
        let name = code(&row[0]);
        for label in row[2]
            .split(", ")
            .map(code)
            .filter(|label| !label.is_empty() && !of_resources.contains(&name.as_str()))
        {
            let sample =
                |line: &str| line.starts_with(&name) && line.contains(&format!("{label}=\""));
            assert!(
                text.lines().any(sample)
                    || text.lines().any(|line| {
                        line.starts_with(&format!("{name}_count"))
                            && line.contains(&format!("{label}=\""))
                    }),
                "{name} has no label {label}:\n{text}"
            );
        }
    }
}

#[test]
fn every_condition_and_reason_is_explained_once() {
    let first: Vec<String> = rows(&read("docs/conditions.md"))
        .iter()
        .map(|row| code(&row[0]))
        .collect();
    let types = ConditionType::iter().map(|kind| kind.to_string());
    let reasons = Reason::iter().map(|reason| reason.to_string());
    for name in types.chain(reasons).collect::<BTreeSet<_>>() {
        let is_type = name.parse::<ConditionType>().is_ok();
        let is_reason = name.parse::<Reason>().is_ok();
        let expected = usize::from(is_type) + usize::from(is_reason);
        let found = first.iter().filter(|known| **known == name).count();
        assert_eq!(
            found, expected,
            "rows of docs/conditions.md that begin with `{name}`"
        );
    }
    for name in first
        .iter()
        .filter(|name| name.starts_with(char::is_uppercase))
    {
        let known = name.parse::<ConditionType>().is_ok() || name.parse::<Reason>().is_ok();
        assert!(
            known || ["Type", "Reason"].contains(&name.as_str()),
            "docs/conditions.md: no such thing as {name}"
        );
    }
}

#[test]
fn every_check_is_explained_once() {
    let explained: Vec<String> = rows(&read("docs/checks.md"))
        .iter()
        .skip(1)
        .map(|row| code(&row[0]))
        .collect();
    let checks: Vec<String> = CheckName::iter().map(|check| check.to_string()).collect();
    assert_eq!(
        explained, checks,
        "docs/checks.md (left) and the checks (right)"
    );
}

#[test]
fn the_readme_names_what_exists() {
    let readme = read("README.md");
    for kind in ConditionType::iter() {
        assert!(
            readme.contains(&format!("| `{kind}` |")),
            "README.md does not explain {kind}"
        );
    }
    let (_, rest) = readme
        .split_once("## What to do when")
        .expect("the section is there");
    let (section, _) = rest.split_once("\n## ").unwrap();
    let mut reasons = 0;
    for row in rows(section).iter().skip(1) {
        for name in row[0].split(", ").filter(|name| name.starts_with('`')) {
            assert!(
                code(name).parse::<Reason>().is_ok(),
                "README.md: there is no reason {name}"
            );
            reasons += 1;
        }
    }
    assert!(reasons > 10, "the table of README.md was not found");
}

#[test]
fn documents_name_flags_that_exist() {
    let mut command = Cli::command();
    command.build();
    let flags: BTreeSet<String> = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|flag| Some(format!("--{}", flag.get_long()?)))
        .collect();
    // The simulator has flags of its own; its tests hold its page.
    for path in documents()
        .into_iter()
        .filter(|path| !path.ends_with("docs/simulator.md"))
    {
        for word in inline_code(&read(&path))
            .iter()
            .flat_map(|code| code.split_whitespace())
        {
            let flag = word.split('=').next().unwrap();
            assert!(
                !flag.starts_with("--") || flags.contains(flag),
                "{}: the operator has no flag {flag}",
                path.display()
            );
        }
    }
}

#[test]
fn documents_name_files_that_exist() {
    let folders = ["src/", "crates/", "tests/", "deploy/", "docs/", "crds/"];
    let mut found = 0;
    for path in documents() {
        for named in inline_code(&read(&path)) {
            let is_pattern = named.contains(['*', '<', '{', ' ']);
            if is_pattern || !folders.iter().any(|folder| named.starts_with(folder)) {
                continue;
            }
            found += 1;
            assert!(
                root().join(&named).exists(),
                "{}: there is no {named}",
                path.display()
            );
        }
    }
    assert!(found > 20, "the names of files were not found");
}

#[test]
fn every_relative_link_resolves() {
    for path in documents() {
        let text = read(&path);
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            assert!(
                root().join(&there).exists(),
                "{}: {target} does not exist",
                path.display()
            );
            let known = anchor.is_empty() || headings(&read(&there)).contains(anchor);
            assert!(known, "{}: {target} has no such heading", path.display());
        }
    }
}

#[test]
fn examples_are_what_the_types_say() {
    let folders = ["examples", "examples/reset"];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let mut connections = 0;
    let readme = read("README.md");
    let in_readme = readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next());
    let in_readme = in_readme
        .filter(|text| text.starts_with("apiVersion: dualwrite.dev"))
        .map(str::to_owned);
    let texts: Vec<String> = files
        .map(|file| fs::read_to_string(file).unwrap())
        .chain(in_readme)
        .collect();
    for document in texts
        .iter()
        .flat_map(|text| serde_norway::Deserializer::from_str(text))
    {
        let written = Value::deserialize(document).unwrap();
        let name = &written["metadata"]["name"];
        let understood = match written["kind"].as_str() {
            Some("DualWriteConnection") => {
                connections += 1;
                serde_json::from_value::<DualWriteConnection>(written.clone())
                    .map(serde_json::to_value)
            }
            Some("Secret") => {
                serde_json::from_value::<Secret>(written.clone()).map(serde_json::to_value)
            }
            other => panic!("an example of an unknown kind: {other:?}"),
        };
        let understood = understood
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .unwrap();
        assert!(
            contains(&understood, &written),
            "{name} has fields that do not exist:\n{written:#}\n{understood:#}"
        );
    }
    assert!(connections >= 4, "the examples and the README's were found");
}

/// Whether everything that was written has been understood.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|found| contains(found, value))),
        _ => whole == part,
    }
}

// ---- who may know whom ----

/// Cargo holds who may know whom; this holds what the manifests say, where more than a name of ours is meant.
#[test]
fn each_crate_builds_without_what_it_may_not_know() {
    let clients = ["tokio", "reqwest", "hyper", "kube-client", "kube-runtime"];
    let kubernetes = [
        "kube",
        "kube-core",
        "k8s-openapi",
        "dualwrite-api",
        "dualwrite-plan",
        "dualwrite-protocol",
    ];
    let ours = [
        "dualwrite-api",
        "dualwrite-plan",
        "dualwrite-protocol",
        "dualwrite-microsoft",
        "dualwrite-operator",
    ];
    for (package, forbidden) in [
        ("dualwrite-api", clients.as_slice()),
        ("dualwrite-plan", &clients),
        ("dualwrite-protocol", &clients),
        ("dualwrite-microsoft", &kubernetes),
        ("dualwrite-simulator", &ours),
    ] {
        let known = builds_with(package);
        assert!(known.contains(package), "cargo tree knows {package}");
        for name in forbidden {
            assert!(!known.contains(*name), "{package} is built with {name}");
        }
    }
}

/// The packages that one is built with.
fn builds_with(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--prefix=none",
            "--edges=normal",
            "--package",
            package,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree --package {package}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// What a process finds around itself is nobody's credential: only `src/runtime` looks at variables, and gives the one place
/// that may use an identity of the pod what it asks for. No library that would look by itself is built in.
#[test]
fn nobody_looks_for_credentials_around_the_process() {
    for folder in [
        "crates/api/src",
        "crates/plan/src",
        "crates/protocol/src",
        "crates/microsoft/src",
        "src/controller",
    ] {
        forbid(folder, &["env::var", "std::env", "169.254."]);
    }
    let lock = read("Cargo.lock");
    for library in ["azure_identity", "aws-config", "google-cloud-auth"] {
        let package = format!("name = \"{library}\"");
        assert!(!lock.contains(&package), "{library} looks by itself");
    }
}

fn forbid(folder: &str, words: &[&str]) {
    let mut folders = vec![root().join(folder)];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            files += 1;
            for (number, line) in fs::read_to_string(&entry).unwrap().lines().enumerate() {
                // Comments may speak of what the code may not use.
                let code = line.split("//").next().unwrap();
                let found = words.iter().find(|word| code.contains(**word));
                assert!(
                    found.is_none(),
                    "{}:{} uses {found:?}, which this layer may not know",
                    entry.display(),
                    number + 1
                );
            }
        }
    }
    assert!(files > 0, "{folder} holds no file");
}

// ---- helpers ----

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// README.md and the other pages, relative to the root.
fn documents() -> Vec<PathBuf> {
    let pages = |folder: &str| fs::read_dir(root().join(folder)).unwrap();
    let all = pages(".")
        .chain(pages("docs"))
        .map(|entry| entry.unwrap().path());
    let pages = all.filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages
        .map(|path| {
            path.strip_prefix(root().join("."))
                .unwrap_or(&path)
                .to_owned()
        })
        .collect()
}

fn hold_equal(path: &str, expected: &str) {
    if std::env::var_os("GENERATE").is_some() {
        fs::write(root().join(path), expected).unwrap();
        return;
    }
    assert!(
        read(path) == expected,
        "{path} is not what the program says: run `make generate`"
    );
}

/// The same for what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
fn hold_part_equal(path: &str, name: &str, expected: &str) {
    let text = read(path);
    let opening = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text.split_once(&opening).expect("the part is marked");
    let (_, after) = rest
        .split_once("<!-- end -->")
        .expect("the part has an end");
    hold_equal(
        path,
        &format!("{before}{opening}{expected}<!-- end -->{after}"),
    );
}

/// The rows of all tables, cell by cell.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|--"));
    lines
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

fn code(text: &str) -> String {
    text.trim_matches('`').to_owned()
}

/// What stands between single backticks, outside of blocks.
fn inline_code(text: &str) -> Vec<String> {
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    prose
        .join("\n")
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The anchors of a page's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    let prose = prose.join("\n");
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}
