//! One visit of one person through one channel: what every channel needs in order to write touchpoints.

use crate::calendar::SECOND;
use crate::delivery::Outbox;
use crate::dice::Dice;
use crate::draft::{Draft, Source};
use crate::json::{self, Object};
use crate::junk;
use crate::names::{GOODS, Good, PLANS};
use crate::people::{Facet, Person, Population, State};
use crate::shapes::{Rates, Shape};

/// How a person is known while she browses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Signed in from the first page.
    SignedIn,
    /// Anonymous first, known before the end.
    SignsInLater,
    /// A cookie or device and nothing else.
    Anonymous,
}

/// A visit under way.
pub(crate) struct Visit<'a> {
    /// Who visits.
    pub(crate) person: Person,
    /// What she carries at the moment.
    pub(crate) state: State,
    /// Whether she uses the household's tablet instead of her own things.
    pub(crate) on_tablet: bool,
    /// The instant, in milliseconds since 1970.
    pub(crate) now: i64,
    /// How many persons have appeared so far.
    pub(crate) born: u64,
    /// Everybody.
    pub(crate) population: &'a Population,
    /// How often things happen.
    pub(crate) rates: &'static Rates,
    /// What kind of business is visited.
    pub(crate) shape: Shape,
    /// Chance.
    pub(crate) dice: &'a mut Dice,
    /// The touchpoint in the making.
    pub(crate) draft: &'a mut Draft,
    /// Where finished touchpoints go.
    pub(crate) outbox: &'a mut Outbox,
}

impl Visit<'_> {
    /// Begins a touchpoint of the visitor.
    pub(crate) fn touch(&mut self, source: Source, kind: &'static str) -> &mut Self {
        self.draft.begin(source, kind, self.now, Some(self.person.number));
        if self.shape == Shape::B2b && matches!(source, Source::Sales | Source::Product | Source::Webinar) {
            let (population, person) = (self.population, &self.person);
            self.draft.context.spelled("account", |out| population.write_household(person, out));
            self.draft.traits.text("company", population.company(person).0);
        }
        self
    }

    /// Begins a touchpoint that belongs to nobody.
    pub(crate) fn touch_by_nobody(&mut self, source: Source, kind: &'static str) -> &mut Self {
        self.draft.begin(source, kind, self.now, None);
        self
    }

    /// Adds the visitor's identifier of this kind, right.
    pub(crate) fn with(&mut self, facet: Facet) -> &mut Self {
        let Self { population, person, state, born, dice, draft, on_tablet, .. } = self;
        draft.identify(facet.namespace(), |out| match facet {
            Facet::Phone => population.write_phone_spelled(person, *born, dice, out),
            Facet::Cookie if *on_tablet => population.write_tablet_cookie(&person.household, out),
            Facet::Device if *on_tablet => population.write_tablet_device(&person.household, out),
            Facet::Email => {
                let start = out.len();
                population.write(facet, person, *state, *born, out);
                if dice.chance(EMAIL_CAPITALS) {
                    out[start..].make_ascii_uppercase();
                }
            }
            _ => population.write(facet, person, *state, *born, out),
        });
        self
    }

    /// Adds her account where she has one.
    pub(crate) fn with_account(&mut self) -> &mut Self {
        if self.person.owns(Facet::User) { self.with(Facet::User) } else { self }
    }

    /// Adds an identifier that somebody typed beside a good one: now and then junk, now and then mistyped. Returns
    /// whether it was right, and so tells whose it is.
    pub(crate) fn also(&mut self, facet: Facet) -> bool {
        if !self.person.owns(facet) {
            return false;
        }
        if self.dice.chance(self.rates.junk) {
            let value = junk::value(facet, self.dice);
            self.draft.identify(facet.namespace(), |out| out.extend_from_slice(value.as_bytes()));
            return false;
        }
        if facet == Facet::Email && self.dice.chance(self.rates.typos) {
            let Self { population, person, state, born, dice, draft, .. } = self;
            draft.identify(facet.namespace(), |out| {
                let start = out.len();
                population.write(facet, person, *state, *born, out);
                junk::mistype(&mut out[start..], dice);
            });
            return false;
        }
        self.with(facet);
        true
    }

    /// What the touchpoint says about itself.
    pub(crate) fn properties(&mut self) -> &mut Object {
        &mut self.draft.properties
    }

    /// Says her name, and whatever else a form asks for.
    pub(crate) fn introduce(&mut self) -> &mut Self {
        let (family, given) = self.population.name(&self.person);
        let traits = &mut self.draft.traits;
        traits.raw("name", |out| pair(out, family.0, given.0));
        traits.raw("name_kana", |out| pair(out, family.1, given.1));
        traits.text("prefecture", self.population.prefecture(&self.person));
        self
    }

    /// Puts one to three goods into an order, with their total.
    pub(crate) fn order(&mut self) -> &mut Self {
        let goods = [self.good(), self.good(), self.good()];
        let goods = &goods[..1 + self.dice.index(3)];
        let number = self.outbox.sent();
        let properties = &mut self.draft.properties;
        properties.spelled("order_id", |out| {
            out.extend_from_slice(b"o-");
            json::padded(out, number, 8);
        });
        properties.raw("total", |out| money(out, goods.iter().map(|good| good.2).sum()));
        properties.raw("products", |out| {
            for (index, good) in goods.iter().enumerate() {
                out.push(if index == 0 { b'[' } else { b',' });
                product(out, good);
            }
            out.push(b']');
        });
        self
    }

    /// Something that is sold here.
    fn good(&mut self) -> Good {
        if self.shape == Shape::B2b { self.dice.pick(&PLANS) } else { self.dice.pick(&GOODS) }
    }

    /// Names one product.
    pub(crate) fn product(&mut self) -> &mut Self {
        let good = self.good();
        let properties = &mut self.draft.properties;
        properties.text("product_id", good.0).text("product_name", good.1).raw("price", |out| money(out, good.2));
        self
    }

    /// Sends the touchpoint, with whatever trouble the shape adds, and lets between `low` and `high` seconds pass.
    pub(crate) fn send(&mut self, low: i64, high: i64) {
        self.trouble();
        self.outbox.send(self.draft);
        self.now += self.dice.between(low * SECOND, high * SECOND);
    }

    /// The trouble of a hostile stream. An orderly one draws no chance for it at all.
    fn trouble(&mut self) {
        if self.shape != Shape::Hostile {
            return;
        }
        if self.dice.chance(self.rates.unknown_namespaces) {
            junk::add_unknown(self.draft, self.dice);
        }
        if self.dice.chance(self.rates.hubs) {
            junk::add_hub(self.draft, self.dice);
        }
        if self.dice.chance(self.rates.overfull) {
            junk::overfill(self.draft, self.dice);
        }
        if self.dice.chance(self.rates.chains) {
            self.with_anothers(Facet::Phone);
        }
    }

    /// Adds an identifier of the next person, who has nothing to do with it.
    pub(crate) fn with_anothers(&mut self, facet: Facet) -> &mut Self {
        let (population, born) = (self.population, self.born);
        let other = population.person((self.person.number + 1) % born.max(1));
        self.draft.identify(facet.namespace(), |out| population.write(facet, &other, State::default(), born, out));
        self
    }

    /// Whether the facet is tied to the person, so that a touchpoint with nothing else can be told to be hers.
    pub(crate) fn tied(&self, facet: Facet) -> bool {
        self.person.primary == Some(facet) || self.state.tied & facet.bit() != 0
    }

    /// Notes that a touchpoint has tied this facet to a tied one.
    pub(crate) const fn note_tied(&mut self, facet: Facet) {
        if !self.on_tablet {
            self.state.tied |= facet.bit();
        }
    }

    /// Ties a facet that was used and that nothing ties to its owner yet: nearly always, and never for a stranger.
    pub(crate) fn settle(&mut self, facet: Facet) {
        if self.person.owns(facet) && !self.tied(facet) && self.dice.chance(self.rates.ties) {
            self.tie(facet);
        }
    }

    /// Leaves the touchpoint that ties this facet to the person's primary one. A stranger has none, and leaves nothing.
    pub(crate) fn tie(&mut self, facet: Facet) {
        let Some(primary) = self.person.primary.filter(|&primary| primary != facet) else { return };
        let (source, kind) = tying(facet, primary);
        self.touch(source, kind).with(facet).with(primary);
        let mail_asked = facet == Facet::Cookie && primary != Facet::Email && self.dice.chance(MAIL_WITH_SIGN_IN);
        if mail_asked && self.also(Facet::Email) {
            self.note_tied(Facet::Email);
        }
        self.introduce();
        self.consent();
        self.send(3, 40);
        self.note_tied(facet);
    }

    /// Asks for consent now and then, as forms do.
    fn consent(&mut self) {
        if self.dice.chance(CONSENT_ASKED) {
            let (mail, line) = (self.dice.chance(0.7), self.dice.chance(0.4));
            self.draft.consent.flag("email_marketing", mail).flag("line_marketing", line);
        }
    }

    /// How the person is known on this visit to something that `facet` identifies (a browser or a device).
    pub(crate) fn manner(&mut self, facet: Facet) -> Manner {
        if self.on_tablet {
            let signed_in = self.dice.chance(self.rates.tablet_signed_in);
            return if signed_in { Manner::SignedIn } else { Manner::Anonymous };
        }
        let Some(primary) = self.person.primary else { return Manner::Anonymous };
        let tied = self.tied(facet);
        if self.dice.chance(self.rates.signed_in) {
            return match (primary, tied) {
                (Facet::User, _) => Manner::SignedIn,
                (_, false) => Manner::SignsInLater,
                (_, true) => Manner::Anonymous,
            };
        }
        let later = if tied { self.rates.signs_in_later } else { self.rates.untied_signs_in };
        if self.dice.chance(later) { Manner::SignsInLater } else { Manner::Anonymous }
    }

    /// Begins a fresh cookie, as often as browsers force one.
    pub(crate) fn rotate_cookie(&mut self) {
        if self.on_tablet || !self.dice.chance(self.rates.rotation) {
            return;
        }
        if self.tied(Facet::Cookie) || self.dice.chance(self.rates.lost_cookies) {
            self.state.cookie = self.state.cookie.saturating_add(1).min(LAST_COOKIE);
            self.state.tied &= !Facet::Cookie.bit();
        }
    }

    /// Begins a fresh device id, after a reinstallation.
    pub(crate) fn reinstall(&mut self) {
        if !self.on_tablet && self.tied(Facet::Device) && self.dice.chance(self.rates.reinstalls) {
            self.state.device = self.state.device.saturating_add(1);
            self.state.tied &= !Facet::Device.bit();
        }
    }
}

/// Of mail addresses: typed in capitals, which is the same address.
const EMAIL_CAPITALS: f64 = 0.02;
/// Of sign-ins on a browser: the mail address goes along.
const MAIL_WITH_SIGN_IN: f64 = 0.5;
/// Of forms: ask for consent.
const CONSENT_ASKED: f64 = 0.3;
/// Beyond this cookie a person keeps the last one: its number has to stay below those of the tablets.
const LAST_COOKIE: u16 = 60_000;

/// The event that ties a facet to a primary one, and who says so.
const fn tying(facet: Facet, primary: Facet) -> (Source, &'static str) {
    match (facet, primary) {
        (Facet::Cookie, Facet::User) => (Source::Web, "signed_in"),
        (Facet::Cookie, Facet::Card) => (Source::Web, "points_checked"),
        (Facet::Cookie, Facet::Email) => (Source::Web, "newsletter_subscribed"),
        (Facet::Cookie, _) => (Source::Web, "callback_requested"),
        (Facet::Device, _) => (Source::Ios, "signed_in"),
        (Facet::Line, _) => (Source::Line, "account_linked"),
        (Facet::Phone, _) => (Source::CallCentre, "caller_verified"),
        (Facet::Email, Facet::Card) => (Source::Ginza, "receipt_mailed"),
        (Facet::Email, Facet::User) => (Source::Ec, "account_updated"),
        (Facet::Card, _) => (Source::Ec, "card_registered"),
        _ => (Source::Sales, "contact_updated"),
    }
}

fn pair(out: &mut Vec<u8>, first: &str, second: &str) {
    out.push(b'"');
    out.extend_from_slice(first.as_bytes());
    out.push(b' ');
    out.extend_from_slice(second.as_bytes());
    out.push(b'"');
}

fn money(out: &mut Vec<u8>, amount: u64) {
    out.extend_from_slice(br#"{"amount":""#);
    json::number(out, amount);
    out.extend_from_slice(br#"","currency":"JPY"}"#);
}

fn product(out: &mut Vec<u8>, good: &Good) {
    out.extend_from_slice(br#"{"product_id":""#);
    out.extend_from_slice(good.0.as_bytes());
    out.extend_from_slice(br#"","product_name":""#);
    out.extend_from_slice(good.1.as_bytes());
    out.extend_from_slice(br#"","quantity":1,"price":"#);
    money(out, good.2);
    out.push(b'}');
}
