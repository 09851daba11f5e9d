//! What the sources `summary`, `resource` and `kubelet-cadvisor` have in common: each polls one
//! document of kubelets. Where a kubelet is, how it is asked and who asks is here; what a document
//! says is with its source.

mod asked;
pub mod bench;
mod given;
mod names;
mod options;
mod route;
mod series;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::{
    marker::PhantomData,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use heapster_shared::{
    host::Host,
    spec::{Spec, SpecError},
};

use self::{asked::Asker, given::Given, options::Options, route::Route};
pub(super) use self::{
    names::{Candidates, Names, Rank, Who},
    series::{Grouped, Timed, cell, malformed, seconds_to_ms},
};
use super::{
    Kind, Layouts, PollError, Readings, Shapes, Source,
    fetch::{Body, FetchError},
    hosts::{Hosts, lock},
};

/// The kind of endpoint that discovered hosts have where a kubelet answers.
pub(super) const ENDPOINT: &str = "kubelet";

/// A document that kubelets serve.
pub(super) trait Document: Send + Sync + 'static {
    /// The source's word.
    const KIND: &'static str;
    /// Where kubelets have it.
    const PATH: &'static str;
    /// Since when, for people.
    const SINCE: &'static str;

    /// The readings that it gives; `url` is for errors.
    ///
    /// # Errors
    /// When it has another form, or says that it is not complete.
    fn read(
        url: &str,
        text: &str,
        shapes: &mut Shapes,
        layouts: &Layouts,
    ) -> Result<Readings, FetchError>;
}

/// The entry of a document's source in the table of sources, with what it polls, in a sentence, and
/// specs that work as written.
pub(super) const fn kind<D: Document>(
    summary: &'static str,
    samples: &'static [&'static str],
) -> Kind {
    Kind { name: D::KIND, summary, samples, build: build::<D> }
}

fn build<D: Document>(spec: Spec) -> Result<Box<dyn Source>, SpecError> {
    build_in::<D>(spec, &Given::here())
}

/// As [`build`], with what is given by the place where the program runs.
fn build_in<D: Document>(spec: Spec, given: &Given) -> Result<Box<dyn Source>, SpecError> {
    let options: Options = spec.options()?;
    let wrong = |what: String| SpecError(format!("{}: {what}", spec.name()));
    let own_host = options.own_host(D::KIND, &spec.location).map_err(wrong)?;
    let (route, asker) = options.way(given).map_err(wrong)?;
    Ok(Box::new(Kubelets::<D> {
        route,
        asker,
        own_host,
        hosts: Hosts::default(),
        layouts: Layouts::default(),
        document: PhantomData,
    }))
}

/// Polls one document of kubelets.
struct Kubelets<D> {
    own_host: Option<Host>,
    route: Route,
    asker: Asker,
    hosts: Hosts<HostMemory>,
    layouts: Layouts,
    document: PhantomData<D>,
}

/// What is remembered of a host. Its polls do not overlap, so nobody waits for the lock.
#[derive(Default)]
struct HostMemory {
    shapes: Mutex<Shapes>,
    /// Index of the address that worked last.
    address: AtomicUsize,
}

impl<D: Document> Kubelets<D> {
    async fn ask(&self, host: &Host, memory: &HostMemory) -> Result<(String, Body), FetchError> {
        let by_name = [host.name.clone()];
        let addresses = match &self.route {
            Route::Direct(_) if !host.addresses.is_empty() => &host.addresses,
            _ => &by_name[..],
        };
        let first = memory.address.load(Ordering::Relaxed) % addresses.len();
        let mut first_error = None;
        for index in (0..addresses.len()).map(|step| (first + step) % addresses.len()) {
            let target = self.route.target(host, &addresses[index]);
            let url = format!("{}{}", target.base, D::PATH);
            match self.asker.fetch(target.request(&url)).await {
                Err(error @ FetchError::Unreachable { .. }) => {
                    first_error.get_or_insert(target.advise::<D>(error));
                }
                Err(error) => {
                    memory.address.store(index, Ordering::Relaxed);
                    return Err(target.advise::<D>(error));
                }
                Ok(body) => {
                    memory.address.store(index, Ordering::Relaxed);
                    return Ok((url, body));
                }
            }
        }
        Err(first_error.unwrap_or_else(|| FetchError::failed(&host.name, "no address")))
    }
}

#[async_trait]
impl<D: Document> Source for Kubelets<D> {
    fn kind(&self) -> &'static str {
        D::KIND
    }

    fn endpoint_kind(&self) -> &'static str {
        ENDPOINT
    }

    fn own_host(&self) -> Option<Host> {
        self.own_host.clone()
    }

    async fn poll(&self, host: &Host) -> Result<Readings, PollError> {
        let memory = self.hosts.of(&host.id);
        let told = |error: FetchError| PollError(error.to_string());
        let (url, body) = self.ask(host, &memory).await.map_err(told)?;
        D::read(&url, &body, &mut lock(&memory.shapes), &self.layouts).map_err(told)
    }
}
