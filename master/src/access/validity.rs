//! Until when what somebody has shown is believed: a certificate ends, and with it what was opened by
//! it. Tokens have no end of their own.

use std::time::Duration;

use heapster_shared::{tick::unix_ms, tls::expiry};
use tokio::time::sleep;

use super::Shown;

/// The clock may be set while somebody waits for a time, so it is looked at this often.
const LOOK_AGAIN_MS: i64 = 60_000;

/// When what was shown is to be judged again, in milliseconds since 1970; never without a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Validity(Option<i64>);

impl Validity {
    /// That of what was shown and believed just now.
    pub(crate) fn of(shown: &Shown) -> Self {
        let counts = shown.chain.as_ref().filter(|_| shown.token.is_none());
        let end = counts.map(|chain| match expiry(chain) {
            Some(last_second) => last_second.saturating_add(1).saturating_mul(1000),
            None => unix_ms() + LOOK_AGAIN_MS,
        });
        Self(end)
    }

    /// Waits until it is over.
    pub(crate) async fn over(self) {
        let Some(end) = self.0 else { return std::future::pending().await };
        loop {
            let left = end.saturating_sub(unix_ms());
            let Ok(left) = u64::try_from(left.min(LOOK_AGAIN_MS)) else { return };
            if left == 0 {
                return;
            }
            sleep(Duration::from_millis(left)).await;
        }
    }

    /// It is believed still, past that time too: what has ended is a certificate that is not needed.
    pub(crate) fn confirm(&mut self) {
        let now = unix_ms();
        self.0 = self.0.map(|end| if end <= now { now + LOOK_AGAIN_MS } else { end });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(50);

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_over_and_what_has_no_end_is_not() {
        let is_over = async |validity: Validity| timeout(LONG, validity.over()).await.is_ok();
        assert!(is_over(Validity(Some(0))).await);
        assert!(!is_over(Validity(None)).await);
        let mut confirmed = Validity(Some(0));
        confirmed.confirm();
        assert!(!is_over(confirmed).await, "it would be judged without a pause");
        let soon = Validity(Some(unix_ms() + 10_000));
        let mut confirmed = soon;
        confirmed.confirm();
        assert_eq!(confirmed, soon, "other rules put no end off");
    }

    /// A token counts before a certificate, so that the certificate's end is none of its own.
    #[test]
    fn only_certificates_end() {
        let unreadable = Shown { chain: Some([vec![0].into()].into()), ..Shown::default() };
        assert!(Validity::of(&unreadable).0.is_some(), "what cannot be read is judged again");
        let token = Shown { token: Some(Err("whatever")), ..unreadable };
        assert_eq!(Validity::of(&token), Validity(None));
        assert_eq!(Validity::of(&Shown::default()), Validity(None));
    }
}
