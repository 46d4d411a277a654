//! Directives: an operator's word on the log. They are evidence like any other, so their order decides nothing.

use std::sync::Arc;

use crate::time::Timestamp;

/// One directive as an operator gave it, its identifiers not yet normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Who or what gave it, such as `ops`.
    pub source: Arc<str>,
    /// The giver's own name of it; with the source it says which directive this is.
    pub directive_id: Arc<str>,
    /// When it was given. For an erasure: every touchpoint received at or before it is forgotten.
    pub at: Timestamp,
    /// What is to be done.
    pub order: Order,
}

/// What a directive orders. An identifier is a namespace and a value as the operator wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// These two are one person, whatever the limits say.
    Link([(Arc<str>, Arc<str>); 2]),
    /// These two are never one person.
    Unlink([(Arc<str>, Arc<str>); 2]),
    /// This identifier joins nobody and is nobody.
    Block((Arc<str>, Arc<str>)),
    /// The end of a block.
    Unblock((Arc<str>, Arc<str>)),
    /// Forget every touchpoint that names this identifier and was received at or before the directive's instant.
    Erase((Arc<str>, Arc<str>)),
    /// Consent given (`true`) or refused (`false`), by purpose, for the person with this identifier.
    Consent((Arc<str>, Arc<str>), Vec<(Arc<str>, bool)>),
}
