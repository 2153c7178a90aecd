//! Calls and answers, as they are on the wire.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use serde_json::Value;

use crate::support::contoso;

pub const LOGIN: &str = "login.microsoftonline.com";
pub const PLATFORM: &str = "api.powerplatform.com";
pub const DATAVERSE: &str = "contoso-uat.crm4.dynamics.com";
pub const OLD_DATAVERSE: &str = "contoso-test.crm4.dynamics.com";

/// Every host that the double answers for.
pub const HOSTS: [&str; 6] = [
    LOGIN,
    PLATFORM,
    DATAVERSE,
    OLD_DATAVERSE,
    contoso::HOST,
    contoso::SERVICE,
];

/// A request.
pub struct Call {
    pub method: Method,
    pub host: String,
    /// Decoded, without empty ones.
    pub segments: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

impl Call {
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// For people.
    pub fn name(&self) -> String {
        format!("{} {}/{}", self.method, self.host, self.segments.join("/"))
    }
}

/// What becomes of a call.
pub enum Answer {
    Reply(Reply),
    /// The connection ends without a word.
    Cut,
}

/// A response.
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Sent in pieces of unknown length.
    pub in_pieces: bool,
    pub after: Duration,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
            in_pieces: false,
            after: Duration::ZERO,
        }
    }

    pub fn json(body: &Value) -> Self {
        Self::failed(200, body)
    }

    pub fn failed(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn empty(status: u16) -> Self {
        let mut reply = Self::new(status, "", "");
        reply.headers.clear();
        reply
    }

    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What a proxy shows whose session has ended.
    pub fn sign_in() -> Self {
        let page = "\r\n<!DOCTYPE html>\r\n<html dir=\"ltr\" class=\"\" lang=\"en\"><head><title>Sign in to your account</title>\
                    </head><body>We can't sign you in. Your browser is currently set to block JavaScript.</body></html>";
        Self::new(200, "text/html; charset=utf-8", page)
    }

    pub fn throttled(as_date: bool) -> Self {
        let soon = SystemTime::now() + Duration::from_secs(1);
        let value = if as_date {
            httpdate::fmt_http_date(soon)
        } else {
            "1".to_owned()
        };
        let body = serde_json::json!({"error": {"code": "TooManyRequests", "message": "Rate limit is exceeded. Try again later."}});
        Self::failed(429, &body).header("retry-after", value)
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// `%20` and the like; what cannot be decoded stays as it is.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = text
            .get(index + 1..index + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[index], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                index += 3;
            }
            (byte, _) => {
                out.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
