//! Which fields of answers are kept: those that some reader asks for.

/// By their names, wherever they stand.
const KEPT: &[&str] = &[
    "@odata.nextLink",
    "Id",
    "Url",
    "access_token",
    "adminMode",
    "applicationid",
    "author",
    "build",
    "cdm_companycode",
    "cdm_name",
    "cid",
    "cname",
    "createdOn",
    "dataverseId",
    "detail",
    "device_code",
    "directUrl",
    "displayName",
    "domainName",
    "dualWriteDetail",
    "environmentDisplayName",
    "environments",
    "error",
    "errorCode",
    "errorDetails",
    "errorMessage",
    "errorName",
    "expires_in",
    "finOpsMetadata",
    "geo",
    "identifier",
    "interval",
    "isDevInstance",
    "isdisabled",
    "lastError",
    "lastRequests",
    "left",
    "leftEntity",
    "legalEntityMappings",
    "localizedName",
    "major",
    "message",
    "minor",
    "name",
    "nextLink",
    "pid",
    "powerAppsEnvironment",
    "refresh_token",
    "requestId",
    "result",
    "revision",
    "rightEntity",
    "schemas",
    "state",
    "status",
    "statusMessage",
    "tName",
    "targetType",
    "template",
    "templates",
    "tenantId",
    "tid",
    "type",
    "uniqueName",
    "uniquename",
    "url",
    "user_code",
    "value",
    "verification_uri",
    "version",
];

/// Only in a field of the first name; `*` stands for any name.
const KEPT_IN: &[(&str, &str)] = &[
    ("environments", "*"),
    ("keys", "fields"),
    ("keys", "name"),
    ("legalEntityMappings", "mappings"),
    ("schemas", "keys"),
];

/// Whether the value of a field is kept; services differ in how they write a name.
pub(super) fn is_kept(parent: Option<&str>, name: &str) -> bool {
    let is = |kept: &str| name.eq_ignore_ascii_case(kept);
    let is_in = |of: &str| parent.is_some_and(|parent| parent.eq_ignore_ascii_case(of));
    let mut kept_in = KEPT_IN.iter();
    KEPT.iter().any(|kept| is(kept))
        || kept_in.any(|(of, kept)| is_in(of) && (*kept == "*" || is(kept)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// All of this crate but this file, without its tests.
    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if !path.ends_with("json/fields.rs") {
                let text = fs::read_to_string(&path).unwrap();
                all.push_str(text.split("#[cfg(test)]").next().unwrap());
            }
        }
    }

    fn all_sources() -> String {
        let mut all = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        all.split_whitespace().collect()
    }

    /// What a reader asks for and nobody keeps would look absent.
    #[test]
    fn every_field_that_is_asked_for_is_kept() {
        let sources = all_sources();
        let ways = [
            "text", "id", "flag", "object", "list", "get", "entity", "field", "read", "seconds",
        ];
        let mut asked = BTreeSet::new();
        for way in ways {
            for dot in [".", "=", "(", "!", "?", "{", ";", ","] {
                for part in sources.split(&format!("{dot}{way}(\"")).skip(1) {
                    asked.extend(part.split('"').next());
                }
            }
        }
        let parents: Vec<&str> = KEPT_IN.iter().map(|(of, _)| *of).collect();
        let is_kept = |name: &str| parents.iter().any(|of| is_kept(Some(of), name));
        // Of answers that are kept whole: failures and acceptances.
        let whole = [
            "error_codes",
            "lastOperation",
            "operationId",
            "operation-location",
            "retry-after",
        ];
        let lost: Vec<&&str> = asked
            .iter()
            .filter(|name| !is_kept(name) && !whole.contains(name))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert!(asked.len() > 60, "{asked:?}");
    }

    #[test]
    fn every_field_that_is_kept_is_asked_for() {
        let sources = all_sources();
        let names = KEPT.iter().chain(KEPT_IN.iter().map(|(_, name)| name));
        for name in names.filter(|name| **name != "*") {
            assert!(sources.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
