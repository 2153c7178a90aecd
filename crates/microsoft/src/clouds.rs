//! Microsoft's clouds, and the hosts that a request may go to.
//!
//! A resource of Kubernetes may name hosts, and whoever may write such a resource must not be able to have a
//! token sent to a host of their own. So a request can only be built from an [`AllowedHost`], and an
//! [`AllowedHost`] only comes from [`HostPolicy::check`] or from the table in this file.

use std::fmt;

use url::Url;

/// One of Microsoft's clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::Display, strum::EnumString)]
pub enum Cloud {
    /// The worldwide public cloud.
    #[default]
    Public,
    /// US government community cloud.
    Gcc,
    /// US government community cloud, high.
    GccHigh,
    /// US department of defense.
    DoD,
    /// China, operated by 21Vianet.
    China,
}

/// What a host is used for; each kind has its own allowed suffixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
pub enum HostKind {
    /// The token endpoint.
    #[strum(to_string = "the sign-in authority")]
    Authority,
    /// The Power Platform API.
    #[strum(to_string = "the Power Platform API")]
    PowerPlatform,
    /// A Dataverse instance.
    #[strum(to_string = "the Dataverse URL")]
    Dataverse,
    /// A finance and operations environment.
    #[strum(to_string = "financeOperations.url")]
    FinanceOperations,
    /// The dual-write management service.
    #[strum(to_string = "dualWriteService.url")]
    DualWriteService,
}

struct Hosts {
    authority: &'static str,
    power_platform: &'static str,
    /// The host in the scope of a Power Platform token; not everywhere the host of the API.
    power_platform_scope: &'static str,
    dataverse: &'static [&'static str],
    finance_operations: &'static [&'static str],
    dual_write: &'static [&'static str],
}

/// `*` stands for exactly one label. Sources: authority, Power Platform API and its scope [O
/// microsoft/terraform-provider-power-platform]; Dataverse [D, Learn: "Datacenter regions"]; finance and
/// operations [O, hosts in public client configurations; regions such as `.operations.eu.` seen for the public
/// cloud]; `.operations.dynamics.us` and `.cn` seen once or twice only; the dual-write service is known for the
/// public cloud only [O toolbAX], other clouds need --allow-host-suffix.
const PUBLIC: Hosts = Hosts {
    authority: "login.microsoftonline.com",
    power_platform: "api.powerplatform.com",
    power_platform_scope: "api.powerplatform.com",
    dataverse: &["crm#.dynamics.com"],
    finance_operations: &[
        "operations.dynamics.com",
        "operations.*.dynamics.com",
        "cloudax.dynamics.com",
        "axcloud.dynamics.com",
    ],
    dual_write: &["gateway.prod.island.powerapps.com"],
};
const GCC: Hosts = Hosts {
    power_platform: "api.gov.powerplatform.microsoft.us",
    power_platform_scope: "api.gov.powerplatform.microsoft.us",
    dataverse: &["crm9.dynamics.com"],
    finance_operations: &["operations.dynamics.us"],
    dual_write: &[],
    ..PUBLIC
};
const GCC_HIGH: Hosts = Hosts {
    authority: "login.microsoftonline.us",
    power_platform: "api.high.powerplatform.microsoft.us",
    power_platform_scope: "api.appsplatform.us",
    dataverse: &["crm.microsoftdynamics.us"],
    finance_operations: &["operations.dynamics.us"],
    dual_write: &[],
};
const DOD: Hosts = Hosts {
    power_platform: "api.appsplatform.us",
    power_platform_scope: "api.appsplatform.us",
    dataverse: &["crm.appsplatform.us"],
    ..GCC_HIGH
};
const CHINA: Hosts = Hosts {
    authority: "login.chinacloudapi.cn",
    power_platform: "api.powerplatform.partner.microsoftonline.cn",
    power_platform_scope: "api.powerplatform.partner.microsoftonline.cn",
    dataverse: &["crm.dynamics.cn"],
    finance_operations: &["operations.dynamics.cn"],
    dual_write: &[],
};

/// The first label of the dual-write service [O toolbAX, Dual-write-automations].
const DUAL_WRITE_LABEL: &str = "projectmanagementservice";

impl Cloud {
    const fn hosts(self) -> &'static Hosts {
        match self {
            Self::Public => &PUBLIC,
            Self::Gcc => &GCC,
            Self::GccHigh => &GCC_HIGH,
            Self::DoD => &DOD,
            Self::China => &CHINA,
        }
    }

    /// The host of the token endpoint.
    pub fn authority(self) -> AllowedHost {
        AllowedHost {
            kind: HostKind::Authority,
            name: self.hosts().authority.to_owned(),
        }
    }

    /// The host of the Power Platform API.
    pub fn power_platform(self) -> AllowedHost {
        AllowedHost {
            kind: HostKind::PowerPlatform,
            name: self.hosts().power_platform.to_owned(),
        }
    }

    /// The scope of a Power Platform token.
    pub(super) fn power_platform_scope(self) -> String {
        format!("https://{}/.default", self.hosts().power_platform_scope)
    }
}

impl Hosts {
    fn suffixes(&self, kind: HostKind) -> &'static [&'static str] {
        match kind {
            HostKind::Authority | HostKind::PowerPlatform => &[],
            HostKind::Dataverse => self.dataverse,
            HostKind::FinanceOperations => self.finance_operations,
            HostKind::DualWriteService => self.dual_write,
        }
    }
}

/// Which hosts are allowed: the table of this file, and what the operator's administrator added.
#[derive(Debug, Clone, Default)]
pub struct HostPolicy {
    /// Values of `--allow-host-suffix`; they extend every kind except the authority and the Power Platform API.
    pub extra_suffixes: Vec<String>,
}

impl HostPolicy {
    /// May a request of this kind go to `host`?
    ///
    /// # Errors
    /// `host` is not a plain DNS name, or is under none of the allowed suffixes.
    pub fn check(
        &self,
        cloud: Cloud,
        kind: HostKind,
        host: &str,
    ) -> Result<AllowedHost, HostNotAllowed> {
        let name = host.to_ascii_lowercase();
        let refuse = |why| HostNotAllowed {
            host: super::text::kept(host),
            kind,
            why,
            allowed: self.allowed(cloud, kind),
        };
        plain_name(&name).map_err(refuse)?;
        let fits = match kind {
            HostKind::Authority => name == cloud.hosts().authority,
            HostKind::PowerPlatform => name == cloud.hosts().power_platform,
            _ => self.fits(cloud, kind, &name),
        };
        if fits {
            Ok(AllowedHost { kind, name })
        } else {
            Err(refuse("is not under an allowed suffix"))
        }
    }

    fn fits(&self, cloud: Cloud, kind: HostKind, name: &str) -> bool {
        let ours = cloud
            .hosts()
            .suffixes(kind)
            .iter()
            .any(|suffix| under(name, suffix));
        let ours = ours
            && (kind != HostKind::DualWriteService
                || name.split('.').next() == Some(DUAL_WRITE_LABEL));
        ours || self
            .extra_suffixes
            .iter()
            .any(|suffix| under(name, extra(suffix).as_str()))
    }

    fn allowed(&self, cloud: Cloud, kind: HostKind) -> Vec<String> {
        match kind {
            HostKind::Authority => vec![cloud.hosts().authority.to_owned()],
            HostKind::PowerPlatform => vec![cloud.hosts().power_platform.to_owned()],
            _ => {
                let before = if kind == HostKind::DualWriteService {
                    DUAL_WRITE_LABEL
                } else {
                    ""
                };
                let ours = cloud.hosts().suffixes(kind).iter().map(|s| {
                    let dots = if before.is_empty() { "." } else { ".*." };
                    format!("{before}{dots}{}", s.replace('#', "[N]"))
                });
                ours.chain(self.extra_suffixes.iter().map(|s| format!(".{}", extra(s))))
                    .collect()
            }
        }
    }
}

/// A suffix of the administrator as it is compared: without a leading dot or wildcard, in lower case.
fn extra(suffix: &str) -> String {
    suffix
        .trim()
        .trim_start_matches("*.")
        .trim_start_matches('.')
        .to_ascii_lowercase()
}

/// Whether `name` has at least one label before `suffix`. In the suffix `*` is one whole label and a `#` at the
/// end of a label stands for any digits, or none.
fn under(name: &str, suffix: &str) -> bool {
    let mut labels = name.rsplit('.');
    !suffix.is_empty()
        && suffix.rsplit('.').all(|wanted| {
            labels
                .next()
                .is_some_and(|label| match wanted.strip_suffix('#') {
                    _ if wanted == "*" => !label.is_empty(),
                    Some(start) => label
                        .strip_prefix(start)
                        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit())),
                    None => label == wanted,
                })
        })
        && labels.next().is_some()
}

/// Whether a text is a whole host name in lower case and nothing else.
pub fn is_host_name(text: &str) -> bool {
    plain_name(text).is_ok()
}

/// A lower-case DNS name of at least two labels, nothing else: no port, user info, IP literal, trailing dot,
/// or internationalised label (look-alikes).
fn plain_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 253 {
        return Err("is empty or longer than 253 characters");
    }
    if name.ends_with('.') {
        return Err("ends with a dot");
    }
    if name.parse::<std::net::IpAddr>().is_ok() || name.starts_with('[') {
        return Err("is an IP address, not a name");
    }
    if name.contains([':', '@', '/']) {
        return Err("must be a host name alone, without port, user or path");
    }
    let labels: Vec<&str> = name.split('.').collect();
    let good = |label: &&str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if labels.iter().any(|label| label.starts_with("xn--")) || !name.is_ascii() {
        return Err("has internationalised labels, which can look like another name");
    }
    if !labels.iter().all(good) {
        return Err("is not a DNS name");
    }
    // `0x7f.1` and the like are read as addresses by URL parsers.
    if labels.len() < 2
        || labels
            .last()
            .is_some_and(|top| !top.bytes().all(|b| b.is_ascii_alphabetic()))
    {
        return Err("is not a full host name");
    }
    Ok(())
}

/// A host that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNotAllowed {
    host: String,
    kind: HostKind,
    why: &'static str,
    allowed: Vec<String>,
}

impl std::error::Error for HostNotAllowed {}

impl fmt::Display for HostNotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            kind,
            why,
            allowed,
        } = self;
        write!(f, "host \"{host}\" of {kind} is not allowed: it {why}")?;
        if allowed.is_empty() {
            write!(f, " (none is known in this cloud)")?;
        } else {
            write!(f, " (allowed: {})", allowed.join(", "))?;
        }
        if matches!(kind, HostKind::Authority | HostKind::PowerPlatform) {
            return Ok(());
        }
        write!(
            f,
            "; the operator's administrator can allow more with --allow-host-suffix"
        )
    }
}

/// A host that a request may go to. The only thing from which a request URL can be made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowedHost {
    kind: HostKind,
    name: String,
}

/// An `https` URL on an [`AllowedHost`], port 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestUrl {
    url: Url,
    host: AllowedHost,
}

/// Why no request URL could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadUrl {
    #[error("a part of the path is empty, `.` or `..`")]
    Segment,
    #[error("a link in the answer is not a plain https URL of the same host")]
    Elsewhere,
}

impl AllowedHost {
    /// The host name, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What this host was allowed for.
    pub fn kind(&self) -> HostKind {
        self.kind
    }

    /// The URL of a path on this host: each segment and each query value is percent-encoded.
    pub(super) fn url(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestUrl, BadUrl> {
        // The URL parser resolves dot segments, also percent-encoded ones: an id could leave its place.
        if segments
            .iter()
            .any(|s| s.is_empty() || *s == "." || *s == "..")
        {
            return Err(BadUrl::Segment);
        }
        let mut url =
            Url::parse(&format!("https://{}/", self.name)).map_err(|_| BadUrl::Segment)?;
        url.path_segments_mut()
            .map_err(|()| BadUrl::Segment)?
            .pop_if_empty()
            .extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(RequestUrl {
            url,
            host: self.clone(),
        })
    }

    /// A link that an answer gave (`nextLink`, `Operation-Location`): accepted only on this very host.
    pub(super) fn link(&self, link: &str) -> Result<RequestUrl, BadUrl> {
        let url = Url::parse(link).map_err(|_| BadUrl::Elsewhere)?;
        let same = url.scheme() == "https"
            && url.host_str() == Some(self.name.as_str())
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if same {
            Ok(RequestUrl {
                url,
                host: self.clone(),
            })
        } else {
            Err(BadUrl::Elsewhere)
        }
    }
}

impl RequestUrl {
    pub(super) fn host(&self) -> &AllowedHost {
        &self.host
    }

    /// The same with a slash at the end of the path.
    pub(super) fn with_slash(mut self) -> Self {
        // An https URL always has path segments.
        if let Ok(mut segments) = self.url.path_segments_mut() {
            segments.pop_if_empty().push("");
        }
        self
    }

    pub(super) fn as_url(&self) -> &Url {
        &self.url
    }
}
