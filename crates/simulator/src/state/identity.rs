//! Tenants and who may sign in to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Scope;

/// A Microsoft Entra tenant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Tenant {
    pub(crate) cloud: Cloud,
    /// By client id.
    pub(crate) applications: BTreeMap<String, Application>,
    /// By user name.
    pub(crate) accounts: BTreeMap<String, Account>,
}

/// The cloud that a tenant lives in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cloud {
    #[default]
    Public,
    Gcc,
    GccHigh,
    DoD,
    China,
}

impl Cloud {
    pub(crate) const ALL: [Self; 5] = [
        Self::Public,
        Self::Gcc,
        Self::GccHigh,
        Self::DoD,
        Self::China,
    ];

    /// The host of the token endpoint [O].
    pub(crate) const fn authority(self) -> &'static str {
        match self {
            Self::Public | Self::Gcc => "login.microsoftonline.com",
            Self::GccHigh | Self::DoD => "login.microsoftonline.us",
            Self::China => "login.chinacloudapi.cn",
        }
    }

    /// The host of the Power Platform API [O].
    pub(crate) const fn power_platform(self) -> &'static str {
        match self {
            Self::Public => "api.powerplatform.com",
            Self::Gcc => "api.gov.powerplatform.microsoft.us",
            Self::GccHigh => "api.high.powerplatform.microsoft.us",
            Self::DoD => "api.appsplatform.us",
            Self::China => "api.powerplatform.partner.microsoftonline.cn",
        }
    }

    /// The host that tokens for the Power Platform API may be asked for, besides its own [O]: one
    /// public client asks for that of another cloud in GCC High.
    pub(crate) const fn other_scope(self) -> Option<&'static str> {
        match self {
            Self::GccHigh => Some("api.appsplatform.us"),
            _ => None,
        }
    }
}

/// An application registration, its credentials and its roles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Application {
    pub(crate) secrets: Vec<String>,
    /// The secrets have expired.
    pub(crate) expired: bool,
    /// Certificates (PEM) that may sign its assertions.
    pub(crate) certificates: Vec<String>,
    /// Federated credentials.
    pub(crate) federated: Vec<Federated>,
    /// The Power Platform environments that its role may see; `none`: it has no role at all.
    pub(crate) environments: Scope,
    /// The environments in whose Dataverse it is an application user.
    pub(crate) dataverse: Scope,
    pub(crate) consent: bool,
}

impl Default for Application {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            expired: false,
            certificates: Vec::new(),
            federated: Vec::new(),
            environments: Scope::default(),
            dataverse: Scope::default(),
            consent: true,
        }
    }
}

/// Whose tokens stand for the application.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Federated {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// The keys that the issuer publishes (a JSON web key set). Entra reads them at the issuer; here the scenario says
    /// them.
    #[serde(default)]
    pub(crate) keys: serde_json::Value,
}

/// A user account.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the scenario"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Account {
    pub(crate) password: String,
    /// Multifactor authentication is asked for, so that the password grant cannot work.
    pub(crate) mfa: bool,
    pub(crate) locked: bool,
    /// Wrong passwords in a row; the tenth locks the account.
    pub(crate) failed_sign_ins: u32,
    /// Wrong passwords altogether.
    pub(crate) wrong_passwords: u32,
    pub(crate) consent: bool,
    /// The finance and operations hosts on which it is an administrator.
    pub(crate) finance_operations: Scope,
    /// Refresh tokens that work; those that are handed out are added.
    pub(crate) refresh_tokens: Vec<String>,
    pub(crate) refresh_tokens_expired: bool,
    /// A refresh token works once.
    pub(crate) refresh_tokens_once: bool,
    /// A person signs it in wherever a device code waits.
    pub(crate) signs_in_by_device_code: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            password: String::new(),
            mfa: false,
            locked: false,
            failed_sign_ins: 0,
            wrong_passwords: 0,
            consent: true,
            finance_operations: Scope::default(),
            refresh_tokens: Vec::new(),
            refresh_tokens_expired: false,
            refresh_tokens_once: false,
            signs_in_by_device_code: false,
        }
    }
}
