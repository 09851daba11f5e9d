//! A way in for fuzzing: reads lists of the API server as watches do, without one.

use std::path::PathBuf;

use heapster_shared::event::Event;

use super::{
    connect::kubeconfig,
    intern::Interner,
    quantity,
    wire::{EventObject, NamespaceObject, NodeObject, Object, Page, PodObject},
};

/// The objects of a page of a resource, as they are kept; none where there is no such resource.
///
/// # Errors
/// When it is no such page.
pub fn objects(resource: &str, text: &str) -> Option<Result<Vec<String>, String>> {
    let mut interner = Interner::default();
    Some(match resource {
        NodeObject::RESOURCE => read(text, |node: NodeObject| format!("{:?}", node.into_info())),
        PodObject::RESOURCE => {
            read(text, |pod: PodObject| format!("{:?}", pod.into_info(&mut interner)))
        }
        NamespaceObject::RESOURCE => {
            read(text, |namespace: NamespaceObject| namespace.metadata().name.to_string())
        }
        EventObject::RESOURCE => {
            read(text, |event: EventObject| format!("{:?}", Event::from(event)))
        }
        _ => return None,
    })
}

fn read<T: Object>(text: &str, show: impl FnMut(T) -> String) -> Result<Vec<String>, String> {
    let page: Page<T> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(page.items.into_iter().map(show).collect())
}

/// The files that a context of a kubeconfig names; of the current one where it is empty.
///
/// # Errors
/// A sentence.
pub fn kubeconfig(text: &str, context: &str) -> Result<Vec<PathBuf>, String> {
    kubeconfig::check(text, context)
}

/// Reads a quantity, in thousandths and in whole units.
#[must_use]
pub fn quantity(text: &str) -> (Option<i64>, Option<i64>) {
    (quantity::millis(text), quantity::units(text))
}
