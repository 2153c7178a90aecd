//! Whatever the other side answers, no reader panics, hangs, or makes more of an answer than there is in it.
//!
//! `DUALWRITE_MATRIX=1` tries many answers, `DUALWRITE_FUZZ_CASES` so many for each reader, `DUALWRITE_FUZZ_SEED` others.

use std::fmt::{Debug, Display};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dualwrite_microsoft::auth::DeviceCode;
use dualwrite_microsoft::dual_write::*;
use dualwrite_microsoft::power_platform::*;
use dualwrite_microsoft::{
    AllowedHost, Api, Audience, Cloud, HostKind, HostPolicy, Http, Identity, Limits, Session,
    catalogue, dataverse, finance_operations,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json as value};

use crate::support::*;

const CID: &str = "e0aa5d1c-4444-4c1e-9d51-5b1f0a000005";
const ENVIRONMENT: &str = "6f2c8d0e-1111-4c1e-9d51-5b1f0a000001";

/// A reader holds what it has made of an answer in at most so many times its bytes, and a little.
const MOST_PER_BYTE: usize = 16;
const A_LITTLE: usize = 16 << 10;

/// An error is read by people.
const LONGEST_ERROR: usize = 8 << 10;

// ---- what is asked ----

/// The other side, as a reader needs it.
#[derive(Clone)]
struct At {
    http: Http,
    application: Session,
    account: Session,
    service: AllowedHost,
    dataverse: AllowedHost,
    finance: AllowedHost,
}

/// How long what was read is when it is written out; or why it could not be read.
type Told = Result<usize, String>;

struct Reader {
    name: &'static str,
    /// An answer as it should be.
    good: &'static str,
    ask: fn(At) -> BoxFuture<'static, Told>,
}

fn told<T: Debug, E: Display>(result: Result<T, E>) -> Told {
    match result {
        Ok(read) => Ok(format!("{read:?}").len()),
        Err(error) => Err(error.to_string()),
    }
}

macro_rules! reader {
    ($name:literal, $good:expr, |$at:ident| $call:expr) => {
        Reader {
            name: $name,
            good: $good,
            ask: |$at| async move { told($call.await) }.boxed(),
        }
    };
}

#[rustfmt::skip] // a table
const READERS: [Reader; 20] = [
    reader!("environments", include_str!("../fixtures/environments-1.json"), |at| environments(&at.application)),
    reader!("environment", r#"{"id":"a","displayName":"Contoso UAT","type":"Sandbox","state":"Enabled","dataverseId":"d","url":"https://contoso-uat.crm4.dynamics.com/",
        "finOpsMetadata":{"id":"f","type":"Linked","url":"https://contoso-uat.sandbox.operations.dynamics.com/"}}"#, |at| environment(&at.application, ENVIRONMENT)),
    reader!("packages", include_str!("../fixtures/packages.json"), |at| application_packages(&at.application, ENVIRONMENT)),
    reader!("install", include_str!("../fixtures/install-200.json"), |at| install(&at.application, ENVIRONMENT, "X", soon())),
    reader!("operation", r#"{"status":"Failed","error":{"errorCode":"7","message":"why"}}"#,
        |at| operation(&at.application, ENVIRONMENT, &RemoteOperation::recorded("op-1"))),
    reader!("integration", r#"{"Url":"https://contoso-uat.sandbox.operations.dynamics.com","TenantId":"t","Id":"i"}"#,
        |at| dataverse::integration(&at.application, &at.dataverse)),
    reader!("application users", r#"{"value":[{"applicationid":"a","isdisabled":false},{"applicationid":"b","isdisabled":true}]}"#,
        |at| dataverse::application_users(&at.application, &at.dataverse, &["a", "b"])),
    reader!("companies", r#"{"@odata.nextLink":"https://contoso-uat.crm4.dynamics.com/api/data/v9.2/cdm_companies?x","value":[{"cdm_companycode":"USMF","cdm_name":"Contoso"}]}"#,
        |at| dataverse::companies(&at.application, &at.dataverse)),
    reader!("link", include_str!("../fixtures/link.json"), |at| link(&at.account, &at.service, FINANCE)),
    reader!("connection set", include_str!("../fixtures/connection-set.json"), |at| connection_set(&at.account, &at.service, "contoso uat/set")),
    reader!("table maps", include_str!("../fixtures/table-maps.json"), |at| table_maps(&at.account, &at.service, CID)),
    reader!("solutions", r#"[{"uniquename":"b","friendlyname":"B","version":"1.0"},{"uniqueName":"a"}]"#, |at| solutions(&at.account, &at.service, CID)),
    reader!("prerequisites", r#"[["a","b"],[]]"#, |at| prerequisites(&at.account, &at.service, CID, "a")),
    reader!("map request", r#"[{"detail":{"tName":"a","state":"4","lastRequests":[{"requestId":"ours","state":"3","errorMessage":"why"}]}}]"#,
        |at| map_request(&at.account, &at.service, "ours")),
    reader!("solution request", r#"{"state":"3","result":{"message":"A map is missing."}}"#, |at| solution_request(&at.account, &at.service, CID, "ours")),
    reader!("apply a solution", r#"{"requestId":"3dd8f5d4-1"}"#, |at| apply_solution(&at.account, &at.service, CID, "a", soon())),
    reader!("stop maps", r#"{"requestId":"2cc7e4c3-1"}"#, |at| change_maps(&at.account, &at.service, CID, MapChange::Stop, &[a_map()], soon())),
    reader!("switch a version", "{}", |at| switch_version(&at.account, &at.service, CID, "a", "b", soon())),
    reader!("integration keys", "{}", |at| set_integration_keys(&at.account, &at.service, "contoso", &[("a".into(), vec!["b".into()])], soon())),
    Reader { name: "finance and operations", good: "{}", ask: |at| async move {
        Ok(format!("{:?}", finance_operations::is_up(&at.http, &at.finance).await).len())
    }.boxed() },
];

fn a_map() -> MapTarget {
    MapTarget {
        template_id: "a".into(),
        project_id: Some("b".into()),
    }
}

/// Those that sign in: here it is Entra that answers so.
const SIGN_INS: [Reader; 3] = [
    reader!(
        "an application's token",
        r#"{"token_type":"Bearer","expires_in":3600,"access_token":"marker"}"#,
        |at| fresh(&at, application()).token(&Audience::PowerPlatform)
    ),
    reader!(
        "an account's token",
        r#"{"token_type":"Bearer","expires_in":"3600","access_token":"marker","refresh_token":"next"}"#,
        |at| fresh(&at, account()).token(&Audience::DualWriteService)
    ),
    reader!(
        "a device code",
        r#"{"device_code":"d","user_code":"u","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":5}"#,
        |at| DeviceCode::begin(&at.http, Cloud::Public, "72f988bf", None)
    ),
];

/// A session that has no token yet, and has met no refusal.
fn fresh(at: &At, identity: Identity) -> Session {
    with_limits(at.http.clone(), identity)
}

fn with_limits(http: Http, identity: Identity) -> Session {
    let many = NonZeroU32::new(1_000_000).unwrap();
    let limits = Limits {
        concurrency: 64,
        per_second: many,
        burst: many,
    };
    Session::new(http, Cloud::Public, HostPolicy::default(), identity, limits)
}

// ---- what is answered ----

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// How the services say what is wrong.
#[rustfmt::skip] // a table
const ERRORS: [&str; 4] = [
    r#"{"error":"invalid_grant","error_description":"AADSTS50126: wrong","error_codes":[50126],"correlation_id":"c"}"#,
    r#"{"error":{"code":"0x80048d0b","message":"Not integrated.","innererror":{"trace":"x"}}}"#,
    r#"{"errorCode":"7","errorMessage":"Saving connection set failed!","traceId":"t"}"#,
    r#"{"statusCode":409,"message":"Busy","details":[{"code":"a"}]}"#,
];

fn answers(good: &'static str) -> impl Strategy<Value = Answer> {
    let statuses = vec![
        202, 204, 302, 400, 401, 403, 404, 408, 409, 410, 423, 429, 500, 503,
    ];
    let refusal = (
        prop::sample::select(statuses),
        prop::sample::select(ERRORS.to_vec()).prop_flat_map(body),
    );
    let told = prop_oneof![3 => (Just(200_u16), body(good)), 1 => refusal];
    let kinds = vec!["text/html", "text/plain", "application/problem+json", ""];
    let kind = prop_oneof![12 => Just("application/json"), 1 => prop::sample::select(kinds)];
    let names = vec![
        "operation-location",
        "location",
        "retry-after",
        "date",
        "x-ms-request-id",
    ];
    let text = prop_oneof!["[ -~]{0,60}", "[0-9]{1,30}", "https://[a-z./%?]{1,40}"];
    let header = (prop::sample::select(names), text);
    let headers = prop::collection::vec(header, 0..3);
    (told, kind, headers).prop_map(|((status, body), kind, mut headers)| {
        headers.push(("content-type", kind.to_owned()));
        Answer {
            status,
            headers,
            body,
        }
    })
}

fn body(good: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let parsed: Value = serde_json::from_str(good).unwrap();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), change()), 1..5);
    let changed = changes.prop_map(move |changes| {
        let mut body = parsed.clone();
        for (place, change) in changes {
            let mut places = Vec::new();
            collect(&body, String::new(), &mut places);
            apply(&mut body, &places[place.index(places.len())], change);
        }
        body.to_string().into_bytes()
    });
    prop_oneof![
        8 => changed,
        3 => any_json().prop_map(|json| json.to_string().into_bytes()),
        1 => any::<prop::sample::Index>().prop_map(|cut| good.as_bytes()[..cut.index(good.len())].to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (1_usize..5000).prop_map(|depth| "[".repeat(depth).into_bytes()),
        1 => any::<String>().prop_map(|title| format!("<html><title>{title}").into_bytes()),
    ]
}

/// What is done to one place of a good answer.
#[derive(Clone, Debug)]
enum Change {
    Drop,
    Replace(Value),
    /// So many times in a list.
    Repeat(usize),
    Nest,
    Uppercase,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => Just(Change::Drop),
        8 => any_leaf().prop_map(Change::Replace),
        2 => any_json().prop_map(Change::Replace),
        1 => (0_usize..40).prop_map(Change::Repeat),
        1 => Just(Change::Nest),
        1 => Just(Change::Uppercase),
    ]
}

/// The places of a value, as JSON pointers; its own first.
fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(field, format!("{at}/{key}"), places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().take(50).enumerate() {
                collect(item, format!("{at}/{index}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    places.push(at);
}

fn apply(body: &mut Value, place: &str, change: Change) {
    let Some(found) = body.pointer_mut(place) else {
        return;
    };
    let old = found.take();
    *found = match change {
        Change::Replace(new) => new,
        Change::Nest => value!({ "value": [old] }),
        Change::Repeat(times) => match old {
            Value::Array(items) => items
                .iter()
                .cycle()
                .take(items.len() * times)
                .cloned()
                .collect(),
            other => Value::Array(vec![other; times]),
        },
        Change::Uppercase => match old {
            Value::Object(fields) => {
                let fields = fields
                    .into_iter()
                    .map(|(key, field)| (key.to_uppercase(), field));
                Value::Object(fields.collect())
            }
            Value::String(text) => Value::String(text.to_uppercase()),
            other => other,
        },
        Change::Drop => return drop_at(body, place),
    };
}

fn drop_at(body: &mut Value, place: &str) {
    let (parent, last) = place.rsplit_once('/').unwrap_or_default();
    match body.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(&last.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            if let Ok(index) = last.parse::<usize>() {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// What is no list and no object, with the words that the services use and the numbers that do not fit.
fn any_leaf() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "",
        "Failed",
        "2",
        "-1",
        "2026-02-01T10:00:00Z",
        "https://api.powerplatform.com/x",
        "//",
        "..",
        "AADSTS50126: x",
        "contoso-uat.sandbox.operations.dynamics.com",
        "18446744073709551615",
        "\u{0}\u{feff}\u{202e}",
        "AX",
        "CRM",
    ]);
    let numbers = vec![
        value!(0),
        value!(-1),
        value!(u64::MAX),
        value!(i64::MIN),
        value!(i64::MAX),
        value!(1e308),
        value!(0.1),
    ];
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        3 => prop::sample::select(numbers),
        1 => any::<u64>().prop_map(Value::from),
        3 => words.prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => ("\\PC{1,4}", 1_usize..20_000).prop_map(|(text, times)| Value::from(text.repeat(times))),
    ]
}

/// Any JSON, with the names that the services use.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "value",
        "nextLink",
        "@odata.nextLink",
        "id",
        "state",
        "status",
        "error",
        "message",
        "detail",
        "templates",
        "lastRequests",
        "requestId",
        "environments",
        "schemas",
        "finOpsMetadata",
        "cid",
        "tName",
        "errorMessage",
        "code",
        "expires_in",
        "interval",
    ]);
    let name = prop_oneof![names.prop_map(str::to_owned), any::<String>()];
    any_leaf().prop_recursive(6, 60, 8, move |inner| {
        let fields = prop::collection::vec((name.clone(), inner.clone()), 0..8);
        prop_oneof![
            prop::collection::vec(inner, 0..8).prop_map(Value::Array),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

// ---- the tests ----

fn cases() -> usize {
    let asked = std::env::var("DUALWRITE_FUZZ_CASES").ok();
    let usual = if std::env::var_os("DUALWRITE_MATRIX").is_some() {
        5_000
    } else {
        25
    };
    asked.map_or(usual, |asked| asked.parse().unwrap())
}

fn runner() -> TestRunner {
    let seed = std::env::var("DUALWRITE_FUZZ_SEED").unwrap_or_default();
    let mut bytes = [0; 32];
    for (byte, of_seed) in bytes.iter_mut().zip(seed.bytes()) {
        *byte = of_seed;
    }
    TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
    )
}

/// The answer of the moment, and how many bytes of it were served.
#[derive(Clone, Default)]
struct Served(Arc<Mutex<Option<Answer>>>, Arc<AtomicUsize>);

impl Served {
    fn reply(&self) -> Reply {
        let answer = self.0.lock().unwrap().clone().unwrap();
        self.1.fetch_add(answer.body.len(), Ordering::Relaxed);
        Reply::Whole {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        }
    }
}

fn at(server: &Server) -> At {
    let http = server.http();
    At {
        application: with_limits(http.clone(), application()),
        account: with_limits(http.clone(), account()),
        http,
        service: host(HostKind::DualWriteService, DUAL_WRITE),
        dataverse: host(HostKind::Dataverse, DATAVERSE),
        finance: host(HostKind::FinanceOperations, FINANCE),
    }
}

async fn stands(reader: &Reader, at: &At, served: &Served) {
    let good = Answer {
        status: 200,
        headers: vec![("content-type", "application/json".into())],
        body: reader.good.into(),
    };
    let told = ask(reader, at, served, good).await;
    assert!(told.is_ok(), "{}: {told:?}", reader.name);
    let (strategy, mut runner) = (answers(reader.good), runner());
    for _ in 0..cases() {
        let answer = strategy.new_tree(&mut runner).unwrap().current();
        // Whatever comes of it.
        let _read_or_not = ask(reader, at, served, answer).await;
    }
}

/// Asks with this answer to come; nothing may be wrong with what is made of it.
async fn ask(reader: &Reader, at: &At, served: &Served, answer: Answer) -> Told {
    *served.0.lock().unwrap() = Some(answer.clone());
    served.1.store(0, Ordering::Relaxed);
    let asked = tokio::spawn((reader.ask)(at.clone()));
    let asked = tokio::time::timeout(Duration::from_secs(60), asked).await;
    let shown = || {
        let body = String::from_utf8_lossy(&answer.body);
        let (name, status, headers) = (reader.name, answer.status, &answer.headers);
        format!("{name}: {status} {headers:?} {body:.2000}")
    };
    let told = asked
        .unwrap_or_else(|_| panic!("hangs: {}", shown()))
        .unwrap_or_else(|panicked| panic!("{panicked}: {}", shown()));
    let (length, most) = match &told {
        Ok(length) => (
            *length,
            A_LITTLE + MOST_PER_BYTE * served.1.load(Ordering::Relaxed),
        ),
        Err(error) => (error.len(), LONGEST_ERROR),
    };
    assert!(length <= most, "{length} of at most {most}: {}", shown());
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn any_answer_of_a_service_is_read_or_refused() {
    let served = Served::default();
    let replies = served.clone();
    let server = Server::start(move |_, _| replies.reply()).await;
    let at = at(&server);
    for reader in &READERS {
        stands(reader, &at, &served).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_answer_of_entra_is_read_or_refused() {
    let served = Served::default();
    let replies = served.clone();
    let server = Server::bare(move |_, _| replies.reply()).await;
    let at = at(&server);
    for reader in &SIGN_INS {
        stands(reader, &at, &served).await;
    }
}

proptest! {
    /// What a package or a table map shows as its last failure.
    #[test]
    fn any_text_is_explained_or_not(text in prop_oneof![any::<String>(), "(AADSTS|0x|DualWrite)[0-9a-fA-F: ]{0,20}\\PC{0,200}"]) {
        for api in [Api::Entra, Api::PowerPlatform, Api::Dataverse, Api::DualWrite] {
            if let Some(entry) = catalogue::explain(api, &text) {
                prop_assert!(entry.advice().len() < LONGEST_ERROR);
            }
        }
    }
}
