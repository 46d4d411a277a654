//! What is sent and ordered in writing: newsletters, messages on LINE, the printed catalogue.

use crate::draft::Source;
use crate::people::Facet;
use crate::visit::Visit;

/// Of newsletters: opened.
const OPENED: f64 = 0.6;
/// Of opened newsletters: a link in it is clicked, which ties the browser to the address.
const CLICKED: f64 = 0.5;
/// Of LINE friends: look for the shop anew, having blocked it before.
const FRIENDS_ANEW: f64 = 0.1;

/// A newsletter, from delivery to the page behind its link.
pub(crate) fn newsletter(visit: &mut Visit<'_>) {
    let campaign = visit.dice.pick(&["spring-linen", "member-days", "new-arrivals", "rainy-season"]);
    letter(visit, "email_delivered", campaign);
    if visit.dice.chance(OPENED) {
        letter(visit, "email_opened", campaign);
        if visit.dice.chance(CLICKED) {
            click(visit, campaign);
        }
    }
    visit.settle(Facet::Email);
}

fn letter(visit: &mut Visit<'_>, kind: &'static str, campaign: &str) {
    visit.touch(Source::Newsletter, kind).with(Facet::Email).properties().text("campaign", campaign);
    visit.send(60, 1_800);
}

fn click(visit: &mut Visit<'_>, campaign: &str) {
    visit.rotate_cookie();
    visit.touch(Source::Newsletter, "email_link_clicked").with(Facet::Email).with(Facet::Cookie);
    visit.properties().text("campaign", campaign);
    visit.send(1, 5);
    if visit.tied(Facet::Email) {
        visit.note_tied(Facet::Cookie);
    }
    visit.touch(Source::Web, "page_viewed").with(Facet::Cookie).properties().text("page", "/new");
    visit.send(5, 90);
}

/// Messages on LINE, where the shop knows nothing but the LINE id until the account is linked.
pub(crate) fn message(visit: &mut Visit<'_>) {
    if !visit.tied(Facet::Line) || visit.dice.chance(FRIENDS_ANEW) {
        visit.touch(Source::Line, "friend_added").with(Facet::Line).send(5, 60);
    }
    for _ in 0..=visit.dice.run(0.5, 8) {
        let kind = visit.dice.pick(&["message_received", "rich_menu_tapped", "message_opened"]);
        visit.touch(Source::Line, kind).with(Facet::Line).send(5, 120);
    }
    visit.settle(Facet::Line);
}

/// An order from the printed catalogue, by post, fax or telephone, under the customer number printed on it.
pub(crate) fn catalog(visit: &mut Visit<'_>) {
    if visit.dice.chance(0.3) {
        visit.touch(Source::Catalog, "catalog_requested").with(Facet::Contact).introduce().send(60, 600);
    }
    visit.touch(Source::Catalog, "order_completed").with(Facet::Contact).introduce().order();
    let right = visit.also(Facet::Phone);
    visit.send(60, 600);
    visit.settle(Facet::Contact);
    if right && visit.tied(Facet::Contact) {
        visit.note_tied(Facet::Phone);
    }
}
