//! Rules of shape that several fields share, and the parsing of what passed them.
//!
//! Each rule is one CEL expression with one message that tells a person what to write instead. The same shapes are
//! parsed again here before use, because a resource may have been stored under an older schema.

use kube::core::{Message, Rule};

use std::time::Duration;

/// An `https://` URL with a host name and nothing else.
pub fn https_url() -> Rule {
    Rule::new(
        r"self.matches('^https://([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\\.)+[a-zA-Z]{2,63}/?$') && !self.lowerAscii().matches('[/.]xn--')",
    )
    .message(
        "write https:// and a host name, nothing else: no user, port, path, query, IP address, trailing dot or xn-- \
         label, for example https://contoso-uat.sandbox.operations.dynamics.com",
    )
}

/// A UUID such as `72f988bf-0000-4000-8000-000000000001`.
pub fn uuid(what: &str) -> Rule {
    Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')").message(
        Message::Message(format!(
            "write {what} as a UUID, for example 72f988bf-0000-4000-8000-000000000001"
        )),
    )
}

/// The id of a Power Platform environment: a UUID, or `Default-` and a UUID.
pub fn environment_id() -> Rule {
    Rule::new("self.matches('^(Default-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')").message(
        "write the environment id from the Power Platform admin center: a UUID such as \
         6f2c8d0e-0000-4000-8000-000000000002, or Default- and a UUID; not the display name and not a URL",
    )
}

/// The same, of a text that did not come through admission.
pub fn is_environment_id(text: &str) -> bool {
    let uuid = text.strip_prefix("Default-").unwrap_or(text);
    // Of its several forms, 36 characters have only the usual one.
    uuid.len() == 36 && uuid::Uuid::try_parse(uuid).is_ok()
}

/// Whether a text can be the name of a namespace.
pub fn is_namespace(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A duration from `least` to `most`, both in the notation of the field itself.
pub fn duration(least: &str, most: &str) -> Rule {
    Rule::new(format!(
        "self.matches('^([0-9]{{1,6}}h)?([0-9]{{1,6}}m)?([0-9]{{1,7}}s)?$') && size(self) > 0 && \
         duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    ))
    .message(Message::Message(format!(
        "write hours, minutes and seconds from {least} to {most}, for example 5m, 90m or 1h30m"
    )))
}

/// A duration that may also be given in whole days, up to a year.
pub fn long_duration() -> Rule {
    Rule::new(
        "self.matches('^[0-9]{1,3}d$') ? (int(self.replace('d', '')) >= 1 && int(self.replace('d', '')) <= 365) : \
         (self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$') && size(self) > 0 && \
         duration(self) >= duration('1s') && duration(self) <= duration('8760h'))",
    )
    .message("write days, or hours, minutes and seconds, up to 365d, for example 7d or 36h")
}

/// The host name of an https URL that consists of a host name only, in lower case.
///
/// `None` when the text has another shape; admission refuses those, so only an object stored under an older schema
/// can get here.
pub fn host_of(url: &str) -> Option<String> {
    let parsed = url::Url::parse(url.trim()).ok()?;
    let bare = parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.port().is_none()
        && parsed.query().is_none()
        && parsed.fragment().is_none()
        && matches!(parsed.path(), "" | "/");
    match parsed.host() {
        Some(url::Host::Domain(host)) if parsed.scheme() == "https" && bare => {
            Some(host.to_ascii_lowercase())
        }
        _ => None,
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |text, byte| {
            format!("{text}{byte:02x}")
        })
}

/// The host of a URL that Microsoft sent, which may carry a path; compared in lower case only.
pub fn remote_host_of(url: &str) -> Option<String> {
    let parsed = url::Url::parse(url.trim()).ok()?;
    parsed
        .host_str()
        .map(|host| host.trim_end_matches('.').to_ascii_lowercase())
}

/// Parses a duration of a spec; `fallback` when it has another shape (stored under an older schema).
pub fn parse_duration(text: &str, fallback: Duration) -> Duration {
    humantime::parse_duration(text).unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_https_url_has_a_host() {
        assert_eq!(
            host_of("https://Contoso.operations.dynamics.com/"),
            Some("contoso.operations.dynamics.com".into())
        );
    }

    #[test]
    fn anything_more_than_a_host_is_refused() {
        for url in [
            "http://contoso.operations.dynamics.com",
            "https://user@contoso.operations.dynamics.com",
            "https://contoso.operations.dynamics.com:8443",
            "https://contoso.operations.dynamics.com/path",
            "https://contoso.operations.dynamics.com/?q=1",
            "https://127.0.0.1",
            "https://[::1]",
            "https://2130706433",
            "https://0x7f.1",
            "contoso.operations.dynamics.com",
        ] {
            assert_eq!(host_of(url), None, "{url}");
        }
    }

    #[test]
    fn names_of_namespaces_and_ids_of_environments_have_their_shape() {
        for good in ["contoso", "contoso-erp-2", "9", &"a".repeat(63)] {
            assert!(is_namespace(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "Contoso",
            "-a",
            "a-",
            "a.b",
            "a b",
            &"a".repeat(64),
        ] {
            assert!(!is_namespace(bad), "{bad}");
        }
        let uuid = "6F2c8d0e-0000-4000-8000-000000000001";
        assert!(is_environment_id(uuid) && is_environment_id(&format!("Default-{uuid}")));
        for bad in [
            String::new(),
            "Default-".to_owned(),
            uuid.replace('-', ""),
            format!("{{{uuid}}}"),
            format!("Other-{uuid}"),
        ] {
            assert!(!is_environment_id(&bad), "{bad}");
        }
    }

    #[test]
    fn days_are_understood() {
        assert_eq!(
            parse_duration("7d", Duration::ZERO),
            Duration::from_hours(7 * 24)
        );
        assert_eq!(
            parse_duration("1h30m", Duration::ZERO),
            Duration::from_mins(90)
        );
        assert_eq!(
            parse_duration("soon", Duration::from_secs(1)),
            Duration::from_secs(1)
        );
    }
}
