//! Tokens go to allowed hosts only, whoever names another one: the spec, or an answer.

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::contoso::*;
use crate::support::wait::Target;

/// Every host that was called is one of Contoso's or Microsoft's.
pub(crate) async fn only_known_hosts(world: &World) {
    let calls = world.calls().await;
    assert_eq!(calls["unknown"], Value::Null, "{calls:#}");
    let known = [
        "login.microsoftonline.com",
        "api.powerplatform.com",
        "contoso-uat.crm4.dynamics.com",
        HOST,
        SERVICE,
    ];
    for host in calls["hosts"].as_object().unwrap().keys() {
        assert!(known.contains(&host.as_str()), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_of_the_spec_that_is_not_allowed_gets_nothing() {
    let url = |path: &'static str, host: &str| {
        let url = json!({"url": format!("https://{host}")});
        (format!("{path}: {host}"), json!({path: url}))
    };
    let cases = vec![
        url("financeOperations", "attacker.example"),
        url(
            "financeOperations",
            "operations.dynamics.com.attacker.example",
        ),
        url("financeOperations", "contosooperations.dynamics.com"),
        url("dualWriteService", "attacker.example"),
        url("dualWriteService", "evil.gateway.prod.island.powerapps.com"),
        url(
            "dualWriteService",
            "projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com.attacker.example",
        ),
    ];
    side_by_side(cases, |spec| async move {
        let world = world(linked(SPEC)).await;
        connect(&world, spec).await;
        let parts = ["is not allowed", "--allow-host-suffix"];
        let connection = says(
            &world,
            "CredentialsValid",
            "False",
            "HostNotAllowed",
            &parts,
        )
        .await;
        assert_says(&connection, "Ready", "False", "HostNotAllowed", &parts);
        assert_says(&connection, "Stalled", "True", "HostNotAllowed", &[]);
        quiet(&world, 2).await;
        assert_eq!(
            world.calls().await,
            json!({"hosts": {}}),
            "nothing was called at all"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_spec_must_not_contain_is_refused_with_words() {
    let world = builder().start().await;
    for (spec, part) in [
        (
            json!({"financeOperations": {"url": "http://contoso.operations.dynamics.com"}}),
            "https://",
        ),
        (
            json!({"financeOperations": {"url": "https://user@contoso.operations.dynamics.com"}}),
            "no user",
        ),
        (
            json!({"financeOperations": {"url": "https://127.0.0.1"}}),
            "IP address",
        ),
        (
            json!({"dualWriteService": {"url": "https://a.example/path"}}),
            "path",
        ),
        (
            json!({"dataverse": {"environmentId": "Contoso UAT"}}),
            "not the display name",
        ),
        (json!({"credentials": {"tenantId": "contoso.com"}}), "UUID"),
        (json!({"interval": "5 minutes"}), "for example 5m"),
        (json!({"dualWriteService": null}), "link.method: Manual"),
    ] {
        let object = connection(NAME, spec).to_string();
        let refused = world.admin().apply(&object).await.err();
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

/// What is not `https://` and a plain name, in as many ways as there are to write a host that is read in two ways.
pub(crate) const FORMS: [&str; 44] = [
    "http://contoso.operations.dynamics.com",
    "HTTPS://contoso.operations.dynamics.com",
    "ftp://contoso.operations.dynamics.com",
    "file:///etc/passwd",
    "contoso.operations.dynamics.com",
    "//contoso.operations.dynamics.com",
    "https:contoso.operations.dynamics.com",
    "https:/contoso.operations.dynamics.com",
    "https:///contoso.operations.dynamics.com",
    "https://",
    "https://contoso",
    "https://user@contoso.operations.dynamics.com",
    "https://user:password@contoso.operations.dynamics.com",
    "https://contoso.operations.dynamics.com@attacker.example",
    "https://attacker.example\\@contoso.operations.dynamics.com",
    "https://attacker.example\\.contoso.operations.dynamics.com",
    "https://attacker.example#.operations.dynamics.com",
    "https://attacker.example?.operations.dynamics.com",
    "https://attacker.example/.operations.dynamics.com",
    "https://attacker.example%2f.operations.dynamics.com",
    "https://attacker.example%00.operations.dynamics.com",
    "https://contoso.operations.dynamics.com:443",
    "https://contoso.operations.dynamics.com:8443",
    "https://contoso.operations.dynamics.com/a",
    "https://contoso.operations.dynamics.com//",
    "https://contoso.operations.dynamics.com/../a",
    "https://contoso.operations.dynamics.com?a=b",
    "https://contoso.operations.dynamics.com#a",
    "https://contoso.operations.dynamics.com.",
    "https://contoso..operations.dynamics.com",
    "https://-contoso.operations.dynamics.com",
    "https://contoso_uat.operations.dynamics.com",
    "https://xn--cntoso-yxa.operations.dynamics.com",
    "https://XN--cntoso-yxa.operations.dynamics.com",
    "https://c\u{43e}ntoso.operations.dynamics.com",
    "https://contoso\u{3002}operations.dynamics.com",
    "https://contoso\u{ff0e}operations.dynamics.com",
    "https://contoso. operations.dynamics.com",
    "https://contoso.\toperations.dynamics.com",
    "https://contoso.operations.dynamics.com\n",
    "https://169.254.169.254",
    "https://0xa9fea9fe",
    "https://2852039166",
    "https://[::ffff:169.254.169.254]",
];

/// What the API server says against an object.
pub(crate) async fn refusal(world: &World, object: Value) -> String {
    let api = Target::parse("dwc").api(world.client(), &world.namespace);
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let what = object.to_string();
    let object = serde_json::from_value(object).unwrap();
    let refused = api.create(&params, &object).await;
    refused.expect_err(&what).to_string()
}

/// One rule for both fields, and one message.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_more_than_a_host_is_refused_with_one_message() {
    let world = builder().start().await;
    let forms = FORMS.into_iter().map(str::to_owned);
    let long = format!("https://{}.operations.dynamics.com", "a".repeat(300));
    for url in forms.chain([long]) {
        for field in ["financeOperations", "dualWriteService"] {
            let object = connection(NAME, json!({field: {"url": url}}));
            let refused = refusal(&world, object).await;
            let words = [
                "write https:// and a host name, nothing else",
                "may not be more than 262",
            ];
            assert!(
                words.iter().any(|part| refused.contains(part)),
                "{url:?}: {refused}"
            );
            assert!(refused.contains(&format!("spec.{field}.url")), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_points_elsewhere_is_not_followed() {
    let page = |link: &str| json!({"status": 200, "body": {"value": [], "@odata.nextLink": link}});
    let fault = |call: &str, effect| json!({"call": call, "times": null, "effect": effect});
    let list = "https://api.powerplatform.com.attacker.example/environmentmanagement/environments";
    let cases: Vec<(String, Value)> = [
        (
            "a next page on another host",
            fault("listEnvironments", page(list)),
        ),
        (
            "a next page on another port",
            fault(
                "listEnvironments",
                page("https://api.powerplatform.com:444/x"),
            ),
        ),
        (
            "a next page without TLS",
            fault("listEnvironments", page("http://api.powerplatform.com/x")),
        ),
        (
            "a redirect of the list",
            fault("listEnvironments", json!({"redirect": list})),
        ),
        (
            "a redirect of the token",
            fault(
                "token",
                json!({"redirect": "https://attacker.example/token"}),
            ),
        ),
        (
            "packages on another host",
            fault("listApplicationPackages", page("https://attacker.example/")),
        ),
    ]
    .map(|(name, fault)| (name.to_owned(), fault))
    .into();
    side_by_side(cases, |fault| async move {
        let world = world(Value::Null).await;
        world.fault(fault).await;
        connect(&world, json!({})).await;
        says(&world, "Reconciling", "True", "Retrying", &[]).await;
        quiet(&world, 2).await;
        only_known_hosts(&world).await;
        assert_eq!(mutations(&world).await, Vec::<String>::new());
    })
    .await;
}

/// The Dataverse's address comes from the Power Platform; a token for it goes to Dataverse hosts only.
#[tokio::test(flavor = "multi_thread")]
async fn an_environment_whose_dataverse_is_elsewhere_gets_no_token() {
    let state = both(
        linked(SPEC),
        environment(SPEC, json!({"url": "https://attacker.example"})),
    );
    let world = world(state).await;
    connect(&world, json!({})).await;
    let parts = ["attacker.example", "is not allowed"];
    says(
        &world,
        "PowerPlatformIntegrated",
        "True",
        "Integrated",
        &parts,
    )
    .await;
    quiet(&world, 2).await;
    only_known_hosts(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_location_elsewhere_is_ignored() {
    let world = world(Value::Null).await;
    let headers = json!({"operation-location": "https://attacker.example/operations/1"});
    let effect = json!({"statusAfterEffect": {"status": 202, "headers": headers}});
    world
        .fault(json!({"call": "installApplication", "times": null, "effect": effect}))
        .await;
    connect(&world, json!({})).await;
    ready(&world).await;
    only_known_hosts(&world).await;
}
