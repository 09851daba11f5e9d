//! A simulated cluster with an API server, and what the programs are told to reach it from outside
//! of its pods.

use std::{sync::Arc, time::Duration};

use heapster_testkit::{
    apiserver::{ApiServer, ApiServerOptions},
    authority::Authority,
    sim::{CertificateNames, KubeletTls, SimCluster, SimConfig},
};

/// The cluster.
pub(crate) struct Lab {
    pub(crate) authority: Arc<Authority>,
    pub(crate) api: ApiServer,
    _sim: SimCluster,
}

impl Lab {
    /// Two nodes with kubelets that ask for a token and sign with the cluster's authority.
    pub(crate) async fn start() -> Self {
        let authority = Arc::new(Authority::new().unwrap());
        let names = CertificateNames::Both;
        let tls = KubeletTls { authority: Arc::clone(&authority), names, plain_too: false };
        let config = SimConfig {
            hosts: 2,
            pods_per_host: 6,
            housekeeping: Duration::ZERO,
            sandboxes: true,
            tls: Some(tls),
            ..SimConfig::default()
        };
        let sim = SimCluster::start(config).await.unwrap();
        let authority_of_api = Some(Arc::clone(&authority));
        let options = ApiServerOptions { authority: authority_of_api, ..Default::default() };
        let api = ApiServer::simulated(&sim, options).await.unwrap();
        Self { authority, api, _sim: sim }
    }

    /// `ca=FILE&token_file=FILE` of the service account.
    fn account(&self) -> String {
        let folder = self.api.folder().display();
        format!("ca={folder}/ca.crt&token_file={folder}/token")
    }

    /// What `kubernetes:in-cluster` is in a pod.
    pub(crate) fn kubernetes(&self) -> String {
        format!("kubernetes:{}?{}", self.api.url(), self.account())
    }

    /// What a source of kubelets without options is in a pod.
    pub(crate) fn kubelets(&self, source: &str) -> String {
        format!("{source}?{}", self.account())
    }
}
