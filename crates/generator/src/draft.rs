//! A touchpoint in the making: written field by field into buffers that are used again for the next one.

use crate::calendar::{self, Zone};
use crate::json::{self, Object};

/// A configured source of touchpoints: one adapter instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Ginza,
    Shibuya,
    Umeda,
    Sapporo,
    Hakata,
    Terminals,
    Ec,
    Web,
    Ios,
    Android,
    Line,
    Catalog,
    CallCentre,
    Newsletter,
    Chat,
    Support,
    Sales,
    Webinar,
    Product,
}

/// How many sources there are.
pub(crate) const SOURCES: usize = 19;

/// How long a source takes to tell us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// At once: a fraction of a second.
    Live,
    /// Within minutes: a poll or a queue.
    Polled,
    /// In the night after closing, as one batch.
    Nightly,
    /// At some time; nobody notes when, so `received_at` is missing.
    Unnoted,
}

impl Source {
    /// Name, channel and prefix of event ids.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ginza => ("ginza-pos", "store", "gz-"),
            Self::Shibuya => ("shibuya-pos", "store", "sb-"),
            Self::Umeda => ("umeda-pos", "store", "um-"),
            Self::Sapporo => ("sapporo-pos", "store", "sp-"),
            Self::Hakata => ("hakata-pos", "store", "hk-"),
            Self::Terminals => ("store-terminals", "store", "kt-"),
            Self::Ec => ("ec-shop", "ec", "ec-"),
            Self::Web => ("web-site", "web", "w-"),
            Self::Ios => ("ios-app", "app", "i-"),
            Self::Android => ("android-app", "app", "a-"),
            Self::Line => ("line-official", "social", "ln-"),
            Self::Catalog => ("catalog-desk", "catalog", "cat-"),
            Self::CallCentre => ("call-centre", "phone", "call-"),
            Self::Newsletter => ("newsletter", "email", "nl-"),
            Self::Chat => ("site-chat", "chat", "ch-"),
            Self::Support => ("support-desk", "support", "tk-"),
            Self::Sales => ("crm", "sales", "crm-"),
            Self::Webinar => ("webinar", "webinar", "wb-"),
            Self::Product => ("product-cloud", "product", "pr-"),
        }
    }

    /// Its name on a touchpoint.
    pub(crate) const fn name(self) -> &'static str {
        self.names().0
    }

    /// How long it takes to tell us. Two of the five tills still send their day at night.
    pub(crate) const fn delivery(self) -> Delivery {
        match self {
            Self::Sapporo | Self::Hakata => Delivery::Nightly,
            Self::Catalog => Delivery::Unnoted,
            Self::Sales | Self::Webinar | Self::Newsletter | Self::Support => Delivery::Polled,
            _ => Delivery::Live,
        }
    }

    /// Whether its clock is the customer's own, which may run ahead.
    pub(crate) const fn customers_clock(self) -> bool {
        matches!(self, Self::Web | Self::Ios | Self::Android)
    }

    /// Whether it is an app, which may be offline.
    pub(crate) const fn app(self) -> bool {
        matches!(self, Self::Ios | Self::Android)
    }

    const fn zone(self) -> Zone {
        match self {
            Self::Ginza
            | Self::Shibuya
            | Self::Umeda
            | Self::Sapporo
            | Self::Hakata
            | Self::Catalog
            | Self::CallCentre
            | Self::Sales => Zone::Tokyo,
            _ => Zone::Utc,
        }
    }
}

/// A touchpoint in the making.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Who says it.
    pub(crate) source: Source,
    /// What happened.
    pub(crate) kind: &'static str,
    /// When, by the source's clock.
    pub(crate) occurred: i64,
    /// When it was received, where anybody notes that.
    pub(crate) received: Option<i64>,
    /// The real person; none where it belongs to nobody.
    pub(crate) truth: Option<u64>,
    /// What it says about the person.
    pub(crate) traits: Object,
    /// What it says about itself.
    pub(crate) properties: Object,
    /// Consent given or refused.
    pub(crate) consent: Object,
    /// Household or account.
    pub(crate) context: Object,
    identifiers: Vec<u8>,
}

impl Draft {
    /// An empty draft.
    pub(crate) fn new() -> Self {
        Self {
            source: Source::Web,
            kind: "",
            occurred: 0,
            received: None,
            truth: None,
            traits: Object::default(),
            properties: Object::default(),
            consent: Object::default(),
            context: Object::default(),
            identifiers: Vec::new(),
        }
    }

    /// Begins the next touchpoint.
    pub(crate) fn begin(&mut self, source: Source, kind: &'static str, occurred: i64, truth: Option<u64>) {
        self.source = source;
        self.kind = kind;
        self.occurred = occurred;
        self.received = None;
        self.truth = truth;
        self.identifiers.clear();
        for object in [&mut self.traits, &mut self.properties, &mut self.consent, &mut self.context] {
            object.clear();
        }
    }

    /// Adds an identifier whose value `write` spells without anything that JSON would have to escape.
    pub(crate) fn identify(&mut self, namespace: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let out = &mut self.identifiers;
        out.extend_from_slice(if out.is_empty() { br#"{"namespace":""# } else { br#",{"namespace":""# });
        out.extend_from_slice(namespace.as_bytes());
        out.extend_from_slice(br#"","value":""#);
        write(out);
        out.extend_from_slice(br#""}"#);
    }

    /// Writes the touchpoint as one line of canonical JSON, without the line's end. `number` counts its source's events.
    pub(crate) fn write(&self, number: u64, out: &mut Vec<u8>) {
        let (source, channel, _) = self.source.names();
        out.extend_from_slice(br#"{"source":""#);
        out.extend_from_slice(source.as_bytes());
        out.extend_from_slice(br#"","event_id":""#);
        write_event_id(self.source, number, out);
        out.extend_from_slice(br#"","channel":""#);
        out.extend_from_slice(channel.as_bytes());
        out.extend_from_slice(br#"","type":""#);
        out.extend_from_slice(self.kind.as_bytes());
        out.extend_from_slice(br#"","occurred_at":""#);
        calendar::write(out, self.occurred, self.source.zone());
        if let Some(received) = self.received {
            out.extend_from_slice(br#"","received_at":""#);
            calendar::write(out, received, Zone::Utc);
        }
        out.extend_from_slice(br#"","identifiers":["#);
        out.extend_from_slice(&self.identifiers);
        out.extend_from_slice(br#"],"traits":"#);
        self.traits.write(out);
        out.extend_from_slice(br#","properties":"#);
        self.properties.write(out);
        for (name, object) in [(&br#","consent":"#[..], &self.consent), (br#","context":"#, &self.context)] {
            if !object.is_empty() {
                out.extend_from_slice(name);
                object.write(out);
            }
        }
        out.push(b'}');
    }
}

/// Writes the id of a source's event.
pub(crate) fn write_event_id(source: Source, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(source.names().2.as_bytes());
    json::padded(out, number, 7);
}
