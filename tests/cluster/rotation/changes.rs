//! What happens to a credential, how it is mended, and what is said meanwhile.

use serde_json::json;

use super::forms::{Form, Identity};
use crate::support::World;
use crate::support::contoso::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter)]
pub enum Change {
    /// A new one in the place of the old one, which Microsoft takes no more.
    Rotate,
    /// The new one is kept somewhere else, and the spec names that.
    Move,
    /// What keeps it is gone.
    Delete,
    /// Microsoft does not know it any more, and a new one is made.
    Revoke,
    /// Somebody has written a wrong one.
    Wrong,
    /// Microsoft asks for a second factor until somebody exempts the account.
    SecondFactor,
    /// What is kept is no credential.
    Garble,
    /// Its time is over.
    End,
    /// Microsoft does not know it, until somebody puts it back there.
    TakeBack,
}

/// The changes that a form can meet, in the order of their names above.
pub fn of(form: Form) -> Vec<Change> {
    use strum::IntoEnumIterator as _;
    let fits = |change: &Change| match change {
        Change::Move | Change::Delete => true,
        Change::Rotate | Change::Revoke | Change::Wrong | Change::Garble => {
            form != Form::ServiceAccount
        }
        Change::SecondFactor => !form.is_application(),
        Change::End => !matches!(form, Form::ServiceAccount | Form::Password),
        Change::TakeBack => form.is_application(),
    };
    Change::iter().filter(fits).collect()
}

impl Change {
    /// Nothing needs to be said: the old one works until the new one does.
    pub const fn is_smooth(self) -> bool {
        matches!(self, Self::Rotate | Self::Move)
    }

    pub async fn make(self, identity: &mut Identity, world: &World) {
        match self {
            Self::Rotate => {
                identity.renew();
                identity.trust(world).await;
                identity.keep(world).await;
            }
            Self::Move => {
                let old = identity.object();
                identity.move_on();
                identity.trust(world).await;
                identity.keep(world).await;
                change(world, identity.spec()).await;
                delete(world, &old).await;
            }
            Self::Delete => delete(world, &identity.object()).await,
            Self::Revoke | Self::TakeBack => identity.distrust(world).await,
            Self::Wrong => identity.keep_wrong(world).await,
            Self::SecondFactor => world.patch_state(account(json!({"mfa": true}))).await,
            Self::Garble => identity.keep_garbled(world).await,
            Self::End => identity.end(world).await,
        }
    }

    /// The reason that `CredentialsValid` has until it is mended.
    pub fn reason(self, form: Form) -> &'static str {
        match (self, form) {
            (Self::Rotate | Self::Move, _) => "Authenticated",
            (Self::Delete, Form::ServiceAccount) => "ServiceAccountNotFound",
            (Self::Delete, _) => "SecretNotFound",
            (Self::Garble, _) => "SecretInvalid",
            (Self::SecondFactor, _) => "MfaRequired",
            (Self::End, Form::ClientSecret) => "ClientSecretExpired",
            (Self::End, Form::ClientCertificate) => "ClientCertificateExpired",
            (Self::End, _) => "RefreshTokenExpired",
            (_, Form::ClientSecret) => "ClientSecretInvalid",
            (_, Form::ClientCertificate) => "ClientCertificateRefused",
            (_, Form::ServiceAccount) => "FederationRefused",
            (_, Form::Password) => "PasswordInvalid",
            (_, Form::RefreshToken) => "CredentialRefused",
        }
    }

    pub async fn mend(self, identity: &mut Identity, world: &World) {
        match self {
            Self::Rotate | Self::Move => {}
            Self::Delete | Self::Garble => {
                if identity.form == Form::RefreshToken {
                    // The one that was first is used up.
                    identity.renew();
                    identity.trust(world).await;
                }
                identity.keep(world).await;
            }
            Self::TakeBack => identity.trust(world).await,
            // The account is as it was, so nothing in Kubernetes shows it.
            Self::SecondFactor => {
                world.patch_state(account(json!({"mfa": false}))).await;
                reconcile_at(world, &uuid::Uuid::new_v4().to_string()).await;
            }
            Self::Revoke | Self::Wrong | Self::End => {
                identity.renew();
                identity.trust(world).await;
                identity.keep(world).await;
            }
        }
    }
}
