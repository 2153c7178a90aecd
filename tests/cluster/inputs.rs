//! Bad input gets a clear condition, and no call leaves for a host that is not allowed.

mod apart;
mod bounds;
mod claims;
mod credentials;
mod crowd;
mod hostile;
mod hostile_reset;
mod hosts;
mod proxy;
