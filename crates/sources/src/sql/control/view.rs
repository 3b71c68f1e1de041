// SPDX-License-Identifier: MIT OR Apache-2.0
//! All rows of the control tables, as one statement reads them.

use throughline_core::{
    ControlView, FenceState, Lineage, Mode, NodeName, NodeRow, Nonce, ResourceName, ResourceRow,
};

/// Reads everything in one statement, which sees one moment. `lineage` and `is_replica` are the dialect's words for
/// the server's history and for whether it is one that follows another.
pub fn view_statement(lineage: &str, is_replica: &str) -> String {
    format!(
        "SELECT 0 AS kind, {lineage} AS name, lease_ms AS generation, rho_ppm AS previous, {is_replica} AS state, \
         0 AS nonce, '' AS detail, 0 AS map_version, 0 AS revision FROM tl_config WHERE id = 1 \
         UNION ALL SELECT 1, node, generation, previous, state, nonce, lineage, map_version, revision FROM tl_node \
         UNION ALL SELECT 2, resource, generation, previous, state, 0, mode, 0, revision FROM tl_resource"
    )
}

/// One row of [`view_statement`], in the order of its columns.
#[derive(Clone, Debug)]
pub struct ViewRow {
    /// 0 for the settings, 1 for a cache server, 2 for a resource.
    pub kind: i64,
    /// The lineage, or the row's name.
    pub name: String,
    /// The generation; the lease.
    pub generation: i64,
    /// The generation before; ρ.
    pub previous: i64,
    /// The state; whether the server is a replica.
    pub state: i64,
    /// The nonce.
    pub nonce: i64,
    /// The row's lineage; the mode.
    pub detail: String,
    /// The list of servers.
    pub map_version: i64,
    /// How often the row changed.
    pub revision: i64,
}

/// Why rows are no view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoView {
    /// The server follows another, so its rows may be old.
    Replica,
    /// The row of the settings is missing.
    NoSettings,
    /// A row holds what this program never writes.
    Damaged,
}

/// The view that the rows are.
///
/// # Errors
/// Why they are none.
pub fn read_view(rows: impl IntoIterator<Item = ViewRow>) -> Result<ControlView, NoView> {
    let mut settings = None;
    let (mut nodes, mut resources) = (Vec::new(), Vec::new());
    for row in rows {
        match row.kind {
            0 if row.state != 0 => return Err(NoView::Replica),
            0 => settings = Some(row),
            1 => nodes.push(node_row(&row).ok_or(NoView::Damaged)?),
            _ => resources.push(resource_row(&row).ok_or(NoView::Damaged)?),
        }
    }
    let settings = settings.ok_or(NoView::NoSettings)?;
    Ok(ControlView {
        lineage: Lineage::new(&settings.name),
        lease_ms: u64::try_from(settings.generation).map_err(|_| NoView::Damaged)?,
        rho_ppm: u32::try_from(settings.previous).map_err(|_| NoView::Damaged)?,
        nodes,
        resources,
    })
}

fn node_row(row: &ViewRow) -> Option<NodeRow> {
    Some(NodeRow {
        name: NodeName::new(&row.name)?,
        generation: u64::try_from(row.generation).ok()?,
        previous: u64::try_from(row.previous).ok()?,
        state: FenceState::from_number(u64::try_from(row.state).ok()?)?,
        // Signed columns keep the bits of any number.
        nonce: Nonce(row.nonce as u64),
        lineage: Lineage::new(&row.detail),
        map_version: u32::try_from(row.map_version).ok()?,
        revision: u64::try_from(row.revision).ok()?,
    })
}

fn resource_row(row: &ViewRow) -> Option<ResourceRow> {
    Some(ResourceRow {
        name: ResourceName::new(&row.name)?,
        mode: Mode::parse(&row.detail)?,
        generation: u64::try_from(row.generation).ok()?,
        previous: u64::try_from(row.previous).ok()?,
        state: FenceState::from_number(u64::try_from(row.state).ok()?)?,
        revision: u64::try_from(row.revision).ok()?,
    })
}
