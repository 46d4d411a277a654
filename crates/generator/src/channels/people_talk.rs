//! Where people talk: the call centre, chat and support, webinars and seminars, sales.

use crate::draft::Source;
use crate::junk;
use crate::names::TOPICS;
use crate::people::Facet;
use crate::visit::Visit;

/// Of calls from a family's telephone: the agent asks who is calling.
const FAMILY_CALLERS_ASKED: f64 = 0.9;
/// Of calls with the number withheld: the agent finds out who it is.
const WITHHELD_CALLERS_ASKED: f64 = 0.8;
/// Of support cases by people with an account: opened from it.
const CASES_FROM_ACCOUNT: f64 = 0.6;

/// A call.
pub(crate) fn call(visit: &mut Visit<'_>) {
    let topic = visit.dice.pick(&TOPICS);
    if visit.dice.chance(visit.rates.withheld) {
        withheld(visit, topic);
        return;
    }
    let asked = visit.person.household.phone && visit.dice.chance(FAMILY_CALLERS_ASKED);
    for kind in ["call_received", "call_completed"] {
        visit.touch(Source::CallCentre, kind).with(Facet::Phone).properties().text("topic", topic);
        if asked {
            visit.with_account();
        }
        visit.send(120, 600);
    }
    if asked {
        visit.note_tied(Facet::Phone);
    }
    visit.settle(Facet::Phone);
}

/// A call without a number. Where the agent finds out who it is, that is all there is to go by.
fn withheld(visit: &mut Visit<'_>, topic: &str) {
    let primary = visit.person.primary.filter(|_| visit.dice.chance(WITHHELD_CALLERS_ASKED));
    let shown = junk::withheld(visit.dice);
    visit.touch(Source::CallCentre, "call_received").properties().text("topic", topic);
    visit.draft.identify(Facet::Phone.namespace(), |out| out.extend_from_slice(shown.as_bytes()));
    if let Some(primary) = primary {
        visit.with(primary);
    }
    visit.send(120, 600);
}

/// A question in the chat or by mail.
pub(crate) fn support(visit: &mut Visit<'_>) {
    let topic = visit.dice.pick(&TOPICS);
    if visit.dice.chance(0.5) {
        chat(visit, topic);
    } else {
        case(visit, topic);
    }
    visit.settle(Facet::Email);
}

fn chat(visit: &mut Visit<'_>, topic: &str) {
    visit.rotate_cookie();
    visit.touch(Source::Chat, "live_chat_started").with(Facet::Cookie).properties().text("topic", topic);
    visit.send(10, 120);
    visit.touch(Source::Chat, "live_chat_ended").with(Facet::Cookie).with(Facet::Email).introduce();
    visit.send(10, 120);
    visit.settle(Facet::Email);
    if visit.tied(Facet::Email) {
        visit.note_tied(Facet::Cookie);
    }
}

fn case(visit: &mut Visit<'_>, topic: &str) {
    let from_account = visit.person.owns(Facet::User) && visit.dice.chance(CASES_FROM_ACCOUNT);
    for kind in ["ticket_created", "ticket_solved"] {
        visit.touch(Source::Support, kind).with(Facet::Email).properties().text("topic", topic);
        if from_account {
            visit.with(Facet::User);
        }
        visit.send(600, 7_200);
    }
    if from_account {
        visit.note_tied(Facet::Email);
    }
}

/// A webinar, or a seminar in a shop: registered, then attended.
pub(crate) fn webinar(visit: &mut Visit<'_>) {
    let title = visit.dice.pick(&["はじめての革の手入れ", "春のコーディネート", "データ活用セミナー", "製品説明会"]);
    visit.touch(Source::Webinar, "webinar_registered").with(Facet::Email).introduce();
    visit.properties().text("title", title);
    visit.send(3_600, 90_000);
    if visit.dice.chance(0.6) {
        visit.touch(Source::Webinar, "seminar_attended").with(Facet::Email).properties().text("title", title);
        visit.send(60, 600);
    }
    visit.settle(Facet::Email);
}

/// Sales: a contact in the CRM, a meeting, an opportunity.
pub(crate) fn sales(visit: &mut Visit<'_>) {
    for _ in 0..=visit.dice.run(0.4, 6) {
        let kind = visit.dice.pick(&["meeting_held", "opportunity_updated", "business_card_scanned", "call_logged"]);
        visit.touch(Source::Sales, kind).with(Facet::Contact).introduce();
        for (facet, rate) in [(Facet::Email, 0.5), (Facet::Phone, 0.3)] {
            if visit.dice.chance(rate) && visit.also(facet) && visit.tied(Facet::Contact) {
                visit.note_tied(facet);
            }
        }
        visit.send(60, 1_800);
    }
    visit.settle(Facet::Contact);
}
