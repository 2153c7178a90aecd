//! Sentences about what can be seen from outside before a link is made. Each that is bad news says where to press.

use super::words::list;

/// How many companies or applications a sentence names.
const NAMED: usize = 5;

const APPLICATION_USERS: &str = "in the Power Platform admin center, the environment, Settings, Users + permissions, Application users";

/// What is to be mended first.
pub fn mend_first(failed: &[&str]) -> String {
    format!("To be mended first: {}", failed.join(" "))
}

/// It was not read yet.
pub fn check_unread() -> String {
    "It was not looked at yet.".into()
}

/// Dataverse answers the application.
pub fn check_dataverse_reachable() -> String {
    "The Dataverse answers the application of spec.credentials.".into()
}

/// The users that dual-write needs are there.
pub fn check_users_in_place() -> String {
    "The application users that dual-write needs in Dataverse exist and are enabled.".into()
}

/// They are not there yet, and need not be.
pub fn check_users_not_yet(missing: &[&str]) -> String {
    format!(
        "Not there yet: the application users {}. LCS makes them with \"Dual-write application\"; after an installation by \
         the operator, add them {APPLICATION_USERS}, if LCS has not.",
        list(missing, NAMED)
    )
}

/// Users are missing or disabled.
pub fn check_users(missing: &[&str], disabled: &[&str]) -> String {
    let add = (!missing.is_empty()).then(|| {
        format!(
            "Add {} as System Administrator {APPLICATION_USERS} (or press \"Dual-write application\" in LCS, which makes \
             them).",
            list(missing, NAMED)
        )
    });
    let activate = (!disabled.is_empty())
        .then(|| format!("Activate {} {APPLICATION_USERS}.", list(disabled, NAMED)));
    let sentences: Vec<String> = add.into_iter().chain(activate).collect();
    format!(
        "Application users that dual-write needs in Dataverse are missing or disabled. {}",
        sentences.join(" ")
    )
}

/// Codes and names are fine.
pub fn check_company_names_fine() -> String {
    "No company in Dataverse has a blank or a double name or code.".into()
}

/// Codes or names are blank or double.
pub fn check_company_names(blank: usize, doubled: &[String]) -> String {
    let blanks = match blank {
        0 => None,
        1 => Some("1 row has a blank code or name".to_owned()),
        more => Some(format!("{more} rows have a blank code or name")),
    };
    let doubles = (!doubled.is_empty()).then(|| format!("double are {}", list(doubled, NAMED)));
    let what: Vec<String> = blanks.into_iter().chain(doubles).collect();
    format!(
        "Companies in Dataverse keep a link from being saved: {}. Open the table Company (cdm_company) in Power Apps, and \
         correct or delete these rows.",
        what.join("; ")
    )
}

/// Not all companies were read.
pub fn check_companies_incomplete(seen: usize) -> String {
    format!("Only the first {seen} companies in Dataverse were looked at, and they are fine.")
}

/// Not too many.
pub fn check_company_count_fine(count: usize, wanted: usize) -> String {
    match wanted {
        0 => format!("{count} companies in Dataverse; 250 can be linked."),
        wanted => format!("{wanted} companies are to be linked; 250 can be."),
    }
}

/// Too many.
pub fn check_company_count(count: usize) -> String {
    format!(
        "{count} companies are more than the 250 that can be linked: choose at most 250 in spec.link.legalEntities, or under \
         Legal entities when you link in LCS."
    )
}

/// The companies of the spec exist.
pub fn check_legal_entities_fine() -> String {
    "The companies of spec.link.legalEntities exist in Dataverse.".into()
}

/// Some do not.
pub fn check_legal_entities(missing: &[&String]) -> String {
    format!(
        "Not in the table Company (cdm_company) of Dataverse: {}. Compare spec.link.legalEntities with Legal entities in \
         finance and operations; a company that is right comes to Dataverse with the table map of companies, or is added in \
         Power Apps.",
        list(missing, NAMED)
    )
}

/// There are none to compare with.
pub fn check_no_companies_yet() -> String {
    "Dataverse has no companies yet; dual-write brings them with the table map of companies.".into()
}

/// Nothing newer is offered.
pub fn check_packages_fine() -> String {
    "No newer version of the application packages is offered.".into()
}

/// Something newer is.
pub fn check_packages(outdated: &[String]) -> String {
    format!(
        "Newer versions are offered, and table maps that need them do not start: {}. Update them in the Power Platform admin \
         center, Dynamics 365 apps of the environment.",
        list(outdated, NAMED)
    )
}

/// There is no version to compare.
pub fn check_packages_not_installed() -> String {
    "Not all application packages are installed; see the condition SetupComplete.".into()
}

/// The account is the one that linked.
pub fn check_linking_identity_fine(account: &str) -> String {
    format!("The account of spec.dualWriteService, {account}, is the one that made the link.")
}

/// It is another one.
pub fn check_linking_identity(linked_by: &str, account: &str) -> String {
    format!(
        "The link was made by {linked_by}, and spec.dualWriteService now has {account}: only the account that made a link can \
         add table maps. Put {linked_by} into the Kubernetes Secret again, or reset the link on the Dual-write page as \
         {account}."
    )
}

/// What nobody can see from outside.
pub fn check_finance_operations() -> String {
    "It cannot be seen from outside: the Microsoft Entra ID applications and their users in finance and operations, its legal \
     entities, and configuration of an earlier link in its tables. Press Health check on the Dual-write page."
        .into()
}
