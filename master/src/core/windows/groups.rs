//! The rows of a window by their layout.

use std::sync::Arc;

use heapster_shared::{
    Map,
    row::Block,
    schema::{Field, Layout},
};

use super::group::Group;

/// A group for each list of fields. Layouts that say the same are one: after a buddy has connected
/// again its rows may have another value of the same layout.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// By the address of a layout, which is kept so that no other comes to have its address.
    by_address: Map<usize, (Arc<Layout>, usize)>,
    by_fields: Map<(usize, Box<[Field]>), usize>,
}

impl Groups {
    /// The group of a layout.
    pub(super) fn of(&mut self, layout: &Arc<Layout>) -> &mut Group {
        let Self { groups, by_address, by_fields } = self;
        let address = Arc::as_ptr(layout) as usize;
        let (_, place) = by_address.entry(address).or_insert_with(|| {
            let key = (layout.measured().len(), layout.fields().into());
            let place = *by_fields.entry(key).or_insert_with(|| {
                groups.push(Group::new(Arc::clone(layout)));
                groups.len() - 1
            });
            (Arc::clone(layout), place)
        });
        &mut groups[*place]
    }

    /// The rows, in blocks of limited size.
    pub(super) fn blocks(&self, cells: usize) -> impl Iterator<Item = Block> {
        self.groups.iter().flat_map(move |group| group.blocks(cells))
    }
}
