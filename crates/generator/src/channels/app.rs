//! The app: a device id on everything, an account on most of it.

use crate::draft::Source;
use crate::people::Facet;
use crate::visit::{Manner, Visit};

/// After a screen: one more.
const NEXT_SCREEN: f64 = 0.4;
/// Of app visits: a coupon is fetched for the till.
const COUPONS: f64 = 0.1;

/// A visit through the app.
pub(crate) fn play(visit: &mut Visit<'_>) {
    visit.reinstall();
    let source = if visit.person.number.is_multiple_of(3) { Source::Android } else { Source::Ios };
    let manner = visit.manner(Facet::Device);
    let screens = 1 + visit.dice.run(NEXT_SCREEN, 30);
    let mut signed_in = manner == Manner::SignedIn;
    visit.touch(source, "application_opened").with(Facet::Device).properties().text("app_version", "4.2.1");
    if signed_in {
        visit.with(Facet::User);
        visit.note_tied(Facet::Device);
    }
    visit.send(1, 10);
    for screen in 0..screens {
        look(visit, source, signed_in);
        if manner == Manner::SignsInLater && screen == screens / 2 {
            sign_in(visit, source);
            signed_in = true;
        }
    }
    if signed_in && visit.dice.chance(COUPONS) {
        visit.touch(source, "coupon_fetched").with(Facet::User).with(Facet::Device);
        visit.properties().text("coupon", "SPRING10");
        visit.send(5, 60);
    }
}

fn look(visit: &mut Visit<'_>, source: Source, signed_in: bool) {
    if visit.dice.chance(0.5) {
        let screen = visit.dice.pick(&["home", "coupons", "points", "stores", "favourites"]);
        visit.touch(source, "screen_viewed").properties().text("page", screen);
    } else {
        visit.touch(source, "product_viewed").product();
    }
    visit.with(Facet::Device);
    if signed_in {
        visit.with(Facet::User);
    }
    visit.send(4, 90);
}

/// Whoever has the app has an account. The member's card may be shown in it, which ties the card.
fn sign_in(visit: &mut Visit<'_>, source: Source) {
    visit.touch(source, "signed_in").with(Facet::User).with(Facet::Device).introduce();
    visit.note_tied(Facet::Device);
    if visit.person.owns(Facet::Card) {
        visit.with(Facet::Card);
        visit.note_tied(Facet::Card);
    }
    visit.send(3, 30);
}
