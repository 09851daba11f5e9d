//! The options of enrichment: where labels, owners, requests and limits come from, and how labels go
//! out.

// Comments on options are shown as help, where they are plain text.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

use clap::{ArgAction, Args};
use heapster_shared::spec::Spec;

use crate::enrich::LabelRules;

/// What rows are enriched with.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Labels")]
pub struct EnrichmentArgs {
    /// What knows the pods: kubernetes with its options, such as kubernetes:?kubeconfig=FILE, or none
    /// [default: the API server of the discovery kubernetes]
    #[arg(long, value_name = "SPEC")]
    pub metadata: Option<Spec>,
    /// What joins the labels of a pod or node into one
    #[arg(long, hide_short_help = true, value_name = "TEXT", default_value = LabelRules::SEPARATOR)]
    pub label_separator: String,
    /// A label of pods and nodes that is not joined with the others; may be given several times
    #[arg(long, value_name = "KEY", action = ArgAction::Append)]
    pub ignore_label: Vec<String>,
    /// A label of pods and nodes that goes out by itself too, under another name where one is given;
    /// may be given several times
    #[arg(long, value_name = "[NAME=]KEY", action = ArgAction::Append)]
    pub store_label: Vec<String>,
}

impl EnrichmentArgs {
    /// Checks what is to be done with labels.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn rules(&self) -> Result<LabelRules, String> {
        LabelRules::new(&self.label_separator, &self.ignore_label, &self.store_label)
    }
}
