use http::HeaderMap;

use super::*;
use crate::error::{Call, CallError, Problem};

/// A failure as it arrives: the call, its status, its body, and the reason that it should get.
type Met = (Api, &'static str, u16, &'static str, &'static str);

/// Realistic answers. Texts are Microsoft's own where a public page or issue shows them.
#[rustfmt::skip]
const MET: &[Met] = &[
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID."}"#, "ClientSecretInvalid"),
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app '4d1a0c5e' are expired."}"#, "ClientSecretExpired"),
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}"#, "ClientSecretMissing"),
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS700025: Client is public so neither 'client_assertion' nor 'client_secret' should be presented."}"#, "CredentialRefused"),
    (Api::Entra, "token", 400, r#"{"error":"unauthorized_client","error_description":"AADSTS700016: Application with identifier 'x' was not found in the directory 'Contoso'."}"#, "ApplicationNotFound"),
    (Api::Entra, "token", 401, r#"{"error":"unauthorized_client","error_description":"AADSTS7000112: Application 'x' is disabled."}"#, "ApplicationDisabled"),
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application."}"#, "ClientCertificateRefused"),
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS700024: Client assertion is not within its valid time range."}"#, "CredentialRefused"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_request","error_description":"AADSTS50166: Request to External OIDC endpoint failed."}"#, "FederationRefused"),
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:contoso:dualwrite'."}"#, "FederationRefused"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS65001: The user or administrator has not consented to use the application."}"#, "ConsentMissing"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS65002: Consent between first party application and first party resource must be configured via preauthorization."}"#, "ApplicationNotPreauthorized"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_resource","error_description":"AADSTS500011: The resource principal named https://IntegratorApp.com was not found in the tenant named Contoso."}"#, "ServiceNotInTenant"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_codes":[50126],"error_description":"AADSTS50126: Error validating credentials due to invalid username or password."}"#, "PasswordInvalid"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS50034: The user account {EmailHidden} does not exist in the Contoso directory."}"#, "AccountNotFound"),
    (Api::Entra, "token", 400, r#"{"error":"interaction_required","error_description":"AADSTS50076: Due to a configuration change made by your administrator, you must use multi-factor authentication."}"#, "MfaRequired"),
    (Api::Entra, "token", 400, r#"{"error":"interaction_required","error_description":"AADSTS50079: you must enroll in multi-factor authentication."}"#, "MfaRequired"),
    (Api::Entra, "token", 400, r#"{"error":"access_denied","error_description":"AADSTS53003: Access has been blocked by Conditional Access policies."}"#, "ConditionalAccessBlocked"),
    (Api::Entra, "token", 400, r#"{"error":"access_denied","error_description":"AADSTS530035: Access has been blocked by security defaults."}"#, "ConditionalAccessBlocked"),
    (Api::Entra, "token", 400, r#"{"error":"access_denied","error_description":"AADSTS53011: User blocked due to risk on home tenant."}"#, "ConditionalAccessBlocked"),
    (Api::Entra, "token", 400, r#"{"error":"access_denied","error_description":"AADSTS500021: Access to 'Contoso' tenant is denied."}"#, "TenantRestricted"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS50053: The account is locked."}"#, "AccountLocked"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS50055: The password is expired."}"#, "PasswordExpired"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS50057: The user account is disabled."}"#, "AccountDisabled"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS50105: The signed in user is not assigned to a role for the application."}"#, "AccountNotAssigned"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired due to inactivity."}"#, "RefreshTokenExpired"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS50173: The provided grant has expired due to it being revoked."}"#, "RefreshTokenExpired"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_request","error_description":"AADSTS90002: Tenant 'x' not found."}"#, "TenantNotFound"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_request","error_description":"AADSTS90038: Confidential Client is not supported in Cross Cloud request."}"#, "TenantNotFound"),
    (Api::Entra, "token", 503, r#"{"error":"temporarily_unavailable","error_description":"AADSTS90033: A transient error has occurred. Please try again."}"#, "EntraBusy"),
    (Api::Entra, "token", 429, r#"{"error":"invalid_request","error_description":"AADSTS90055: There are too many incoming requests."}"#, "EntraBusy"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS80002: The user's password validation request timed out."}"#, "EntraBusy"),
    (Api::Entra, "token", 503, r#"{"error":"temporarily_unavailable"}"#, "EntraBusy"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_grant","error_description":"AADSTS9002313: Invalid request. Request is malformed or invalid."}"#, "CredentialRefused"),
    (Api::Entra, "token", 401, r#"{"error":"invalid_client","error_description":"AADSTS50013: Assertion failed signature validation. [Reason - The key was not found.]"}"#, "FederationRefused"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_request","error_description":"AADSTS50027: JWT token is invalid or malformed."}"#, "CredentialRefused"),
    (Api::Entra, "token", 503, "", "EntraBusy"),
    (Api::Entra, "token", 400, r#"{"error":"invalid_request","error_description":"AADSTS999999: Something new."}"#, "CredentialRefused"),

    (Api::PowerPlatform, "installApplication", 409, r#"{"error":{"code":"OperationNotStartable","message":"This operation cannot be performed because there is an active lifecycle operation on the environment."}}"#, "EnvironmentBusy"),
    (Api::PowerPlatform, "", 0, "Cannot start the requested operation [Import] because there is another [Import] running at this moment. Use Solution History for more details.", "EnvironmentBusy"),
    (Api::PowerPlatform, "", 0, "The following solution cannot be imported: DualWriteCore. Some dependencies are missing.", "PackageDependencyMissing"),
    (Api::PowerPlatform, "", 0, "Solution import failed. A task was canceled. (80040224)", "InstallTimedOut"),
    (Api::PowerPlatform, "listApplicationPackages", 503, r#"{"code":"UnexpectedError","message":"An unexpected error occurred."}"#, "PowerPlatformFault"),
    (Api::PowerPlatform, "installApplication", 404, "", "PackageNotFound"),
    (Api::PowerPlatform, "listApplicationPackages", 404, "", "AccessDenied"),
    (Api::PowerPlatform, "installApplication", 403, "", "AccessDenied"),
    (Api::PowerPlatform, "listEnvironments", 403, r#"{"error":{"code":"Forbidden","message":"The service principal does not have permission."}}"#, "AccessDenied"),
    (Api::PowerPlatform, "getEnvironment", 401, "", "AccessDenied"),
    (Api::PowerPlatform, "installApplication", 409, "", "EnvironmentBusy"),
    (Api::PowerPlatform, "listEnvironments", 429, "", "TooManyRequests"),

    (Api::Dataverse, "retrieveIntegrationDetails", 400, r#"{"error":{"code":"0x80048d0b","message":"Dataverse instance isn't integrated with finance and operations."}}"#, "NotIntegrated"),
    (Api::Dataverse, "listCompanies", 403, r#"{"error":{"code":"0x80072560","message":"The user is not a member of the organization."}}"#, "AccessDenied"),
    (Api::Dataverse, "listCompanies", 403, r#"{"error":{"code":"0x80040225","message":"The specified user is disabled."}}"#, "AccessDenied"),
    (Api::Dataverse, "listCompanies", 403, r#"{"error":{"code":"0x80040220","message":"Principal user is missing prvReadcdm_Company privilege."}}"#, "AccessDenied"),
    (Api::Dataverse, "listSystemUsers", 429, r#"{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit of 6000 over time window of 300 seconds."}}"#, "TooManyRequests"),
    (Api::Dataverse, "listCompanies", 404, r#"{"error":{"code":"0x80060888","message":"Resource not found for the segment 'cdm_companies'."}}"#, "CompanyTableMissing"),
    (Api::Dataverse, "retrieveIntegrationDetails", 404, r#"{"error":{"code":"0x80060888","message":"Resource not found for the segment 'RetrieveFinanceAndOperationsIntegrationDetails'."}}"#, "IntegrationCallMissing"),
    (Api::Dataverse, "retrieveIntegrationDetails", 403, "", "AccessDenied"),
    (Api::Dataverse, "listCompanies", 429, "", "TooManyRequests"),

    (Api::DualWrite, "createLink", 500, r#"{"errorCode":"DWDVEV1001","errorMessage":"Missing Dataverse APIHub connection."}"#, "DualWriteConnectionMissing"),
    (Api::DualWrite, "createLink", 500, r#"{"errorCode":"DWFOEV1001","errorMessage":"Missing finance and operations apps APIHub connection."}"#, "DualWriteConnectionMissing"),
    (Api::DualWrite, "resetLink", 500, "DWDVEV1003: Company mismatched between dual-write and Dataverse: [DEMF].", "CompanyMismatch"),
    (Api::DualWrite, "resetLink", 500, "DWFOEV1003: Company mismatched between dual-write and finance and operations apps: [DEMF].", "CompanyMismatch"),
    (Api::DualWrite, "", 0, "DWDVEV1004 Stale dual-write configuration present in Dataverse.", "StaleConfiguration"),
    (Api::DualWrite, "", 0, "DWFOEV1004 Stale dual-write configuration present in finance and operations apps.", "StaleConfiguration"),
    (Api::DualWrite, "", 0, "DWFOEV1006 Default Team name mismatch for Dataverse and dual-write.", "TeamName"),
    (Api::DualWrite, "", 0, "DWDVEV1007 Default owning team isn't present in company USMF.", "DefaultOwningTeam"),

    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1000] Connection validation failed", "DualWriteConnectionMissing"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1006] Exceptions encountered during project validation", "TableMapFault"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1002] Customers V3 of AX is a cross-company entity and accounts of CRM is a company-specific entity.", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1003] Integration keys are missing", "IntegrationKeyInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1004] Integration key field isn't bi-directionally mapped", "IntegrationKeyInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1016] Missing Organization mapping for destination entity", "ConnectionSetBroken"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1007] Task has environment that doesn't exist in the connection set", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1008] Data partition isn't valid", "CompanyMismatch"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1010] Mandatory field in destination entity must be mapped", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1011] Readonly field in destination entity must not be mapped", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1012] Error occurred while parsing Dataverse entity source filter", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1014] Mapping is missing for integration key", "IntegrationKeyInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed [DIPV1025] Missing destination field msdyn_bookableresource.bookableresourceid in the schema", "SchemaOutdated"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1019] Export can't be performed on the table due to the missing versionnumber field", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1021] Missing source field in the mapping", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1026] Duplicate destination fields", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1030] Data type mismatch", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Project validation failed. [DIPV1031] Missing default transform for mandatory destination field", "TableMapInvalid"),
    (Api::DualWrite, "", 0, "Dual write failure - Plugin registration failed: [(Unable to get partition map for project DWM-1. Error Exceeds the maximum partitions allowed for mapping DWM-1)], One or more errors occurred.", "TooManyCompanies"),
    (Api::DualWrite, "", 0, "Customer groups (msdyn_customergroups) : Dual write failure - Dynamics 365 for Sales solution 'Dynamics365Company' has version mismatch. Version: '2.0.2.10' Required version: '2.0.133'", "SolutionOutdated"),
    (Api::DualWrite, "", 0, "Unable to complete initial data sync. Error: dual-write failure - plugin registration failed: Unable to build dual-write lookup metadata. Error object reference not set to an instance of an object.", "TableMapPrerequisite"),
    (Api::DualWrite, "", 0, "Missing source field CREDITLIMIT in the schema.", "SchemaOutdated"),
    (Api::DualWrite, "", 0, "([Forbidden], The remote server returned an error: (403) Forbidden.), AX export encountered an error", "DualWriteConnectionFailed"),
    (Api::DualWrite, "", 0, "([Bad Request], The remote server returned an error: (400) Bad Request.), AX export encountered an error", "ExportFailed"),
    (Api::DualWrite, "", 0, "Couldn't resolve the guid for the field: primarycontactid.msdyn_contactpersonid. The lookup was not found: 000056.", "ReferenceMissing"),
    (Api::DualWrite, "", 0, "Unable to write data to entity uoms. Writes to UnitOfMeasureEntity failed with error message Unable to sync with entity uoms.", "ReferenceMissing"),
    (Api::DualWrite, "", 0, "Failed to read SecureConfig of the plug-in.", "StaleConfiguration"),
    (Api::DualWrite, "", 0, "Unable to generate payload for entity CustCustomerV3Entity. Payload creation failed with error Invalid URI: The URI is empty.", "StaleConfiguration"),
    (Api::DualWrite, "", 0, r#"[{"error":{"code":"0x80072560","message":"The user is not a member of the organization."}}], The remote server returned an error: (403) Forbidden."#, "DualWriteConnectionFailed"),

    (Api::DualWrite, "createLink", 500, r#"{"errorCode":"DW9003","errorMessage":"DW9003: Failed to connect to AX. Ensure that the service principal has the correct permissions to access AX."}"#, "DualWriteConnectionFailed"),
    (Api::DualWrite, "createLink", 500, "DW9003: Failed to connect to CRM. Ensure that the service principal has the correct permissions to access CRM.", "DualWriteConnectionFailed"),
    (Api::DualWrite, "createLink", 500, r#"{"errorCode":"DW9003","errorMessage":"Connection failed."}"#, "DualWriteConnectionFailed"),
    (Api::DualWrite, "createLink", 500, r#"{"errorMessage":"Saving connection set failed! An item with the same key has already been added."}"#, "DuplicateCompanies"),
    (Api::DualWrite, "createLink", 500, r#"{"errorMessage":"Saving connection set failed! The name is too long."}"#, "ConnectionSetNotSaved"),
    (Api::DualWrite, "createLink", 400, "Finance and operations apps environment contosodev.cloudax.dynamics.com is not discoverable.", "EnvironmentNotDiscoverable"),
    (Api::DualWrite, "createLink", 400, "Finance and operations apps environment contosodev.cloudax.dynamics.com isn't discoverable.", "EnvironmentNotDiscoverable"),
    (Api::DualWrite, "createLink", 500, "MSG=[Failed to setup dual write environment. Error Details:Response status code does not indicate success: 403 (Forbidden).]", "LicenceMissing"),
    (Api::DualWrite, "startMaps", 403, r#"[Forbidden], [{"status":403,"source":"","message":"Error from token exchange: User is not allowed to access connection dynamicscrmonline/x"}], The remote server returned an error: (403) Forbidden."#, "LinkedDataverseGone"),
    (Api::DualWrite, "createLink", 500, "Response status code does not indicate success: 403 (tokenexchange). Session ID: x Root activity ID: y", "AccessDenied"),
    (Api::DualWrite, "getLink", 404, "", "DualWriteNotFound"),
    (Api::DualWrite, "createLink", 404, "Response status code does not indicate success: 404 (Not Found).", "DualWriteConsentMissing"),
    (Api::DualWrite, "getConnectionSet", 404, "", "LinkChanged"),
    (Api::DualWrite, "setIntegrationKeys", 404, "", "DatasetNotFound"),
    (Api::DualWrite, "resetLink", 404, "", "LinkChanged"),
    (Api::DualWrite, "createLink", 400, r#"{"errors":{"environments":["The field is required."]}}"#, "LinkCallRefused"),
    (Api::DualWrite, "resetLink", 400, "", "ResetCallRefused"),
    (Api::DualWrite, "createLink", 403, "", "AccessDenied"),
    (Api::DualWrite, "startMaps", 403, "", "AccessDenied"),
    (Api::DualWrite, "startMaps", 401, "Response status code does not indicate success: 401 (Unauthorized).", "AccessDenied"),
    (Api::DualWrite, "getLink", 403, "", "AccessDenied"),
    (Api::DualWrite, "getLink", 401, "", "AccessDenied"),
    (Api::DualWrite, "startMaps", 409, "", "DualWriteBusy"),
    (Api::DualWrite, "listMaps", 429, "", "TooManyRequests"),
    (Api::DualWrite, "createLink", 503, "", "TooManyRequests"),
];

fn found(met: &Met) -> Option<&'static Entry> {
    let (api, call, status, body, _) = *met;
    if call.is_empty() {
        return explain(api, body);
    }
    let problem = Problem::read(&HeaderMap::new(), body.as_bytes(), false);
    find(&Failure {
        api,
        call: Some(call.parse().unwrap()),
        status: Some(status),
        code: problem.code.as_deref().unwrap_or_default(),
        text: &problem.message,
    })
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    AREAS.iter().flat_map(|area| area.entries)
}

fn of_code(api: Api, code: &str) -> Option<&'static Entry> {
    let status = entries()
        .filter(|entry| entry.api == api)
        .filter(|entry| matches!(entry.sign, Sign::Codes(codes) if codes.contains(&code)))
        .find_map(|entry| entry.statuses.first().copied());
    find(&Failure {
        api,
        call: None,
        status: Some(status.unwrap_or(400)),
        code,
        text: "",
    })
}

#[test]
fn every_realistic_failure_gets_its_reason() {
    for met in MET {
        let reason = found(met).map(|entry| entry.reason);
        assert_eq!(reason, Some(met.4), "{met:?}");
    }
}

/// So no entry is hidden by an earlier one, and none stands there without an example.
#[test]
fn every_entry_is_met_by_a_realistic_failure() {
    for entry in entries() {
        let is_met = MET
            .iter()
            .any(|met| found(met).is_some_and(|found| std::ptr::eq(found, entry)));
        assert!(is_met, "no failure of the table leads to {entry:?}");
    }
}

#[test]
fn every_code_leads_to_its_own_entry() {
    for entry in entries() {
        let leads_here =
            |found: Option<&'static Entry>| found.is_some_and(|f| std::ptr::eq(f, entry));
        match entry.sign {
            Sign::Entra(codes) => {
                for code in codes {
                    let met: Met = (Api::Entra, "", 0, "", "");
                    let text = format!("AADSTS{code}: text");
                    assert!(leads_here(explain(met.0, &text)), "AADSTS{code}");
                }
            }
            Sign::Codes(codes) => {
                for code in codes {
                    assert!(leads_here(of_code(entry.api, code)), "{code}");
                }
            }
            Sign::Words(_) | Sign::Status => {}
        }
    }
}

#[test]
fn an_entra_code_matches_as_a_whole_number_only() {
    let of =
        |text: &'static str| found(&(Api::Entra, "token", 400, text, "")).map(|entry| entry.reason);
    assert_eq!(of("AADSTS50076: second factor"), Some("MfaRequired"));
    assert_eq!(
        of("AADSTS500761: something else"),
        Some("CredentialRefused")
    );
    assert_eq!(of("AADSTS700021"), Some("CredentialRefused"));
}

#[test]
fn a_service_code_ignores_case_and_matches_as_a_whole_word_only() {
    let of = |body: &'static str| {
        found(&(Api::Dataverse, "retrieveIntegrationDetails", 403, body, "")).map(|e| e.reason)
    };
    assert_eq!(
        of(r#"{"error":{"code":"0X80048D0B"}}"#),
        Some("NotIntegrated")
    );
    assert_eq!(
        of(r#"{"error":{"code":"0x80048d0bb"}}"#),
        Some("AccessDenied")
    );
}

#[test]
fn an_entry_is_of_one_api() {
    let text = "DW9003: Failed to connect to CRM.";
    assert!(explain(Api::PowerPlatform, text).is_none());
    assert!(explain(Api::DualWrite, text).is_some());
    assert!(explain(Api::DualWrite, "Something that nobody knows").is_none());
}

#[test]
fn a_404_says_what_its_call_could_not_find() {
    let of = |call: &'static str| {
        found(&(Api::DualWrite, call, 404, "", "")).map(|e| (e.reason, e.class))
    };
    assert_eq!(
        of("getLink"),
        Some(("DualWriteNotFound", Class::NeedsPerson))
    );
    assert_eq!(of("listMaps"), Some(("LinkChanged", Class::Transient)));
    assert_eq!(of("startMaps"), Some(("LinkChanged", Class::NeedsPerson)));
    assert_eq!(
        of("setIntegrationKeys"),
        Some(("DatasetNotFound", Class::NeedsPerson))
    );
}

/// Where a person presses something, or who does.
const PLACES: [&str; 16] = [
    "Microsoft Entra admin center",
    "Power Platform admin center",
    "Microsoft 365 admin center",
    "Dual-write page",
    "Kubernetes Secret",
    "finance and operations",
    "Power Apps",
    "LCS",
    "Microsoft support",
    "spec.",
    "Application users",
    "Enterprise applications",
    "Data management",
    "business unit",
    "the cluster's proxy",
    "Dataverse",
];

const IMPERATIVES: [&str; 37] = [
    "Open",
    "Create",
    "Put",
    "Compare",
    "Have",
    "Check",
    "Correct",
    "Use",
    "Find",
    "Replace",
    "Let",
    "Wait",
    "Sign",
    "Set",
    "Upload",
    "Install",
    "Try",
    "Add",
    "Activate",
    "Edit",
    "Reset",
    "Remove",
    "Delete",
    "Give",
    "Mend",
    "Ask",
    "Turn",
    "Make",
    "Choose",
    "Press",
    "Update",
    "Start",
    "Look",
    "Synchronise",
    "Read",
    "Enable",
    "Assign",
];

#[test]
fn every_entry_says_what_to_do_and_where() {
    for entry in entries() {
        let first = entry
            .remedy
            .split([' ', ':', ','])
            .next()
            .unwrap_or_default();
        assert!(
            IMPERATIVES.contains(&first),
            "not an imperative: {}",
            entry.remedy
        );
        let passes = matches!(entry.class, Class::Transient | Class::Busy);
        let names_a_place = PLACES.iter().any(|place| entry.remedy.contains(place));
        assert!(passes || names_a_place, "no place: {}", entry.remedy);
        for sentence in [entry.cause, entry.remedy] {
            assert!(sentence.ends_with('.'), "{sentence}");
            assert!(!sentence.contains('|'), "would break a table: {sentence}");
        }
        assert!(
            entry
                .cause
                .starts_with(|c: char| c.is_lowercase() || c.is_uppercase())
        );
        assert!(entry.reason.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(entry.source.starts_with("https://"), "{}", entry.source);
    }
}

/// What an administrator can read more about is documentation. Where Microsoft documents nothing, the mark says so, and the
/// source is where it was seen.
#[test]
fn every_documented_entry_leads_to_microsofts_documentation() {
    for entry in entries() {
        let is_documentation = entry.source.starts_with("https://learn.microsoft.com/");
        assert!(
            is_documentation || entry.evidence != Evidence::Documented,
            "{entry:?}"
        );
        // A language in the address would choose it for the reader.
        assert!(!entry.source.contains("/en-us/"), "{}", entry.source);
    }
}

/// "Needs a person" and "Wait" contradict each other, and so do "passes by itself" and anything else.
#[test]
fn what_passes_by_itself_says_wait_and_nothing_else_does() {
    for entry in entries() {
        let passes = matches!(entry.class, Class::Transient | Class::Busy);
        let waits = entry.remedy.starts_with("Wait") && !entry.remedy.contains("administrator");
        assert_eq!(passes, waits, "{:?}: {}", entry.class, entry.remedy);
    }
}

/// Every failure that public sources name: the codes of sign-ins, of the health check and of the validation of maps, and the
/// texts that users meet. Two numbers of the validation (1009, 1013) are documented nowhere.
#[test]
fn every_known_failure_is_explained() {
    let entra = [
        50_076, 50_079, 7_000_215, 7_000_222, 700_016, 65_001, 65_002, 50_126, 700_082, 90_002,
    ];
    for code in entra {
        let text = format!("AADSTS{code}: text");
        assert!(explain(Api::Entra, &text).is_some(), "{text}");
    }
    let health = [
        "DV1001", "FO1001", "DV1003", "FO1003", "DV1004", "FO1004", "FO1006", "DV1007",
    ];
    let codes = health.map(|code| format!("DW{}EV{}", &code[..2], &code[2..]));
    let validation = (1000..=1031).filter(|number| ![1009, 1013].contains(number));
    let validation = validation.map(|number| format!("DIPV{number}"));
    let texts = [
        "DW9003 Failed to connect to CRM",
        "DW9003 Failed to connect to AX",
        "Saving connection set failed! An item with the same key has already been added.",
        "Error Exceeds the maximum partitions allowed for mapping DWM-1",
        "SecureConfig",
        "Error from token exchange: User is not allowed to access connection",
        "Unable to write data to entity uoms.",
    ];
    let texts = texts.map(str::to_owned).into_iter();
    for told in codes.into_iter().chain(validation).chain(texts) {
        assert!(explain(Api::DualWrite, &told).is_some(), "{told}");
    }
    for (api, call, status) in [
        (Api::DualWrite, "createLink", 404),
        (Api::DualWrite, "createLink", 403),
        (Api::DualWrite, "startMaps", 401),
        (Api::DualWrite, "listMaps", 429),
        (Api::DualWrite, "listMaps", 503),
        (Api::PowerPlatform, "installApplication", 409),
        (Api::Dataverse, "listCompanies", 403),
        (Api::Dataverse, "listCompanies", 429),
        (Api::Entra, "token", 429),
        (Api::Entra, "token", 503),
    ] {
        let met: Met = (api, call, status, "", "");
        assert!(found(&met).is_some(), "{met:?}");
    }
}

/// An unknown failure is shown whole: the call, the host, the status, the text and the id for Microsoft's support.
#[test]
fn raw_text_call_and_correlation_id_are_always_kept() {
    let call = Call::StartMaps;
    let mut headers = HeaderMap::new();
    if let Ok(id) = "11111111-aaaa".parse() {
        headers.insert("x-ms-correlation-id", id);
    }
    for (status, body, kept) in [
        (418, "Nobody knows this.", "Nobody knows this."),
        (
            500,
            "DW9003: Failed to connect to CRM.",
            "Failed to connect to CRM",
        ),
    ] {
        let problem = Problem::read(&headers, body.as_bytes(), false);
        let error = CallError::answered(call, "contoso.example", status, &headers, problem);
        let text = error.to_string();
        for part in [
            kept,
            "startMaps",
            "contoso.example",
            &status.to_string(),
            "11111111-aaaa",
        ] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
    }
}
