//! fleet's own API: `GET /fleet/v1/machines`, in pages. It has no watch.

use async_trait::async_trait;
use serde::Deserialize;

use super::{
    super::web::{Answer, Api, Found, Http},
    machine::{Machine, Naming},
};

/// A list of more pages than this has no end.
const MOST_PAGES: usize = 10_000;
/// All pages together have no more than one answer may have.
const MOST_BYTES: usize = 64 << 20;

/// The machines that a fleetd lists.
pub(in crate::discovery) struct MachinesApi {
    pub(super) naming: Naming,
}

/// A page. A cluster without machines is `{}`.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    machines: Vec<Machine>,
    #[serde(default)]
    next_page_token: String,
}

impl MachinesApi {
    /// For fuzzing: the machines of a page, without a server.
    pub(in crate::discovery) fn read(body: &[u8]) -> Result<Found, String> {
        let page: Page = Answer::with_body(body).json()?;
        let mut found = Found::default();
        for machine in page.machines {
            found.add(machine.host(Naming::Ip));
        }
        Ok(found)
    }
}

#[async_trait]
impl Api for MachinesApi {
    async fn list(&mut self, http: &Http) -> Result<Found, String> {
        let mut found = Found::default();
        let mut path = "/fleet/v1/machines".to_owned();
        let mut bytes = 0;
        for _ in 0..MOST_PAGES {
            let answer = http.ask(&path).await?;
            bytes += answer.body.len();
            if bytes > MOST_BYTES {
                return Err(format!("the list has more than {} MiB", MOST_BYTES >> 20));
            }
            let page: Page = answer.json()?;
            for machine in page.machines {
                found.add(machine.host(self.naming));
            }
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            let token: String =
                url::form_urlencoded::byte_serialize(page.next_page_token.as_bytes()).collect();
            path = format!("/fleet/v1/machines?nextPageToken={token}");
        }
        Err(format!("the list has more than {MOST_PAGES} pages"))
    }
}
