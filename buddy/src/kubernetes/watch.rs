//! One resource of the API server, listed once and then watched for as long as the buddy runs.
//!
//! ```text
//!            ┌────── page failed: the same page again ──────┐
//!            ▼                                              │
//! start ──▶ list, page by page ──▶ complete ──▶ watch ──▶ ended or failed: watch again
//!            ▲                                    │         from where it was
//!            └── the version is too old (410) ────┘
//! ```
//!
//! - What is known stands until a new list is complete, so nothing vanishes in between.
//! - A full list is asked for at the start and where the API server says that it no longer has the
//!   changes since the version that was seen last. Nothing else leads to one: a server that restarts
//!   costs watches only, and a list that breaks off goes on at the page where it was.
//! - Every attempt after a failure waits, longer each time, and never less than the `Retry-After`
//!   of the server. A watch that ends as soon as it began is a failure too.
//! - Lists are read in pages from the newest state. (An answer from the server's cache would be
//!   cheaper, but it comes in one piece, hundreds of megabytes for a large cluster, and it may be
//!   older than what was seen already: pods would come back from the dead.)
//!
//! `kube::runtime::watcher` is not used for this. It would go back to the first page after any
//! failed one, begin a watch again without a pause when the server keeps ending it, try for ever to
//! resume where the server answers 410 to the request itself, wait without end for a list that does
//! not come, and hide bookmarks, which are how a quiet watch shows that it lives.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt as _, Stream, StreamExt as _};
use heapster_shared::backoff::Backoff;
use kube::{
    Client,
    api::{ListParams, WatchParams},
    core::{Request, WatchEvent},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    state::Board,
    transport::HoldOff,
    trouble::{is_stale, sentence},
    wire::{Object, Page},
};

const PAGE_OBJECTS: u32 = 500;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A page that takes longer than this is not waited for.
const PAGE_DEADLINE: Duration = Duration::from_secs(60);
/// So is a watch that is not begun.
const WATCH_DEADLINE: Duration = Duration::from_secs(30);
/// How long the server is asked to keep a watch open: not the same for all, so that they do not
/// all end at once.
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 240..=360;
/// A watch that lived this long is a good one.
const GOOD_AFTER: Duration = Duration::from_secs(1);
/// A server that lets a watch run this much longer than asked for is not there any more.
const OVERTIME: Duration = Duration::from_secs(15);

/// What is told about the objects of a resource.
pub(super) trait Sink<T>: Send + Sync {
    /// A new list begins; what was listed of an earlier one is void.
    fn begin(&mut self);
    /// A part of the list.
    fn page(&mut self, objects: Vec<T>) -> impl Future<Output = ()> + Send;
    /// The list is complete, and takes the place of what was known.
    fn complete(&mut self);
    /// An object is new or changed.
    fn applied(&mut self, object: T) -> impl Future<Output = ()> + Send;
    /// An object is gone.
    fn deleted(&mut self, object: T);
    /// Number of objects that are known.
    fn len(&self) -> usize;
}

/// What comes next.
enum Position {
    /// Begins a list.
    List,
    /// Goes on with a list.
    Page(String),
    /// Watches from a version on.
    Watch(String),
}

/// Why the newest attempt failed, and where to go on.
struct Setback {
    position: Position,
    error: String,
}

/// The task that watches one resource.
pub(super) struct Watch<S> {
    client: Client,
    hold_off: HoldOff,
    board: Arc<Board>,
    backoff: Backoff,
    sink: S,
    /// Begins at the state of now, without a list of what there is.
    from_now: bool,
    /// The only node whose objects are asked for, where there is one.
    node: Option<String>,
}

impl<S> Watch<S> {
    pub(super) const fn new(client: Client, hold_off: HoldOff, board: Arc<Board>, sink: S) -> Self {
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        Self { client, hold_off, board, backoff, sink, from_now: false, node: None }
    }

    /// Leaves out what there is already at the start.
    pub(super) const fn starting_now(mut self) -> Self {
        self.from_now = true;
        self
    }

    /// Leaves out what belongs to other nodes.
    pub(super) fn of_node(mut self, node: Option<&str>) -> Self {
        self.node = node.map(str::to_owned);
        self
    }

    /// What the server is to choose objects by.
    fn field_selector<T: Object>(&self) -> Option<String> {
        Some(format!("{}={}", T::NODE_FIELD?, self.node.as_deref()?))
    }

    /// Watches until it is dropped.
    pub(super) async fn run<T: Object>(mut self)
    where
        S: Sink<T>,
    {
        let mut position = Position::List;
        loop {
            self.hold_off.wait().await;
            let step = match position {
                Position::List => self.list(None).await,
                Position::Page(token) => self.list(Some(token)).await,
                Position::Watch(version) => self.watch(version).await,
            };
            position = match step {
                Ok(next) => next,
                Err(Setback { position, error }) => {
                    self.board.failed(error);
                    tokio::time::sleep(self.backoff.next_wait()).await;
                    position
                }
            };
        }
    }

    /// Reads one page.
    async fn list<T: Object>(&mut self, token: Option<String>) -> Result<Position, Setback>
    where
        S: Sink<T>,
    {
        if token.is_none() {
            self.sink.begin();
        }
        let page = self.read_page::<T>(token.as_deref()).await.map_err(|(error, void)| {
            // A token that the server does not take, or no longer: the list begins anew.
            let position = token.filter(|_| !void).map_or(Position::List, Position::Page);
            Setback { position, error }
        })?;
        self.is_well();
        let Page { metadata, items } = page;
        if self.from_now && !metadata.resource_version.is_empty() {
            self.from_now = false;
            self.board.listed(self.sink.len());
            return Ok(Position::Watch(metadata.resource_version));
        }
        self.sink.page(items).await;
        if !metadata.next.is_empty() {
            return Ok(Position::Page(metadata.next));
        }
        if metadata.resource_version.is_empty() {
            let error = "the list has no version to watch from; check the address".to_owned();
            return Err(Setback { position: Position::List, error });
        }
        self.sink.complete();
        self.board.listed(self.sink.len());
        Ok(Position::Watch(metadata.resource_version))
    }

    /// A page; else why not, and whether its token is void.
    async fn read_page<T: Object>(&self, token: Option<&str>) -> Result<Page<T>, (String, bool)> {
        let parameters = ListParams {
            limit: Some(if self.from_now { 1 } else { PAGE_OBJECTS }),
            continue_token: token.map(str::to_owned),
            field_selector: self.field_selector::<T>(),
            ..ListParams::default()
        };
        let request = Request::new(T::PATH).list(&parameters);
        let request = request.map_err(|error| (error.to_string(), false))?;
        // Read as text, for the client would log the whole page where it is not what it should be.
        let reading = self.client.request_text(request);
        let reading =
            reading.map(|text| serde_json::from_str(&text?).map_err(kube::Error::SerdeError));
        match timeout(PAGE_DEADLINE, reading).await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(error)) => {
                let void =
                    matches!(&error, kube::Error::Api(status) if matches!(status.code, 400 | 410));
                Err((sentence(&error), void))
            }
            Err(_) => Err((format!("no list within {} s", PAGE_DEADLINE.as_secs()), false)),
        }
    }

    /// Watches until the watch ends.
    async fn watch<T: Object>(&mut self, version: String) -> Result<Position, Setback>
    where
        S: Sink<T>,
    {
        self.board.watching();
        let seconds = rand::random_range(WATCH_SECONDS);
        let mut parameters = WatchParams::default().timeout(seconds);
        parameters.field_selector = self.field_selector::<T>();
        let request = match Request::new(T::PATH).watch(&parameters, &version) {
            Ok(request) => request,
            Err(error) => return Err(Setback::at(version, error.to_string())),
        };
        let opening = self.client.request_events::<T>(request);
        let events = match timeout(WATCH_DEADLINE, opening).await {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return Err(Setback::after(version, &error)),
            Err(_) => {
                let error = format!("no watch within {} s", WATCH_DEADLINE.as_secs());
                return Err(Setback::at(version, error));
            }
        };
        let lasts = Duration::from_secs(u64::from(seconds)) + OVERTIME;
        self.follow(events, version, lasts).await
    }

    /// Passes on what an open watch says.
    async fn follow<T: Object>(
        &mut self,
        events: impl Stream<Item = Result<WatchEvent<T>, kube::Error>> + Send,
        mut version: String,
        lasts: Duration,
    ) -> Result<Position, Setback>
    where
        S: Sink<T>,
    {
        let mut events = pin!(events);
        let opened = Instant::now();
        let mut good = false;
        loop {
            let deadline = opened + if good { lasts } else { GOOD_AFTER };
            let next = timeout_at(deadline, events.next()).await;
            let was_good = std::mem::replace(&mut good, opened.elapsed() >= GOOD_AFTER);
            match next {
                Ok(Some(Ok(WatchEvent::Error(status)))) => {
                    return Err(Setback::after(version, &kube::Error::Api(status)));
                }
                Ok(Some(Ok(event))) => version = self.take(event).await.unwrap_or(version),
                Ok(None) if good => return Ok(Position::Watch(version)),
                Ok(None) => {
                    let error = "the API server ends the watch as soon as it began";
                    return Err(Setback::at(version, error.to_owned()));
                }
                Ok(Some(Err(error))) => return Err(Setback::after(version, &error)),
                Err(_) if was_good => {
                    return Err(Setback::at(version, "the watch fell silent".to_owned()));
                }
                Err(_) => good = true,
            }
            if good {
                self.is_well();
            }
        }
    }

    /// Passes an event on; the version to resume from after it.
    async fn take<T: Object>(&mut self, event: WatchEvent<T>) -> Option<String>
    where
        S: Sink<T>,
    {
        let version = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let version = object.metadata().resource_version.clone();
                self.sink.applied(object).await;
                version
            }
            WatchEvent::Deleted(object) => {
                let version = object.metadata().resource_version.clone();
                self.sink.deleted(object);
                version
            }
            WatchEvent::Bookmark(bookmark) => return Some(bookmark.metadata.resource_version),
            // Ends the watch, before anything gets here.
            WatchEvent::Error(_) => return None,
        };
        self.board.event(self.sink.len());
        (!version.is_empty()).then(|| version.into())
    }

    fn is_well(&mut self) {
        self.board.well();
        self.backoff.reset();
    }
}

impl Setback {
    /// The same watch again.
    const fn at(version: String, error: String) -> Self {
        Self { position: Position::Watch(version), error }
    }

    /// The same watch again, or a list where that cannot be.
    fn after(version: String, error: &kube::Error) -> Self {
        let stale = matches!(error, kube::Error::Api(status) if is_stale(status));
        let position = if stale { Position::List } else { Position::Watch(version) };
        Self { position, error: sentence(error) }
    }
}
