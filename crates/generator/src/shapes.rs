//! Shapes: what kind of business the stream is of, and every rate in it, each with its reason.

use std::fmt;
use std::str::FromStr;

use crate::channels::Channel;

/// What kind of business leaves the touchpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A retailer with tills, a shop on the web, an app, LINE, a catalogue and a call centre. Identity is recoverable
    /// for nearly everybody.
    #[default]
    Retail,
    /// A seller to companies: contacts in accounts, a shared switchboard and `info@` address, webinars, downloads.
    B2b,
    /// The retailer on its worst day: everything that goes wrong, all at once and far too often.
    Hostile,
}

/// A shape that does not exist was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown shape `{0}`: wanted `retail`, `b2b` or `hostile`")]
pub struct UnknownShape(String);

impl FromStr for Shape {
    type Err = UnknownShape;

    fn from_str(name: &str) -> Result<Self, UnknownShape> {
        match name {
            "retail" => Ok(Self::Retail),
            "b2b" => Ok(Self::B2b),
            "hostile" => Ok(Self::Hostile),
            _ => Err(UnknownShape(name.to_owned())),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retail => "retail",
            Self::B2b => "b2b",
            Self::Hostile => "hostile",
        })
    }
}

impl Shape {
    /// The rates of this shape.
    pub(crate) const fn rates(self) -> &'static Rates {
        match self {
            Self::Retail => &RETAIL,
            Self::B2b => &B2B,
            Self::Hostile => &HOSTILE,
        }
    }

    /// How often visits go through each channel: parts of the sum.
    pub(crate) const fn channels(self) -> &'static [(Channel, u64)] {
        match self {
            Self::Retail | Self::Hostile => &RETAIL_CHANNELS,
            Self::B2b => &B2B_CHANNELS,
        }
    }

    /// How many of a hundred households have 1, 2, 3, … members. For `b2b` a household is a company's buying centre.
    pub(crate) const fn household_sizes(self) -> &'static [u64] {
        match self {
            Self::Retail | Self::Hostile => &[28, 34, 15, 13, 10],
            Self::B2b => &[10, 18, 20, 16, 12, 9, 6, 4, 3, 2],
        }
    }
}

/// Visits by channel of a retailer. Browsing outweighs buying; a till sees one visit in eight.
const RETAIL_CHANNELS: [(Channel, u64); 11] = [
    (Channel::Web, 28),
    (Channel::Ec, 16),
    (Channel::App, 19),
    (Channel::Store, 14),
    (Channel::Email, 8),
    (Channel::Social, 6),
    (Channel::Phone, 3),
    (Channel::Catalog, 2),
    (Channel::Support, 2),
    (Channel::Kiosk, 1),
    (Channel::Webinar, 1),
];

/// Visits by channel of a seller to companies: the product and the web first, people second.
const B2B_CHANNELS: [(Channel, u64); 8] = [
    (Channel::Web, 30),
    (Channel::Product, 18),
    (Channel::Email, 14),
    (Channel::Sales, 14),
    (Channel::Webinar, 8),
    (Channel::Download, 8),
    (Channel::Support, 5),
    (Channel::Phone, 3),
];

/// How often each thing happens. Rates are parts of one, of whatever the comment names.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    /// Of persons: never tell anybody who they are; one cookie after another. The one class whose pairs nothing on
    /// earth could tie, so it bounds recall from above and has to stay rare.
    pub(crate) strangers: f64,
    /// Of persons: have an account in the web shop (or, in `b2b`, in the product).
    pub(crate) accounts: f64,
    /// Of persons: carry the loyalty card.
    pub(crate) cards: f64,
    /// Of persons: are friends with the shop on LINE.
    pub(crate) line: f64,
    /// Of persons: are known to the catalogue or to sales, and so have a number there.
    pub(crate) contacts: f64,
    /// Of persons with an account: use the app.
    pub(crate) apps: f64,
    /// Of households of two and more: a tablet on which all of them sign in.
    pub(crate) tablets: f64,
    /// Of households: one telephone number that all of them give.
    pub(crate) family_phones: f64,
    /// Of households: one mail address that all of them give.
    pub(crate) family_mail: f64,
    /// Of households of two and more: the second member uses the first one's account.
    pub(crate) shared_accounts: f64,
    /// Of browsing visits at home: on the shared tablet, where there is one.
    pub(crate) on_tablet: f64,
    /// Of visits on a shared tablet: signed in from the start. High, because what is left says nothing about who it was.
    pub(crate) tablet_signed_in: f64,
    /// Of browsing visits: signed in from the first page (35 % of visits sign in at all in published panels; some of
    /// them later in the visit).
    pub(crate) signed_in: f64,
    /// Of browsing visits: anonymous first, known before the end.
    pub(crate) signs_in_later: f64,
    /// Of visits that would have stayed anonymous on a cookie or device not yet tied to anybody: known before the end
    /// after all (a newsletter's link, a coupon). This is what makes most cookies recoverable.
    pub(crate) untied_signs_in: f64,
    /// Of uses of a mail address, telephone, LINE account, card or contact that nothing ties to its owner yet: tied
    /// there and then (caller verified, account linked, e-receipt).
    pub(crate) ties: f64,
    /// Of browsing visits: begun on a fresh cookie, as Safari's tracking prevention forces (about 18 % a visit).
    pub(crate) rotation: f64,
    /// Of rotations: go ahead although nobody ever signed in on the old cookie. Its touchpoints are lost for ever.
    pub(crate) lost_cookies: f64,
    /// Of app visits: after a reinstallation, with a new device id.
    pub(crate) reinstalls: f64,
    /// Of values typed by staff or customer beside a good one: junk (`test@example.com`, `0000000000`, the shop's own
    /// telephone). Small in a shop that trains its staff.
    pub(crate) junk: f64,
    /// Of mail addresses typed beside a good identifier: one letter wrong.
    pub(crate) typos: f64,
    /// Of calls: caller id withheld.
    pub(crate) withheld: f64,
    /// Of touchpoints: delivered again, as at-least-once transports do.
    pub(crate) duplicates: f64,
    /// Of touchpoints: delivered again under the same id with other contents.
    pub(crate) conflicting_duplicates: f64,
    /// Of touchpoints of phones and browsers: by a clock that runs minutes to hours ahead.
    pub(crate) fast_clocks: f64,
    /// Of app touchpoints: made offline, and received hours later.
    pub(crate) offline: f64,
    /// Of visits: a crawler's instead of a person's.
    pub(crate) bots: f64,
    /// Of kiosk visits: nobody puts a card on the reader, so nobody can say whose they are.
    pub(crate) kiosk_without_card: f64,
    /// Of touchpoints: name a namespace that no policy knows.
    pub(crate) unknown_namespaces: f64,
    /// Of touchpoints: carry one of a few cookies that everybody seems to have (a shared proxy, a copied link).
    pub(crate) hubs: f64,
    /// Of touchpoints: carry the next person's telephone as well, so that chains run through strangers.
    pub(crate) chains: f64,
    /// Of till receipts: carry the card of somebody else as well.
    pub(crate) two_cards: f64,
    /// Of touchpoints: carry 33 identifiers and more, as a broken export does.
    pub(crate) overfull: f64,
    /// Lines that are no touchpoint at all, for each touchpoint, unless the options say otherwise.
    pub(crate) malformed: f64,
}

/// A retailer whose data are in order: recall is bounded by strangers and lost cookies, precision by shared things.
const RETAIL: Rates = Rates {
    strangers: 0.01,
    accounts: 0.72,
    cards: 0.5,
    line: 0.35,
    contacts: 0.25,
    apps: 0.5,
    tablets: 0.1,
    family_phones: 0.05,
    family_mail: 0.01,
    shared_accounts: 0.0005,
    on_tablet: 0.2,
    tablet_signed_in: 0.95,
    signed_in: 0.3,
    signs_in_later: 0.3,
    untied_signs_in: 0.85,
    ties: 0.95,
    rotation: 0.18,
    lost_cookies: 0.01,
    reinstalls: 0.02,
    junk: 0.01,
    typos: 0.01,
    withheld: 0.03,
    duplicates: 0.015,
    conflicting_duplicates: 0.0,
    fast_clocks: 0.005,
    offline: 0.02,
    bots: 0.002,
    kiosk_without_card: 0.5,
    unknown_namespaces: 0.0,
    hubs: 0.0,
    chains: 0.0,
    two_cards: 0.0,
    overfull: 0.0,
    malformed: 0.0,
};

/// Companies: hardly any cards or tablets, but switchboards and `info@` addresses at every fourth of them.
const B2B: Rates = Rates {
    strangers: 0.05,
    accounts: 0.5,
    cards: 0.0,
    line: 0.0,
    contacts: 1.0,
    apps: 0.0,
    tablets: 0.0,
    family_phones: 0.25,
    family_mail: 0.1,
    shared_accounts: 0.01,
    junk: 0.03,
    kiosk_without_card: 0.0,
    ..RETAIL
};

/// Ten times the trouble, and the kinds of trouble that an orderly business does not have at all.
const HOSTILE: Rates = Rates {
    strangers: 0.05,
    tablets: 0.3,
    family_phones: 0.2,
    family_mail: 0.1,
    shared_accounts: 0.03,
    tablet_signed_in: 0.5,
    untied_signs_in: 0.5,
    ties: 0.6,
    lost_cookies: 0.5,
    junk: 0.15,
    typos: 0.05,
    withheld: 0.2,
    duplicates: 0.08,
    conflicting_duplicates: 0.01,
    fast_clocks: 0.05,
    offline: 0.1,
    bots: 0.02,
    unknown_namespaces: 0.03,
    hubs: 0.01,
    chains: 0.005,
    two_cards: 0.01,
    overfull: 0.001,
    malformed: 0.01,
    ..RETAIL
};

/// The week of the demonstration: small, so what should be seen has to happen more often than it would.
pub(crate) const DEMO: Rates =
    Rates { strangers: 0.0, tablets: 0.3, duplicates: 0.02, line: 0.5, lost_cookies: 0.0, ..RETAIL };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_as_it_is_written() {
        for shape in [Shape::Retail, Shape::B2b, Shape::Hostile] {
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
        let refused = "banana".parse::<Shape>().map_err(|error| error.to_string());
        assert_eq!(refused, Err("unknown shape `banana`: wanted `retail`, `b2b` or `hostile`".to_owned()));
    }
}
