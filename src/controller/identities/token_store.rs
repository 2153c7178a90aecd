//! The refresh tokens of one account, in a Secret of the operator's own beside the one that a person has made.
//!
//! The person's Secret is never written: a tool that owns it would put the old token back. When its token changes, it
//! wins, and everything that grew from the one before is forgotten.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Api, api::PostParams};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::bounded;
use crate::controller::{context::Context, reader::problem};
use dualwrite_api::{FIELD_MANAGER, conditions, values};
use dualwrite_microsoft::{
    auth::{RefreshTokenStore, SourceError},
    error::Class,
};

/// Marks the operator's Secrets: one without it is somebody else's, and is left alone.
const LABEL: &str = "dualwrite.dev/refresh-tokens";
/// The token to use.
const CURRENT: &str = "refreshToken";
/// The one that gave it: it has worked, and stays until its successor has.
const PREVIOUS: &str = "previousRefreshToken";
/// A digest of the person's token that these grew from. A refresh token is far too long to be guessed from it.
const FIRST: &str = "grownFrom";
/// When the current token was given.
const SINCE: &str = "since";

/// How often a write is tried again because somebody else has written something beside it.
const TRIES: usize = 3;

/// The Secret that a person has made, as far as the store needs to know it.
pub(super) struct Origin {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) token: SecretString,
}

/// The store beside one Secret.
pub(super) struct TokenStore {
    api: Api<Secret>,
    origin: Origin,
    name: String,
    operator: String,
    /// What was read last: the precondition of the next write.
    read: Mutex<Option<Secret>>,
}

impl TokenStore {
    pub(super) fn new(context: &Context, origin: Origin) -> Self {
        Self {
            api: Api::namespaced(context.client.clone(), &origin.namespace),
            name: store_name(&origin.name),
            origin,
            operator: context.options.service_account.clone(),
            read: Mutex::default(),
        }
    }

    /// The store as it is, made or begun anew if it is not there or grew from another token. Written before any token
    /// is used, so that a missing right shows while nothing can be lost yet.
    async fn prepared(&self) -> Result<Secret, SourceError> {
        for _ in 0..TRIES {
            let found = bounded(self.api.get_opt(&self.name)).await;
            let found = found.map_err(|error| self.failed("read", &error))?;
            let begun = match found {
                Some(found) if !is_ours(&found) => return Err(self.occupied()),
                Some(found) if self.grew_here(&found) => return Ok(found),
                // Whoever has read the person's Secret before it changed must not undo what grew from it since.
                Some(_) if !self.is_current().await? => return Err(self.outdated()),
                Some(other) => {
                    let new = self.adopted(&other);
                    bounded(self.api.replace(&self.name, &params(), &new)).await
                }
                None => {
                    let new = self.secret(&self.origin.token, None, None);
                    bounded(self.api.create(&params(), &new)).await
                }
            };
            match begun {
                Ok(begun) => return Ok(begun),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(self.failed("written", &error)),
            }
        }
        Err(self.busy())
    }

    async fn read_tokens(&self) -> Result<Vec<SecretString>, SourceError> {
        let store = self.prepared().await?;
        let mut tokens = Vec::new();
        for token in [text(&store, CURRENT), text(&store, PREVIOUS)] {
            tokens.extend(token.filter(|token| !token.is_empty()));
        }
        tokens.push(self.origin.token.expose_secret().to_owned());
        let mut seen = std::collections::HashSet::new();
        tokens.retain(|token| seen.insert(token.clone()));
        *self.last_read() = Some(store);
        Ok(tokens.into_iter().map(SecretString::from).collect())
    }

    async fn write(&self, used: &SecretString, new: &SecretString) -> Result<(), SourceError> {
        for _ in 0..TRIES {
            let read = self.last_read().clone();
            let version = read
                .as_ref()
                .and_then(|read| read.metadata.resource_version.clone());
            let secret = self.secret(new, Some(used), version.clone());
            let written = match version {
                Some(_) => bounded(self.api.replace(&self.name, &params(), &secret)).await,
                None => bounded(self.api.create(&params(), &secret)).await,
            };
            match written {
                Ok(written) => {
                    *self.last_read() = Some(written);
                    return Ok(());
                }
                Err(error) if is_conflict(&error) || is_gone(&error) => {}
                Err(error) => return Err(self.failed("written", &error)),
            }
            let now = bounded(self.api.get_opt(&self.name)).await;
            let now = now.map_err(|error| self.failed("read", &error))?;
            let ours = now.as_ref().is_none_or(is_ours);
            let renewed = now.as_ref().and_then(|now| text(now, CURRENT));
            let before = read.as_ref().and_then(|read| text(read, CURRENT));
            if now.is_some() && ours && renewed != before {
                // Another process was quicker. Its token is as good as ours, and newer than what we read.
                *self.last_read() = now;
                return Ok(());
            }
            if !ours {
                return Err(self.occupied());
            }
            *self.last_read() = now;
        }
        Err(self.busy())
    }

    fn last_read(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grew_here(&self, store: &Secret) -> bool {
        let owner = store.metadata.owner_references.iter().flatten();
        text(store, FIRST).as_deref() == Some(&digest(&self.origin.token))
            && owner
                .map(|owner| &owner.uid)
                .any(|uid| *uid == self.origin.uid)
    }

    /// A store that grew from another token, begun anew; or from the same token in a Secret that was made anew since, with
    /// what it has.
    fn adopted(&self, store: &Secret) -> Secret {
        let version = store.metadata.resource_version.clone();
        let same = text(store, FIRST).as_deref() == Some(&digest(&self.origin.token));
        let kept = |key| text(store, key).filter(|_| same).map(SecretString::from);
        let current = kept(CURRENT).unwrap_or_else(|| self.origin.token.clone());
        self.secret(&current, kept(PREVIOUS).as_ref(), version)
    }

    fn secret(
        &self,
        current: &SecretString,
        previous: Option<&SecretString>,
        resource_version: Option<String>,
    ) -> Secret {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let mut data = BTreeMap::from([
            (CURRENT.to_owned(), bytes(current.expose_secret())),
            (FIRST.to_owned(), bytes(&digest(&self.origin.token))),
        ]);
        if let Some(previous) = previous {
            data.insert(PREVIOUS.to_owned(), bytes(previous.expose_secret()));
            data.insert(
                SINCE.to_owned(),
                bytes(&crate::controller::now().to_string()),
            );
        }
        Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.origin.namespace.clone()),
                resource_version,
                labels: Some(BTreeMap::from([(LABEL.to_owned(), "true".to_owned())])),
                owner_references: Some(vec![OwnerReference {
                    api_version: "v1".into(),
                    kind: "Secret".into(),
                    name: self.origin.name.clone(),
                    uid: self.origin.uid.clone(),
                    ..OwnerReference::default()
                }]),
                ..ObjectMeta::default()
            },
            data: Some(data),
            type_: Some("dualwrite.dev/refresh-tokens".into()),
            ..Secret::default()
        }
    }

    fn failed(&self, what: &str, error: &kube::Error) -> SourceError {
        let (name, namespace) = (&self.name, &self.origin.namespace);
        if matches!(error, kube::Error::Api(status) if status.code == 403) {
            return needs_person(
                "NamespaceNotGranted",
                format!(
                    "The operator may not keep refresh tokens in namespace '{namespace}' (Secret '{name}'). Whoever owns \
                     the namespace grants it with: kubectl create rolebinding dualwrite-operator-refresh-tokens \
                     --clusterrole=dualwrite-operator-refresh-tokens --serviceaccount={} -n {namespace}",
                    self.operator
                ),
            );
        }
        SourceError {
            class: Class::Transient,
            reason: None,
            message: format!(
                "The refresh tokens in Secret '{name}' could not be {what}: {}",
                problem::kubernetes(error)
            ),
        }
    }

    /// Whether the person's Secret is still the one that this store begins with. One that was made anew with the same token
    /// is another owner: a store that names an owner that is gone is collected with all that grew in it.
    async fn is_current(&self) -> Result<bool, SourceError> {
        let found = bounded(self.api.get_opt(&self.origin.name)).await;
        let found = found.map_err(|error| SourceError {
            class: Class::Transient,
            reason: None,
            message: format!(
                "The Secret '{}' in namespace '{}' could not be read again: {}",
                self.origin.name,
                self.origin.namespace,
                problem::kubernetes(&error)
            ),
        })?;
        let Some(found) = found else {
            return Ok(false);
        };
        let held = text(&found, CURRENT).unwrap_or_default();
        Ok(found.metadata.uid.as_ref() == Some(&self.origin.uid)
            && held.trim_end_matches(['\r', '\n']) == self.origin.token.expose_secret())
    }

    fn outdated(&self) -> SourceError {
        SourceError {
            class: Class::Transient,
            reason: None,
            message: format!(
                "The Secret '{}' in namespace '{}' has changed meanwhile; it is read again by itself.",
                self.origin.name, self.origin.namespace
            ),
        }
    }

    fn occupied(&self) -> SourceError {
        needs_person(
            "SecretInvalid",
            format!(
                "The Secret '{}' in namespace '{}' is not the operator's (it lacks the label {LABEL}), and stands where the \
                 refresh tokens of Secret '{}' have to be kept: delete it, or rename one of the two.",
                self.name, self.origin.namespace, self.origin.name
            ),
        )
    }

    fn busy(&self) -> SourceError {
        SourceError {
            class: Class::Transient,
            reason: None,
            message: format!(
                "The Secret '{}' changes too often to be written.",
                self.name
            ),
        }
    }
}

impl RefreshTokenStore for TokenStore {
    fn subject(&self) -> String {
        let Origin {
            namespace,
            name,
            uid,
            ..
        } = &self.origin;
        format!("secret:{namespace}/{name}/{uid}")
    }

    fn tokens(&self) -> BoxFuture<'_, Result<Vec<SecretString>, SourceError>> {
        self.read_tokens().boxed()
    }

    fn renewed(&self) -> Option<Timestamp> {
        text(self.last_read().as_ref()?, SINCE)?.parse().ok()
    }

    fn keep<'a>(
        &'a self,
        used: &'a SecretString,
        new: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        self.write(used, new).boxed()
    }
}

/// The name of the store beside a Secret.
pub(super) fn store_name(of: &str) -> String {
    const END: &str = "-refresh-tokens";
    if of.len() + END.len() <= 253 {
        return format!("{of}{END}");
    }
    let tail = &digest(&SecretString::from(of))[..16];
    let start = conditions::cut(of, 200);
    let start = start.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{start}-{tail}{END}")
}

fn needs_person(reason: &'static str, message: String) -> SourceError {
    SourceError {
        class: Class::NeedsPerson,
        reason: Some(reason),
        message,
    }
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

fn is_ours(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(LABEL))
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    String::from_utf8(bytes.clone()).ok()
}

fn digest(token: &SecretString) -> String {
    values::hex(&Sha256::digest(token.expose_secret().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_store_is_one_that_kubernetes_takes() {
        assert_eq!(store_name("contoso"), "contoso-refresh-tokens");
        let long = store_name(&"a.".repeat(126));
        assert!(
            long.len() <= 253 && long.ends_with("-refresh-tokens"),
            "{long}"
        );
        assert_ne!(long, store_name(&"a.".repeat(125)), "long names stay apart");
    }
}
