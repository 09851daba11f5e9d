//! The options of the metrics API.

// Comments on options are shown as help, where they are plain text.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use heapster_shared::spec::Spec;

/// What `kubectl top` and autoscalers ask.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Kubernetes metrics API")]
pub struct MetricsArgs {
    /// Serve metrics.k8s.io on this address with TLS, such as 0.0.0.0:4443, for kubectl top and the
    /// HorizontalPodAutoscaler
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// The serving certificate in PEM; read again when it changes [default: one that is made at each
    /// start, for an APIService with insecureSkipTLSVerify]
    #[arg(long, hide_short_help = true, value_name = "FILE", requires = "metrics_tls_key")]
    pub metrics_tls_cert: Option<PathBuf>,
    /// The key to the serving certificate in PEM
    #[arg(long, hide_short_help = true, value_name = "FILE", requires = "metrics_tls_cert")]
    pub metrics_tls_key: Option<PathBuf>,
    /// The API server that says who may read metrics and what the pods are called, such as
    /// kubernetes:?kubeconfig=FILE [default: that of the first --discovery kubernetes, else kubernetes]
    #[arg(long, hide_short_help = true, value_name = "SPEC")]
    pub metrics_api_server: Option<Spec>,
}
