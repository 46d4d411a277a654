//! Channels: what a visit through each of them leaves behind. A module for each kind of place.

mod app;
mod browser;
mod letters;
mod people_talk;
mod store;

use crate::people::{Facet, Person};
use crate::visit::Visit;

/// A way in which a visit happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Web,
    Ec,
    App,
    Store,
    Kiosk,
    Email,
    Social,
    Phone,
    Catalog,
    Support,
    Webinar,
    Download,
    Sales,
    Product,
}

impl Channel {
    /// Whether this person ever visits this way.
    pub(crate) const fn suits(self, person: &Person) -> bool {
        match self {
            Self::Web => true,
            Self::Ec => person.primary.is_some(),
            Self::App => person.owns(Facet::Device),
            Self::Store | Self::Kiosk => person.owns(Facet::Card),
            Self::Email | Self::Webinar | Self::Support | Self::Download => person.owns(Facet::Email),
            Self::Social => person.owns(Facet::Line),
            Self::Phone => person.owns(Facet::Phone),
            Self::Catalog | Self::Sales => person.owns(Facet::Contact),
            Self::Product => person.owns(Facet::User),
        }
    }

    /// Whether it happens in a browser or on a device, where a household's tablet may be at hand.
    pub(crate) const fn at_home(self) -> bool {
        matches!(self, Self::Web | Self::Ec | Self::App)
    }

    /// Plays a visit.
    pub(crate) fn play(self, visit: &mut Visit<'_>) {
        match self {
            Self::Web => browser::browse(visit),
            Self::Ec => browser::shop(visit),
            Self::Product => browser::work(visit),
            Self::Download => browser::download(visit),
            Self::App => app::play(visit),
            Self::Store => store::buy(visit),
            Self::Kiosk => store::stand_at_any_terminal(visit),
            Self::Email => letters::newsletter(visit),
            Self::Social => letters::message(visit),
            Self::Catalog => letters::catalog(visit),
            Self::Phone => people_talk::call(visit),
            Self::Support => people_talk::support(visit),
            Self::Webinar => people_talk::webinar(visit),
            Self::Sales => people_talk::sales(visit),
        }
    }
}

pub(crate) use browser::crawl;
pub(crate) use store::stand_at_terminal;
