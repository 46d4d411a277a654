//! The shops: tills that read a card, and terminals on the floor that thousands of people touch.

use crate::draft::Source;
use crate::json;
use crate::people::Facet;
use crate::visit::Visit;

/// The tills. The last two send their day at night.
const TILLS: [Source; 5] = [Source::Ginza, Source::Shibuya, Source::Umeda, Source::Sapporo, Source::Hakata];
/// Of receipts: the customer leaves a mail address for the receipt.
const MAILED_RECEIPTS: f64 = 0.08;
/// Of receipts: staff type a telephone number in, for a delivery or an alteration.
const TYPED_PHONES: f64 = 0.08;
/// Of purchases: with a coupon.
const COUPONS: f64 = 0.15;
/// One terminal on the floor for this many persons.
const PERSONS_A_TERMINAL: u64 = 50_000;

/// A purchase at a till.
pub(crate) fn buy(visit: &mut Visit<'_>) {
    let till = visit.dice.pick(&TILLS);
    if visit.person.owns(Facet::Device) && visit.dice.chance(0.2) {
        visit.touch(Source::Ios, "store_visited").with(Facet::Device).with(Facet::User);
        visit.properties().text("store_id", till.name());
        visit.note_tied(Facet::Device);
        visit.send(200, 1_500);
    }
    if visit.dice.chance(COUPONS) {
        visit.touch(till, "coupon_used").with(Facet::Card).properties().text("coupon", "SPRING10");
        visit.send(1, 10);
    }
    receipt(visit, till);
    visit.settle(Facet::Card);
}

fn receipt(visit: &mut Visit<'_>, till: Source) {
    visit.touch(till, "order_completed").with(Facet::Card).order().properties().text("store_id", till.name());
    for (facet, rate) in [(Facet::Email, MAILED_RECEIPTS), (Facet::Phone, TYPED_PHONES)] {
        if visit.dice.chance(rate) && visit.also(facet) && visit.tied(Facet::Card) {
            visit.note_tied(facet);
        }
    }
    if visit.shape == crate::Shape::Hostile && visit.dice.chance(visit.rates.two_cards) {
        visit.with_anothers(Facet::Card);
    }
    visit.send(1, 5);
    let points = 10 + visit.dice.below(500);
    visit.touch(till, "points_earned").with(Facet::Card).properties().number("points", points);
    visit.send(10, 60);
}

/// Somebody looks something up at a terminal on the floor, with a card on the reader or without one.
pub(crate) fn stand_at_any_terminal(visit: &mut Visit<'_>) {
    let anonymous = visit.dice.chance(visit.rates.kiosk_without_card);
    stand_at_terminal(visit, anonymous);
}

/// A few looks at a terminal. Without a card on the reader they belong to nobody.
pub(crate) fn stand_at_terminal(visit: &mut Visit<'_>, anonymous: bool) {
    let terminals = (visit.born / PERSONS_A_TERMINAL).clamp(2, 64);
    let terminal = visit.dice.below(terminals);
    for _ in 0..=visit.dice.run(0.5, 6) {
        if anonymous {
            visit.touch_by_nobody(Source::Terminals, "product_viewed");
        } else {
            visit.touch(Source::Terminals, "product_viewed").with(Facet::Card);
        }
        visit.product();
        visit.draft.identify(Facet::Device.namespace(), |out| {
            out.extend_from_slice(b"terminal-");
            json::padded(out, terminal, 3);
        });
        visit.send(5, 60);
    }
    if !anonymous {
        visit.settle(Facet::Card);
    }
}
