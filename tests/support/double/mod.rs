//! A second dual-write service, with everything around it that the operator asks: written from what public clients of
//! the live service show, and from nothing else of this repository. It has the moods of the real one, all at once
//! unless a test takes some away.

mod changes;
mod entra;
mod maps;
mod oddity;
mod platform;
mod server;
mod service;
mod shapes;
mod state;
mod timeline;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

pub use oddity::{Oddities, Oddity};
pub use state::{FINANCE, FLEET, Original, SUPPLY, originals};

use state::State;

/// A running double. It ends with the runtime of its test.
pub struct Double {
    shared: Arc<Shared>,
    address: SocketAddr,
    ca_file: PathBuf,
}

/// What all connections share.
struct Shared {
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Double {
    /// Listens on the loopback address; the certificate of its authority goes into `folder`.
    pub async fn start(folder: &Path, oddities: Oddities) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(oddities)),
        });
        let (pem, acceptor) = tls::acceptor();
        let ca_file = folder.join("double-ca.pem");
        std::fs::write(&ca_file, pem).expect("a writable folder");
        let address = server::listen(acceptor, Arc::clone(&shared)).await;
        Self {
            shared,
            address,
            ca_file,
        }
    }

    /// The flags that lead the operator here.
    pub fn flags(&self) -> Vec<String> {
        let ca_file = self.ca_file.display().to_string();
        vec![
            "--connect-to".to_owned(),
            self.address.to_string(),
            "--extra-ca".to_owned(),
            ca_file,
        ]
    }

    /// Everything that changed something, or tried to, in the order of its arrival.
    pub fn journal(&self) -> Vec<Value> {
        self.shared.state().journal.clone()
    }

    /// What no client may do: a token for another host, an empty project, an initial sync.
    pub fn violations(&self) -> Vec<String> {
        self.shared.state().violations.clone()
    }

    /// Calls that the double does not know.
    pub fn unknown(&self) -> Vec<String> {
        self.shared.state().unknown.clone()
    }

    /// How often each kind of trouble was made.
    pub fn troubles(&self) -> Value {
        json!(self.shared.state().troubles)
    }

    /// How often each call came in, whatever became of it.
    pub fn calls(&self) -> Value {
        json!(self.shared.state().calls)
    }

    /// The truth about the maps, not what the lists show: name, state, version.
    pub fn maps(&self) -> Vec<(String, u8, String)> {
        self.shared.state().truth()
    }

    /// The keys of the current connection set, by table.
    pub fn keys(&self) -> Value {
        json!(self.shared.state().current().keys)
    }
}
