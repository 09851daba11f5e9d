//! The versions of cAdvisor's API, newest first: what to ask, and how to read the answers.
//!
//! - v2.1 leaves the machine out of its containers, and gives it apart, without its spec.
//! - v2.0 has the machine among the containers, and the specs apart.
//! - v1 has all in one answer, to a POST.

use heapster_shared::Map;

use super::{
    answer::{Entries, Info, LegacyInfo, Machine, Newest, Spec},
    facts::Facts,
    known::Known,
    map::{Container, MACHINE, Mapper},
    quick,
};
use crate::source::{
    Layouts, Readings, Recorder, Shapes,
    fetch::{Body, FetchError, Fetcher},
    json::{Timestamp, decode},
};

/// A version of the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Api {
    /// Since 0.23.
    V2_1,
    /// Since 0.11.
    V2_0,
    /// Since 0.16.
    V1_3,
    /// Since 0.7.
    V1_2,
}

/// The answers of one poll, not read yet.
pub(super) struct Answers {
    api: Api,
    base: String,
    main: Body,
    other: Body,
}

impl Api {
    /// From the one that tells most to the one that most hosts have.
    pub(super) const ALL: [Self; 4] = [Self::V2_1, Self::V2_0, Self::V1_3, Self::V1_2];

    const fn name(self) -> &'static str {
        match self {
            Self::V2_1 => "v2.1",
            Self::V2_0 => "v2.0",
            Self::V1_3 => "v1.3",
            Self::V1_2 => "v1.2",
        }
    }

    fn url(self, base: &str, request: &str) -> String {
        format!("{base}/api/{}/{request}", self.name())
    }

    /// Where the containers are.
    fn main_url(self, base: &str) -> String {
        let request = match self {
            Self::V2_1 | Self::V2_0 => "stats/?type=name&recursive=true&count=1",
            Self::V1_3 | Self::V1_2 => "subcontainers/",
        };
        self.url(base, request)
    }

    /// Where that is which the main answer leaves out.
    fn other_url(self, base: &str) -> Option<String> {
        match self {
            Self::V2_1 => Some(self.url(base, "machinestats?count=1")),
            Self::V2_0 => Some(self.url(base, "spec/?type=name&recursive=true")),
            Self::V1_3 | Self::V1_2 => None,
        }
    }

    /// Asks for what is measured now; one request after the other, over one connection.
    pub(super) async fn ask(self, fetcher: &Fetcher, base: &str) -> Result<Answers, FetchError> {
        let url = self.main_url(base);
        let main = match self {
            Self::V2_1 | Self::V2_0 => fetcher.get(&url).await?,
            Self::V1_3 | Self::V1_2 => fetcher.post(&url, r#"{"num_stats":1}"#).await?,
        };
        let other = match self.other_url(base) {
            Some(url) => fetcher.get(&url).await?,
            None => Body::default(),
        };
        Ok(Answers { api: self, base: base.to_owned(), main, other })
    }

    /// Asks for what seldom changes.
    pub(super) async fn ask_facts(
        self,
        fetcher: &Fetcher,
        base: &str,
    ) -> Result<Facts, FetchError> {
        let url = self.url(base, "machine");
        let body = fetcher.get(&url).await?;
        let machine: Machine<'_> = decode(&url, &body)?;
        let start = if self == Self::V2_1 { root_start(fetcher, base).await? } else { 0 };
        Ok(Facts::new(&machine, start))
    }
}

/// Since when the machine's counters count; v2.1 leaves it out of `machinestats`.
async fn root_start(fetcher: &Fetcher, base: &str) -> Result<i64, FetchError> {
    let url = Api::V2_1.url(base, "spec/?type=name");
    let body = fetcher.get(&url).await?;
    let specs: Entries<'_, Spec<'_>> = decode(&url, &body)?;
    let root = specs.0.iter().find(|(path, _)| **path == *MACHINE);
    let created = root.and_then(|(_, spec)| spec.creation_time);
    Ok(created.and_then(Timestamp::known).unwrap_or(0))
}

impl Answers {
    /// Answers that are there already.
    pub(super) fn given(api: Api, main: String, other: String) -> Self {
        Self { api, base: "http://h".to_owned(), main: main.into(), other: other.into() }
    }

    /// The version that they are of.
    pub(super) const fn api(&self) -> Api {
        self.api
    }

    /// The readings, complete.
    ///
    /// # Errors
    /// When an answer has another form, or says nothing of the machine.
    pub(super) fn read(
        &self,
        facts: &Facts,
        shapes: &mut Shapes<Known>,
        layouts: &Layouts,
    ) -> Result<Readings, FetchError> {
        if self.api == Api::V2_1 {
            return self.read_v2_1(facts, shapes, layouts);
        }
        let mut mapper = Mapper::new(facts, Recorder::new(shapes, layouts));
        let machine = match self.api {
            Api::V2_1 | Api::V2_0 => self.read_v2_0(&mut mapper)?,
            Api::V1_3 | Api::V1_2 => self.read_v1(&mut mapper)?,
        };
        if machine { Ok(mapper.finish()) } else { Err(no_machine(&self.main_url())) }
    }

    fn main_url(&self) -> String {
        self.api.main_url(&self.base)
    }

    fn other_url(&self) -> String {
        self.api.other_url(&self.base).unwrap_or_default()
    }

    fn read_v2_1(
        &self,
        facts: &Facts,
        shapes: &mut Shapes<Known>,
        layouts: &Layouts,
    ) -> Result<Readings, FetchError> {
        let machine = match quick::machine_stats(&self.other) {
            Some(machine) => machine,
            None => decode(&self.other_url(), &self.other)?,
        };
        let stats = machine.0.as_ref().ok_or_else(|| no_machine(&self.other_url()))?;
        let mut mapper = Mapper::new(facts, Recorder::new(shapes, layouts));
        mapper.add_machine(&Spec::default(), stats);
        if quick::add_containers(&self.main, &mut mapper).is_some() {
            return Ok(mapper.finish());
        }
        let mut mapper = Mapper::new(facts, Recorder::new(shapes, layouts));
        mapper.add_machine(&Spec::default(), stats);
        self.add_containers_of_v2_1(&mut mapper)?;
        Ok(mapper.finish())
    }

    /// Adds the containers of v2.1, whatever their answer looks like.
    fn add_containers_of_v2_1(&self, mapper: &mut Mapper<'_>) -> Result<(), FetchError> {
        let infos: Entries<'_, Info<'_>> = decode(&self.main_url(), &self.main)?;
        for (path, Info { spec, stats }) in infos.0.iter().filter(|(path, _)| **path != *MACHINE) {
            let Some(stats) = &stats.0 else { continue };
            let aliases = spec.aliases.as_deref().unwrap_or_default();
            mapper.add(&Container { path, aliases, spec }, stats);
        }
        Ok(())
    }

    /// What the general decoder alone makes of v2.1 by a host that is new: what the quick way has to
    /// give, too.
    pub(super) fn read_generally(&self, facts: &Facts) -> Result<Readings, FetchError> {
        let machine: Newest<'_> = decode(&self.other_url(), &self.other)?;
        let stats = machine.0.as_ref().ok_or_else(|| no_machine(&self.other_url()))?;
        let (mut shapes, layouts) = (Shapes::default(), Layouts::default());
        let mut mapper = Mapper::new(facts, Recorder::new(&mut shapes, &layouts));
        mapper.add_machine(&Spec::default(), stats);
        self.add_containers_of_v2_1(&mut mapper)?;
        Ok(mapper.finish())
    }

    /// Adds all of v2.0, and says whether the machine was there.
    fn read_v2_0(&self, mapper: &mut Mapper<'_>) -> Result<bool, FetchError> {
        let samples: Entries<'_, Newest<'_>> = decode(&self.main_url(), &self.main)?;
        let specs: Entries<'_, Spec<'_>> = decode(&self.other_url(), &self.other)?;
        let specs: Map<&str, &Spec<'_>> =
            specs.0.iter().map(|(path, spec)| (&**path, spec)).collect();
        let mut machine = false;
        for (path, stats) in &samples.0 {
            // A container that came between the two answers waits for the next poll.
            let (Some(stats), Some(spec)) = (&stats.0, specs.get(&**path)) else { continue };
            let aliases = spec.aliases.as_deref().unwrap_or_default();
            machine |= **path == *MACHINE;
            mapper.add(&Container { path, aliases, spec }, stats);
        }
        Ok(machine)
    }

    /// Adds all of v1, and says whether the machine was there.
    fn read_v1(&self, mapper: &mut Mapper<'_>) -> Result<bool, FetchError> {
        let infos: Vec<LegacyInfo<'_>> = decode(&self.main_url(), &self.main)?;
        let mut machine = false;
        for info in &infos {
            let Some(stats) = &info.stats.0 else { continue };
            let aliases = info.aliases.as_deref().or(info.spec.aliases.as_deref());
            let aliases = aliases.unwrap_or_default();
            machine |= *info.name == *MACHINE;
            mapper.add(&Container { path: &info.name, aliases, spec: &info.spec }, stats);
        }
        Ok(machine)
    }
}

fn no_machine(url: &str) -> FetchError {
    FetchError::failed(url, "the answer has no sample of the machine as a whole")
}
