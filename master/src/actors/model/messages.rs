//! Questions to the model.

use actix::{Handler, Message, MessageResult};

use super::ModelActor;
use crate::core::model::{Names, Overview, Page, QueryError, Range, Series, Subject};

/// Names of the clusters, in order.
#[derive(Debug, Message)]
#[rtype(result = "Vec<String>")]
pub struct ListClusters;

/// Names of things of a cluster, in order.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<String>, QueryError>")]
pub struct ListNames {
    /// The cluster; `None` for the only one.
    pub cluster: Option<String>,
    /// Of what.
    pub names: Names,
}

/// The values of a metric, of several things at once.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Result<Series, QueryError>>, QueryError>")]
pub struct ReadSeries {
    /// The cluster; `None` for the only one.
    pub cluster: Option<String>,
    /// The things; the answer has one series for each, in the same order.
    pub subjects: Vec<Subject>,
    /// The metric.
    pub metric: String,
    /// Choose among the series of a metric that has one a device or volume.
    pub labels: Vec<(String, String)>,
    /// The span of time.
    pub range: Range,
}

/// The nodes of a cluster and its greatest containers.
#[derive(Debug, Message)]
#[rtype(result = "Result<Overview, QueryError>")]
pub struct ReadOverview {
    /// The cluster; `None` for the only one.
    pub cluster: Option<String>,
    /// How many containers of each kind.
    pub top: usize,
}

/// The newest rows of a cluster, a page at a time.
#[derive(Debug, Message)]
#[rtype(result = "Result<Page, QueryError>")]
pub struct ReadPage {
    /// The cluster; `None` for the only one.
    pub cluster: Option<String>,
    /// 0, then what the page before says.
    pub from: u32,
}

impl Handler<ListClusters> for ModelActor {
    type Result = MessageResult<ListClusters>;

    fn handle(&mut self, _: ListClusters, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.model.cluster_names())
    }
}

impl Handler<ListNames> for ModelActor {
    type Result = MessageResult<ListNames>;

    fn handle(&mut self, question: ListNames, _: &mut Self::Context) -> Self::Result {
        let cluster = self.model.cluster(question.cluster.as_deref());
        MessageResult(cluster.and_then(|cluster| cluster.names(&question.names)))
    }
}

impl Handler<ReadSeries> for ModelActor {
    type Result = MessageResult<ReadSeries>;

    fn handle(&mut self, question: ReadSeries, _: &mut Self::Context) -> Self::Result {
        let ReadSeries { cluster, subjects, metric, labels, range } = question;
        let cluster = self.model.cluster(cluster.as_deref());
        MessageResult(cluster.map(|cluster| {
            let read = |subject| cluster.series(subject, &metric, &labels, range);
            subjects.iter().map(read).collect()
        }))
    }
}

impl Handler<ReadOverview> for ModelActor {
    type Result = MessageResult<ReadOverview>;

    fn handle(&mut self, question: ReadOverview, _: &mut Self::Context) -> Self::Result {
        let cluster = self.model.cluster(question.cluster.as_deref());
        MessageResult(cluster.map(|cluster| cluster.overview(question.top)))
    }
}

impl Handler<ReadPage> for ModelActor {
    type Result = MessageResult<ReadPage>;

    fn handle(&mut self, question: ReadPage, _: &mut Self::Context) -> Self::Result {
        let cluster = self.model.cluster(question.cluster.as_deref());
        MessageResult(cluster.map(|cluster| cluster.page(question.from)))
    }
}
