//! Starts the binary and talks to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub(crate) const TENANT: &str = "72f988bf-0000-4000-8000-000000000001";
pub(crate) const CLIENT: &str = "4d1a0c5e-0000-4000-8000-000000000002";
pub(crate) const UAT: &str = "6f2c8d0e-0000-4000-8000-000000000010";
pub(crate) const PRODUCTION: &str = "c0a8f00d-0000-4000-8000-000000000020";
pub(crate) const UAT_DATAVERSE: &str = "contoso-uat.crm4.dynamics.com";
pub(crate) const UAT_HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
pub(crate) const PRODUCTION_HOST: &str = "contoso.operations.dynamics.com";
pub(crate) const POWER_PLATFORM: &str = "https://api.powerplatform.com";
pub(crate) const SERVICE: &str =
    "https://projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com/api";
pub(crate) const MANAGEMENT: &str = "https://projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com/api/DualWriteManagement/1.0";
pub(crate) const DUAL_WRITE_CLIENT: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";

/// Every name is the simulator.
struct Everywhere(SocketAddr);

impl Resolve for Everywhere {
    fn resolve(&self, _: Name) -> Resolving {
        let address = self.0;
        Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
    }
}

/// A running simulator and a client of it. When it is dropped, standard input closes and the
/// simulator ends by itself, which also removes its files.
pub(crate) struct Simulator {
    pub(crate) process: Child,
    pub(crate) client: Client,
    pub(crate) control: String,
    listen: SocketAddr,
    pub(crate) ca_file: PathBuf,
}

impl Simulator {
    /// With the built-in scenario, in real time.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dualwrite-simulator"))
            .arg("--exit-with-stdin")
            .args(arguments)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the simulator does not start")?;
        let stdout = process.stdout.take().context("no standard output")?;
        let line = BufReader::new(stdout)
            .lines()
            .next_line()
            .await?
            .context("the simulator says nothing")?;
        let started: Value = serde_json::from_str(&line)?;
        let text = |key: &str| {
            started[key]
                .as_str()
                .map(str::to_owned)
                .context("a part of the line is missing")
        };
        let ca_file = PathBuf::from(text("caFile")?);
        let listen = text("listen")?.parse()?;
        Ok(Self {
            process,
            client: client(listen, &ca_file)?.build()?,
            listen,
            control: format!("http://{}", text("control")?),
            ca_file,
        })
    }

    /// A client that speaks HTTP/1.1 only.
    pub(crate) fn http1(&self) -> Result<Client> {
        Ok(client(self.listen, &self.ca_file)?.http1_only().build()?)
    }

    /// A call of the control API that has to succeed.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = self.try_control(method, path, body).await?;
        ensure!(status < 300, "{path} answers {status}: {answer}");
        Ok(answer)
    }

    pub(crate) async fn try_control(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<(u16, Value)> {
        let mut request = plain()?.request(method, format!("{}{path}", self.control));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }

    pub(crate) async fn state(&self) -> Result<Value> {
        self.control(Method::GET, "/state", Value::Null).await
    }

    pub(crate) async fn patch(&self, patch: Value) -> Result<Value> {
        self.control(Method::PATCH, "/state", patch).await
    }

    pub(crate) async fn advance(&self, by: &str) -> Result<Value> {
        self.control(Method::POST, "/advance", json!({"by": by}))
            .await
    }

    /// Posts one fault; its id.
    pub(crate) async fn fault(&self, fault: Value) -> Result<String> {
        let answer = self.control(Method::POST, "/faults", fault).await?;
        answer["ids"][0]
            .as_str()
            .map(str::to_owned)
            .context("no id")
    }

    pub(crate) async fn journal(&self) -> Result<Vec<Value>> {
        let journal = self.control(Method::GET, "/journal", Value::Null).await?;
        Ok(serde_json::from_value(journal)?)
    }

    /// Asks for a token.
    pub(crate) async fn token_request(&self, form: &[(&str, &str)]) -> Result<(u16, Value)> {
        let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
        answer(self.client.post(url).form(form).send().await?).await
    }

    /// A token of the application.
    pub(crate) async fn application_token(&self, resource: &str) -> Result<String> {
        let (status, body) = self
            .token_request(&[
                ("grant_type", "client_credentials"),
                ("client_id", CLIENT),
                ("client_secret", "contoso-secret"),
                ("scope", &format!("{resource}/.default")),
            ])
            .await?;
        ensure!(status == 200, "no token: {body}");
        body["access_token"]
            .as_str()
            .map(str::to_owned)
            .context("no token")
    }

    /// A token of the account for the dual-write service.
    pub(crate) async fn account_token(&self) -> Result<String> {
        let (status, body) = self
            .token_request(&password_form("contoso-password"))
            .await?;
        ensure!(status == 200, "no token: {body}");
        body["access_token"]
            .as_str()
            .map(str::to_owned)
            .context("no token")
    }

    /// A call with the application's token for the host that is called.
    pub(crate) async fn as_application(&self, method: Method, url: &str) -> Result<RequestBuilder> {
        let resource = url.split('/').take(3).collect::<Vec<_>>().join("/");
        let token = self.application_token(&resource).await?;
        Ok(self.client.request(method, url).bearer_auth(token))
    }

    /// A call of the dual-write service with the account's token.
    pub(crate) async fn as_account(&self, method: Method, url: &str) -> Result<RequestBuilder> {
        let token = self.account_token().await?;
        Ok(self.client.request(method, url).bearer_auth(token))
    }

    pub(crate) async fn get(&self, url: &str) -> Result<(u16, Value)> {
        let request = if url.starts_with(SERVICE) {
            self.as_account(Method::GET, url).await?
        } else {
            self.as_application(Method::GET, url).await?
        };
        answer(request.send().await?).await
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Result<(u16, Value)> {
        let request = if url.starts_with(SERVICE) {
            self.as_account(Method::POST, url).await?
        } else {
            self.as_application(Method::POST, url).await?
        };
        answer(request.json(body).send().await?).await
    }
}

pub(crate) fn password_form(password: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "password"),
        ("client_id", DUAL_WRITE_CLIENT),
        ("username", "dualwrite@contoso.com"),
        ("password", password),
        (
            "scope",
            "https://IntegratorApp.com/.default openid profile offline_access",
        ),
    ]
}

/// The status and the body, as JSON if it is, else as text; null when it is empty.
pub(crate) async fn answer(response: Response) -> Result<(u16, Value)> {
    let status = response.status().as_u16();
    let text = response.text().await?;
    if text.is_empty() {
        return Ok((status, Value::Null));
    }
    Ok((
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    ))
}

pub(crate) fn environments_url() -> String {
    format!("{POWER_PLATFORM}/environmentmanagement/environments?api-version=2024-10-01")
}

pub(crate) fn packages_url(rest: &str) -> String {
    format!(
        "{POWER_PLATFORM}/appmanagement/environments/{UAT}/applicationPackages{rest}api-version=2022-03-01-preview"
    )
}

fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn plain() -> Result<Client> {
    provider();
    Ok(Client::builder().no_proxy().build()?)
}

fn client(address: SocketAddr, ca_file: &Path) -> Result<ClientBuilder> {
    provider();
    let ca = Certificate::from_pem(&std::fs::read(ca_file)?)?;
    Ok(Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([ca])
        .dns_resolver(Arc::new(Everywhere(address))))
}
