use super::{
    findings::{company_count, company_names, legal_entities, users_in_place},
    *,
};
use crate::observed::{ApplicationUser, Company, Problem};
use dualwrite_api::Reason;

fn user(id: &str, disabled: bool) -> ApplicationUser {
    ApplicationUser {
        application_id: id.to_uppercase(),
        disabled,
    }
}

fn companies(rows: &[(&str, &str)]) -> Companies {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Companies {
        rows: rows
            .iter()
            .map(|(code, name)| Company {
                code: text(code),
                name: text(name),
            })
            .collect(),
        complete: true,
    }
}

fn many(count: usize) -> Companies {
    let rows: Vec<(String, String)> = (0..count)
        .map(|n| (format!("C{n}"), format!("Company {n}")))
        .collect();
    let rows: Vec<(&str, &str)> = rows
        .iter()
        .map(|(code, name)| (code.as_str(), name.as_str()))
        .collect();
    companies(&rows)
}

fn failed(finding: &Finding) -> &str {
    match finding {
        Finding::Failed(message) => message,
        _ => "",
    }
}

fn wanted(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

#[test]
fn users_must_be_there_once_set_up_and_never_disabled() {
    let both = [
        user(FINANCE_AND_OPERATIONS, false),
        user(DATA_INTEGRATOR, false),
    ];
    for set_up in [true, false] {
        assert!(matches!(
            users_in_place(&both, false, set_up),
            Finding::Passed(_)
        ));
    }
    let one = [user(DATA_INTEGRATOR, false)];
    assert!(matches!(
        users_in_place(&one, false, false),
        Finding::Open(_)
    ));
    assert!(failed(&users_in_place(&one, false, true)).contains(FINANCE_AND_OPERATIONS));
    // A cloud-hosted environment does without it.
    assert!(matches!(
        users_in_place(&one, true, true),
        Finding::Passed(_)
    ));
    for set_up in [true, false] {
        let disabled = [
            user(FINANCE_AND_OPERATIONS, false),
            user(DATA_INTEGRATOR, false),
            user(DUAL_WRITE[0], true),
        ];
        let finding = users_in_place(&disabled, false, set_up);
        assert!(failed(&finding).contains(DUAL_WRITE[0]), "{finding:?}");
    }
    // Of two users of one application one suffices.
    let twice = [
        user(FINANCE_AND_OPERATIONS, true),
        user(FINANCE_AND_OPERATIONS, false),
        user(DATA_INTEGRATOR, false),
    ];
    assert!(matches!(
        users_in_place(&twice, false, true),
        Finding::Passed(_)
    ));
}

#[test]
fn names_may_be_neither_blank_nor_doubled() {
    let fine = companies(&[("USMF", "Contoso US"), ("DEMF", "Contoso DE")]);
    assert!(matches!(company_names(&fine, &[]), Finding::Passed(_)));
    assert!(matches!(
        company_names(&companies(&[]), &[]),
        Finding::Passed(_)
    ));
    for (rows, says) in [
        (vec![("USMF", "Contoso"), ("", "Fabrikam")], "1 "),
        (vec![("USMF", "Contoso"), ("DEMF", "")], "1 "),
        (vec![("DAT", "Contoso"), ("dat", "Fabrikam")], "DAT"),
        (vec![("USMF", "Contoso "), ("DEMF", "contoso")], "Contoso"),
    ] {
        let finding = company_names(&companies(&rows), &[]);
        assert!(failed(&finding).contains(says), "{rows:?}: {finding:?}");
    }
    let cut = Companies {
        complete: false,
        ..fine
    };
    assert!(matches!(company_names(&cut, &[]), Finding::Open(_)));
}

#[test]
fn more_than_250_matter_where_nobody_has_chosen() {
    assert!(matches!(company_count(&many(250), &[]), Finding::Passed(_)));
    assert!(failed(&company_count(&many(251), &[])).contains("251"));
    let some = wanted(&["C1"]);
    assert!(matches!(
        company_count(&many(251), &some),
        Finding::Passed(_)
    ));
}

#[test]
fn wanted_companies_must_exist_where_any_do() {
    let some = companies(&[("usmf", "Contoso US"), ("DEMF", "Contoso DE")]);
    let of = |companies: &Companies, codes: &[&str]| legal_entities(companies, &wanted(codes));
    assert!(matches!(of(&some, &["USMF"]), Finding::Passed(_)));
    assert!(failed(&of(&some, &["USMF", "FRSI"])).contains("FRSI"));
    assert!(matches!(of(&companies(&[]), &["USMF"]), Finding::Open(_)));
    let cut = Companies {
        complete: false,
        ..some
    };
    assert!(matches!(of(&cut, &["FRSI"]), Finding::Open(_)));
}

#[test]
fn what_is_not_read_stays_and_another_correlation_id_is_no_news() {
    let known = [Check {
        name: CheckName::CompanyNames,
        status: CheckStatus::Failed,
        message: "Double. (correlation id 1)".into(),
    }];
    let of = |finding| kept(CheckName::CompanyNames, finding, &known);
    assert_eq!(of(Finding::Unread), known[0]);
    assert_eq!(
        of(Finding::Failed("Double. (correlation id 2)".into())),
        known[0]
    );
    assert_eq!(
        of(Finding::Passed("Fine.".into())).status,
        CheckStatus::Passed
    );
    let first = kept(CheckName::CompanyNames, Finding::Unread, &[]);
    assert_eq!(first.status, CheckStatus::Unknown);
    assert_eq!(
        Finding::unknown(&Problem::transient("503")),
        Finding::Unread
    );
    let denied = Problem::needs_person(Reason::AccessDenied, "Denied.");
    assert_eq!(Finding::unknown(&denied), Finding::Open("Denied.".into()));
}
