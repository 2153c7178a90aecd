//! The keys of a Secret, as people write them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::SecretString;

use super::{bounded, not_granted};
use crate::controller::{context::Context, reader::problem};
use dualwrite_api::{EXPIRES_ON, Reason};
use dualwrite_plan::observed::Problem;

/// A Secret's keys. Secrets are read by name when they are needed; no right to list or watch them is asked for.
pub(super) struct Keys {
    namespace: String,
    name: String,
    secret: Secret,
}

impl Keys {
    pub(super) async fn read(
        context: &Context,
        namespace: &str,
        name: &str,
    ) -> Result<Self, Problem> {
        let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
        match bounded(secrets.get(name)).await {
            Ok(secret) => Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                secret,
            }),
            Err(kube::Error::Api(status)) if status.code == 404 => Err(Problem::needs_person(
                Reason::SecretNotFound,
                format!(
                    "The Secret '{name}' does not exist in namespace '{namespace}': create it there, or correct its name in the spec."
                ),
            )),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Err(not_granted(context, namespace))
            }
            Err(error) => Err(Problem::transient(format!(
                "The Secret '{name}' could not be read: {}",
                problem::kubernetes(&error)
            ))),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn uid(&self) -> String {
        self.secret.metadata.uid.clone().unwrap_or_default()
    }

    pub(super) fn resource_version(&self) -> String {
        let version = self.secret.metadata.resource_version.clone();
        version.unwrap_or_default()
    }

    /// The day that a person has noted, because nobody else can know it.
    pub(super) fn expires_on(&self) -> Option<Timestamp> {
        let noted = self.secret.metadata.annotations.as_ref()?.get(EXPIRES_ON)?;
        let day: jiff::civil::Date = noted.trim().parse().ok()?;
        let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(midnight.timestamp())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn secret(&self, key: &str, what: &str) -> Result<SecretString, Problem> {
        self.text(key, what).map(SecretString::from)
    }

    pub(super) fn refuse(&self, key: &str, why: &str) -> Result<(), Problem> {
        if self.value(key).is_none() {
            return Ok(());
        }
        Err(self.invalid(&format!("has the key {key}; {why}")))
    }

    pub(super) fn text(&self, key: &str, what: &str) -> Result<String, Problem> {
        let Some(bytes) = self.value(key) else {
            return Err(self.invalid(&format!("lacks the key {key}: {what}")));
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| self.invalid(&format!("has a {key} that is not text")))?;
        // Editors and `echo` leave a line end behind, which no id, name or secret has.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(self.invalid(&format!("has an empty {key}: {what}")));
        }
        Ok(text.to_owned())
    }

    fn value(&self, key: &str) -> Option<&Vec<u8>> {
        self.secret.data.as_ref()?.get(key).map(|value| &value.0)
    }

    pub(super) fn invalid(&self, what: &str) -> Problem {
        Problem::needs_person(
            Reason::SecretInvalid,
            format!(
                "The Secret '{}' in namespace '{}' {what}.",
                self.name, self.namespace
            ),
        )
    }
}
