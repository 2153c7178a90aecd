//! The forms of credentials, and one identity of each as a person keeps it: at Microsoft's and in Kubernetes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::{World, keys, namespace};

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter)]
pub enum Form {
    ClientSecret,
    ClientCertificate,
    ServiceAccount,
    Password,
    RefreshToken,
}

impl Form {
    pub const fn is_application(self) -> bool {
        matches!(
            self,
            Self::ClientSecret | Self::ClientCertificate | Self::ServiceAccount
        )
    }
}

/// An identity: the number tells its credentials apart.
pub struct Identity {
    pub form: Form,
    number: u32,
    /// The keys of the cluster's issuer, for Entra to trust.
    issuer_keys: Value,
    /// What it is kept in: a Secret, or a `ServiceAccount`.
    pub kept_in: String,
    /// Every password that its Secret has held so far.
    passwords: BTreeSet<String>,
}

impl Identity {
    /// In force on both sides, before the operator starts.
    pub async fn new(form: Form, world: &World) -> Self {
        let first = match form {
            Form::ClientSecret | Form::ClientCertificate => "contoso-entra",
            Form::ServiceAccount => "contoso-erp",
            Form::Password | Form::RefreshToken => "contoso-dual-write-account",
        };
        let keys = world.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await;
        let mut identity = Self {
            form,
            number: 0,
            issuer_keys: serde_json::from_str(&keys.ok()).unwrap(),
            kept_in: first.to_owned(),
            passwords: BTreeSet::new(),
        };
        identity.grant(world).await;
        identity.trust(world).await;
        if form == Form::ServiceAccount {
            identity.keep(world).await;
        } else {
            identity.remember(&identity.good());
            secret(world, first, identity.good()).await;
        }
        identity
    }

    async fn grant(&self, world: &World) {
        let (role, can) = match self.form {
            Form::ServiceAccount => (
                "dualwrite-operator-federation",
                ["", "serviceaccounts/token", "create"],
            ),
            Form::RefreshToken => (
                "dualwrite-operator-refresh-tokens",
                ["", "secrets", "update"],
            ),
            _ => return,
        };
        namespace::grant(&world.client(), &world.namespace, role, can).await;
    }

    /// What a connection says that uses it.
    pub fn spec(&self) -> Value {
        let name = json!({"name": self.kept_in});
        match self.form {
            Form::ClientSecret | Form::ClientCertificate => {
                json!({"credentials": {"secretRef": name}})
            }
            Form::ServiceAccount => {
                json!({"credentials": {"secretRef": null, "serviceAccountRef": name, "clientId": CLIENT}})
            }
            Form::Password | Form::RefreshToken => {
                json!({"dualWriteService": {"secretRef": name}})
            }
        }
    }

    /// Another credential of the same form; neither side knows it yet.
    pub fn renew(&mut self) {
        self.number += 1;
    }

    /// Another place to keep it in, as tools make that put a digest of the content into the name.
    pub fn move_on(&mut self) {
        self.renew();
        let start = self.kept_in.trim_end_matches(|c: char| c.is_ascii_digit());
        let start = start.trim_end_matches('-');
        self.kept_in = format!("{start}-{}", self.number);
    }

    pub fn object(&self) -> String {
        let kind = if self.form == Form::ServiceAccount {
            "serviceaccount"
        } else {
            "secret"
        };
        format!("{kind}/{}", self.kept_in)
    }

    fn certificate(&self, days: i64) -> Value {
        let key = [keys::CONTOSO, keys::FABRIKAM][self.number as usize % 2];
        certificate_secret(key, days)
    }

    /// What its Secret holds.
    fn good(&self) -> Value {
        let number = self.number;
        match self.form {
            Form::ClientSecret => {
                json!({"clientId": CLIENT, "clientSecret": format!("marker-secret-{number}")})
            }
            Form::ClientCertificate => self.certificate(90 + i64::from(number)),
            Form::Password => {
                json!({"username": ACCOUNT, "password": format!("marker-password-{number}")})
            }
            Form::RefreshToken => json!({"refreshToken": format!("marker-token-{number}")}),
            Form::ServiceAccount => Value::Null,
        }
    }

    /// Microsoft takes this credential, and no other.
    pub async fn trust(&self, world: &World) {
        let good = self.good();
        let subject = format!("system:serviceaccount:{}:{}", world.namespace, self.kept_in);
        let federated = json!({"issuer": "https://kubernetes.default.svc", "subject": subject, "keys": self.issuer_keys});
        self.at_microsoft(
            world,
            match self.form {
                Form::ClientSecret => json!([good["clientSecret"]]),
                Form::ClientCertificate => json!([good["clientCertificate"]]),
                Form::ServiceAccount => json!([federated]),
                Form::Password => good["password"].clone(),
                Form::RefreshToken => json!([good["refreshToken"]]),
            },
        )
        .await;
    }

    /// Microsoft takes none of what is kept.
    pub async fn distrust(&self, world: &World) {
        let none = match self.form {
            Form::Password => json!("marker-changed-by-somebody"),
            _ => json!([]),
        };
        self.at_microsoft(world, none).await;
    }

    async fn at_microsoft(&self, world: &World, takes: Value) {
        let state = match self.form {
            Form::ClientSecret => application(json!({"secrets": takes, "expired": false})),
            Form::ClientCertificate => application(json!({"secrets": [], "certificates": takes})),
            Form::ServiceAccount => application(json!({"secrets": [], "federated": takes})),
            Form::Password => account(json!({"password": takes, "mfa": false})),
            Form::RefreshToken => account(
                json!({"password": "", "refreshTokens": takes, "refreshTokensOnce": true, "refreshTokensExpired": false, "mfa": false}),
            ),
        };
        world.patch_state(state).await;
    }

    /// Kubernetes has it: made, or changed in place.
    pub async fn keep(&mut self, world: &World) {
        self.hold(world, self.good()).await;
    }

    /// Its Secret holds something that Microsoft does not take.
    pub async fn keep_wrong(&mut self, world: &World) {
        let number = self.number;
        let wrong = match self.form {
            Form::ClientSecret => json!({"clientSecret": format!("marker-wrong-{number}")}),
            // The same key, and a certificate that nobody uploaded.
            Form::ClientCertificate => self.certificate(30),
            Form::Password => json!({"password": format!("marker-wrong-{number}")}),
            Form::RefreshToken => json!({"refreshToken": format!("marker-wrong-{number}")}),
            Form::ServiceAccount => Value::Null,
        };
        self.hold(world, wrong).await;
    }

    /// Its Secret holds what is no credential at all.
    pub async fn keep_garbled(&mut self, world: &World) {
        let garbled = match self.form {
            Form::ClientSecret => json!({"clientSecret": ""}),
            Form::ClientCertificate => json!({"clientCertificate": "marker-no-certificate"}),
            Form::Password => json!({"password": "\n"}),
            Form::RefreshToken => json!({"refreshToken": ""}),
            Form::ServiceAccount => Value::Null,
        };
        self.hold(world, garbled).await;
    }

    /// It has ended, wherever that shows.
    pub async fn end(&mut self, world: &World) {
        match self.form {
            Form::ClientSecret => {
                world
                    .patch_state(application(json!({"expired": true})))
                    .await;
            }
            Form::ClientCertificate => self.hold(world, self.certificate(-1)).await,
            Form::RefreshToken => {
                let ended = account(json!({"refreshTokensExpired": true}));
                world.patch_state(ended).await;
            }
            Form::ServiceAccount | Form::Password => {}
        }
    }

    /// How many passwords its Secret has held: each may be refused once.
    pub fn passwords(&self) -> usize {
        self.passwords.len()
    }

    fn remember(&mut self, data: &Value) {
        let password = data["password"].as_str();
        self.passwords.extend(password.map(str::to_owned));
    }

    async fn hold(&mut self, world: &World, data: Value) {
        self.remember(&data);
        let what = self.object();
        let kind = what.split('/').next().unwrap();
        let mut objects = world.list(kind).await.into_iter();
        let is_there = objects.any(|object| object["metadata"]["name"] == *self.kept_in);
        match (self.form, is_there) {
            (Form::ServiceAccount, true) => {}
            (Form::ServiceAccount, false) => {
                let create = ["create", "serviceaccount", &self.kept_in];
                world.kubectl(&create).await.ok();
            }
            (_, true) => drop(patch(world, &what, json!({"stringData": data})).await),
            (_, false) => secret(world, &self.kept_in, data).await,
        }
    }
}
