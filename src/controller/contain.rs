//! A pass that panics shows a defect of this program. It stays with its own object: the passes over the others go on.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::connection::PassError;

/// Awaits a pass; a panic in it becomes an error. What it was about to do is found again by the next pass, as after a
/// crash of the whole process: nothing is sent that is not recorded before.
///
/// # Errors
/// Those of the pass, and [`PassError::Defect`].
pub async fn contain<T>(pass: impl Future<Output = Result<T, PassError>>) -> Result<T, PassError> {
    // What a panic carries is dropped: it may hold what was being looked at. The hook has logged where it was.
    AssertUnwindSafe(pass)
        .catch_unwind()
        .await
        .unwrap_or(Err(PassError::Defect))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_that_says_nothing_of_what_was_looked_at() {
        let secret = String::from("marker-password");
        let pass = async {
            assert!(!secret.starts_with("marker"), "{secret}");
            Ok(())
        };
        let error = contain(pass).await.unwrap_err();
        assert!(matches!(error, PassError::Defect));
        assert!(!format!("{error} {error:?}").contains("marker"));
    }

    #[tokio::test]
    async fn what_does_not_panic_passes() {
        assert_eq!(contain(async { Ok(7) }).await.ok(), Some(7));
    }
}
