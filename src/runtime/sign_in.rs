//! `dualwrite-operator sign-in`: a person signs the dual-write account in once, and the refresh token becomes a Secret.
//!
//! The token goes to stdout or into a file, and nowhere else: what is said to the person goes to stderr.

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::cli;
use dualwrite_microsoft::{Http, HttpOptions, Unobserved, auth::DeviceCode};

/// The longest file that is taken for a refresh token.
const LONGEST: u64 = 64 * 1024;

/// Signs in, or imports, and writes the Secret.
///
/// # Errors
/// A file cannot be read or written, or Entra gives no token; the error says what to do.
pub async fn sign_in(flags: cli::SignIn) -> anyhow::Result<()> {
    let token = match &flags.from_file {
        Some(file) => imported(file)?,
        None => by_device_code(&flags).await?,
    };
    let manifest = manifest(&flags, &token)?;
    match &flags.output {
        None => print!("{}", manifest.expose_secret()),
        Some(file) => {
            write(file, &manifest)?;
            eprintln!(
                "Written to {}, which only you can read. Apply it, then delete it:\n  kubectl apply -n {} -f {}",
                file.display(),
                flags.namespace,
                file.display()
            );
        }
    }
    Ok(())
}

async fn by_device_code(flags: &cli::SignIn) -> anyhow::Result<SecretString> {
    let Some(tenant) = &flags.tenant_id else {
        bail!("--tenant-id is missing: the id of the tenant that the account belongs to");
    };
    let cloud = flags.cloud.into();
    let http = http(flags)?;
    let client = flags.client_id.as_deref();
    let code = DeviceCode::begin(&http, cloud, tenant, client)
        .await
        .context("Entra does not begin a sign-in. If the public client may not use the device code flow, get a refresh token in another way and give it with --from-file")?;
    eprintln!(
        "Open {} in any browser, enter the code {}, and sign in as the dual-write account, with its second factor if it has one. Waiting.",
        code.url, code.user_code
    );
    code.wait(&http).await.context("nobody was signed in")
}

fn http(flags: &cli::SignIn) -> anyhow::Result<Http> {
    let extra_ca_pem = match &flags.extra_ca {
        Some(file) => Some(
            std::fs::read(file)
                .with_context(|| format!("--extra-ca {} cannot be read", file.display()))?,
        ),
        None => None,
    };
    let options = HttpOptions {
        connect_to: flags.connect_to,
        extra_ca_pem,
        ..HttpOptions::default()
    };
    Http::new(options, Arc::new(Unobserved)).context("the client of Entra cannot be made")
}

fn imported(file: &Path) -> anyhow::Result<SecretString> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file);
        opened.and_then(|opened| opened.take(LONGEST).read_to_string(&mut text))
    };
    read.with_context(|| format!("--from-file {} cannot be read", file.display()))?;
    let text = SecretString::from(text);
    let token = text.expose_secret().trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!(
            "--from-file {}: write the refresh token alone into it, as one line",
            file.display()
        );
    }
    Ok(token.to_owned().into())
}

fn manifest(flags: &cli::SignIn, token: &SecretString) -> anyhow::Result<SecretString> {
    let mut data = json!({"refreshToken": token.expose_secret()});
    if let Some(client) = &flags.client_id {
        data["clientId"] = json!(client);
    }
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": flags.name, "namespace": flags.namespace},
        "type": "Opaque",
        "stringData": data,
    });
    Ok(serde_norway::to_string(&secret)?.into())
}

/// Never over a file that is there, and for its owner's eyes only from the first byte on.
fn write(file: &Path, manifest: &SecretString) -> anyhow::Result<()> {
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("--output {} cannot be created", file.display()))?;
    opened
        .write_all(manifest.expose_secret().as_bytes())
        .with_context(|| format!("--output {} cannot be written", file.display()))
}
