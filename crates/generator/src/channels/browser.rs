//! The web site, the shop on it and the product behind it: cookies first, accounts later.

use crate::draft::Source;
use crate::json;
use crate::names::{PAGES, SEARCHES};
use crate::people::Facet;
use crate::visit::{Manner, Visit};

/// After a page: one more.
const NEXT_PAGE: f64 = 0.4;
/// Nobody reads more pages in one visit.
const MOST_PAGES: u32 = 30;
/// Of visits to the shop: end in an order.
const ORDERS: f64 = 0.4;
/// Of orders by people with an account: signed in to it. The others check out as guests, by mail address.
const ORDERS_SIGNED_IN: f64 = 0.93;
/// Of orders: sent back.
const REFUNDS: f64 = 0.04;
/// Crawlers that come again and again under one cookie each.
const CRAWLERS: u64 = 16;

/// A visit to the site without buying.
pub(crate) fn browse(visit: &mut Visit<'_>) {
    visit.rotate_cookie();
    let manner = visit.manner(Facet::Cookie);
    let pages = 1 + visit.dice.run(NEXT_PAGE, MOST_PAGES);
    read(visit, manner, pages);
}

/// Reads pages in this manner; returns whether the visitor is signed in to an account at the end.
fn read(visit: &mut Visit<'_>, manner: Manner, pages: u32) -> bool {
    let mut signed_in = manner == Manner::SignedIn;
    if signed_in {
        visit.touch(Source::Web, "signed_in").with(Facet::User).with(Facet::Cookie).introduce().send(2, 20);
        visit.note_tied(Facet::Cookie);
    }
    for page in 0..pages {
        look(visit, signed_in);
        if manner == Manner::SignsInLater && page == pages / 2 {
            visit.tie(Facet::Cookie);
            signed_in = visit.person.owns(Facet::User);
        }
    }
    signed_in
}

/// One page.
fn look(visit: &mut Visit<'_>, signed_in: bool) {
    match visit.dice.below(8) {
        0..=3 => {
            let page = visit.dice.pick(&PAGES);
            visit.touch(Source::Web, "page_viewed").properties().text("page", page);
        }
        4 => {
            let words = visit.dice.pick(&SEARCHES);
            visit.touch(Source::Web, "products_searched").properties().text("query", words);
        }
        _ => {
            visit.touch(Source::Web, "product_viewed").product();
        }
    }
    visit.with(Facet::Cookie);
    if signed_in {
        visit.with(Facet::User);
    }
    visit.send(5, 120);
}

/// A visit to the shop: looking, filling the cart, and ordering now and then.
pub(crate) fn shop(visit: &mut Visit<'_>) {
    visit.rotate_cookie();
    let manner = visit.manner(Facet::Cookie);
    let pages = 1 + visit.dice.run(NEXT_PAGE / 4.0, MOST_PAGES);
    let mut signed_in = read(visit, manner, pages);
    put_in_cart(visit, signed_in);
    if visit.on_tablet && !signed_in || !visit.dice.chance(ORDERS) {
        return;
    }
    signed_in |= visit.person.owns(Facet::User) && visit.dice.chance(ORDERS_SIGNED_IN);
    visit.touch(Source::Ec, "checkout_started").with(Facet::Cookie);
    if signed_in {
        visit.with(Facet::User);
    }
    visit.send(30, 240);
    order(visit, signed_in);
}

fn put_in_cart(visit: &mut Visit<'_>, signed_in: bool) {
    visit.touch(Source::Ec, "product_added").with(Facet::Cookie).product();
    if signed_in {
        visit.with(Facet::User);
    }
    visit.send(10, 90);
}

fn order(visit: &mut Visit<'_>, signed_in: bool) {
    visit.touch(Source::Ec, "order_completed").introduce().order();
    if signed_in {
        visit.with(Facet::User).with(Facet::Cookie);
        visit.note_tied(Facet::Cookie);
        for facet in [Facet::Email, Facet::Phone] {
            if visit.also(facet) {
                visit.note_tied(facet);
            }
        }
        note_household(visit);
        visit.send(5, 60);
        send_back(visit);
        return;
    }
    let reached_by = visit.person.reached_by();
    visit.with(reached_by).with(Facet::Cookie).send(5, 60);
    visit.settle(reached_by);
    if visit.tied(reached_by) {
        visit.note_tied(Facet::Cookie);
    }
}

/// The shop knows a household by its address.
fn note_household(visit: &mut Visit<'_>) {
    if visit.person.household.size > 1 {
        let (population, person) = (visit.population, &visit.person);
        let name = if visit.shape == crate::Shape::B2b { "account" } else { "household" };
        visit.draft.context.spelled(name, |out| population.write_household(person, out));
    }
}

fn send_back(visit: &mut Visit<'_>) {
    if visit.dice.chance(REFUNDS) {
        visit.now += visit.dice.between(60, 600) * crate::calendar::MINUTE;
        visit.touch(Source::Ec, "order_refunded").with(Facet::User);
        visit.send(5, 60);
    }
}

/// Work in the product: always signed in.
pub(crate) fn work(visit: &mut Visit<'_>) {
    visit.rotate_cookie();
    for _ in 0..=visit.dice.run(NEXT_PAGE, MOST_PAGES) {
        let kind = visit.dice.pick(&["report_viewed", "feature_used", "dashboard_opened", "member_invited"]);
        visit.touch(Source::Product, kind).with(Facet::User).with(Facet::Cookie).send(20, 600);
    }
    visit.note_tied(Facet::Cookie);
}

/// A document downloaded against a mail address.
pub(crate) fn download(visit: &mut Visit<'_>) {
    visit.rotate_cookie();
    for _ in 0..=visit.dice.run(NEXT_PAGE, 4) {
        look(visit, false);
    }
    let document = visit.dice.pick(&["価格表", "導入事例集", "製品カタログ", "セキュリティ白書"]);
    visit
        .touch(Source::Web, "document_downloaded")
        .with(Facet::Cookie)
        .introduce()
        .properties()
        .text("document", document);
    let right = visit.also(Facet::Email);
    visit.send(5, 60);
    visit.settle(Facet::Email);
    if right && visit.tied(Facet::Email) {
        visit.note_tied(Facet::Cookie);
    }
}

/// A crawler reads a few pages under a cookie of its own: touchpoints of nobody.
pub(crate) fn crawl(visit: &mut Visit<'_>) {
    let crawler = visit.dice.below(CRAWLERS);
    for _ in 0..=visit.dice.run(NEXT_PAGE, MOST_PAGES) {
        let page = visit.dice.pick(&PAGES);
        visit.touch_by_nobody(Source::Web, "page_viewed").properties().text("page", page).flag("bot", true);
        visit.draft.identify(Facet::Cookie.namespace(), |out| {
            out.extend_from_slice(b"mb1.crawler");
            json::padded(out, crawler, 2);
        });
        visit.send(1, 3);
    }
}
