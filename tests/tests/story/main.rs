//! One customer meets the company through ten channels, each in the form in which that channel's own system speaks, and is
//! one person in the end, with all that was learnt of her, in whatever order the channels deliver.

mod channels;
#[path = "../../../crates/stitcher/tests/mesh/mod.rs"]
mod mesh;
mod process;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use channels::{DELIVERIES, sources};
use expect_test::expect;
use mesh::{Arrival, Mesh, Picture};
use musubi_channels::Source;
use musubi_core::policy::Policy;
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;

/// When the first of them is received: after all of it has happened. 2026-04-10T00:00:00Z.
const RECEIVED: i64 = 1_775_779_200_000_000;
const HOUR: i64 = 3_600_000_000;
/// How many orders are drawn, of 10! there are.
const ORDERS: usize = 400;

/// Orders of the deliveries: as they happened, backwards, and as they are drawn.
pub(crate) fn orders(many: usize) -> Vec<Vec<usize>> {
    let things = DELIVERIES.len();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("less than a usize")
    };
    let drawn = |_| {
        let mut order: Vec<usize> = (0..things).collect();
        (1..things).rev().for_each(|place| order.swap(place, draw(place + 1)));
        order
    };
    let both = [(0..things).collect(), (0..things).rev().collect()];
    both.into_iter().chain((2..many).map(drawn)).collect()
}

/// The touchpoints of the deliveries in this order, each received an hour after the one before.
fn delivered(order: &[usize], sources: &[Source]) -> Result<Vec<Touchpoint>> {
    let mut all = Vec::new();
    for (hour, place) in (0..).zip(order) {
        let received_at = Timestamp::from_micros(RECEIVED + hour * HOUR);
        all.extend(DELIVERIES[*place].take(sources, received_at)?.touchpoints);
    }
    Ok(all)
}

fn told(delivered: &[Touchpoint], policy: &Arc<Policy>, partitions: u32) -> Picture {
    let mut mesh = Mesh::new(policy, partitions);
    for (step, touchpoint) in delivered.iter().enumerate() {
        mesh.arrive(Arrival::Touchpoint(touchpoint.clone()));
        (0..step % 3).for_each(|pick| {
            mesh.hear_one(pick);
        });
        // Every channel sends what it sent once more.
        mesh.arrive(Arrival::Touchpoint(touchpoint.clone()));
    }
    mesh.rest();
    mesh.picture()
}

#[test]
fn ten_channels_are_one_person_in_whatever_order_they_deliver() -> Result<()> {
    let policy = Arc::new(Policy::recommended());
    let as_it_happened: Vec<usize> = (0..DELIVERIES.len()).collect();
    let sources = sources()?;
    let picture = told(&delivered(&as_it_happened, &sources)?, &policy, 1);
    let hers: Vec<&String> = picture.persons.iter().filter(|person| person.contains("user_id:u-100")).collect();
    assert_eq!((hers.len(), picture.persons.len()), (1, 4), "she, and three others: {:#?}", picture.persons);
    expect![[r#"
        anonymous_id:anon-1
        anonymous_id:install-9
        cart_token:cart-1@684
        cart_token:cart-1@685
        checkout_token:out-1@684
        checkout_token:out-1@685
        connect_contact_id:c-2
        crm_id:C-7
        device_id:ios-77
        email:hana.sato@mail-box.jp
        email_sha256:6bc7f2551a0bc8e5eaa59c564d15feabc1b919e40dff8b577418a444fb4e89fb
        email_sha256_google:6bc7f2551a0bc8e5eaa59c564d15feabc1b919e40dff8b577418a444fb4e89fb
        idfa:6d92078a-8246-4ba4-ae5b-76104861e7dc
        line_link_nonce:bm9uY2U@20544
        line_link_nonce:bm9uY2U@20545
        line_user_id:mise:U0000000000000000000000000000000a
        loyalty_card:0490123456783
        order_id:mise-jp:5001@228
        order_id:mise-jp:5001@229
        phone:+819012345678
        phone_sha256:3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64
        phone_sha256_meta:0ad07193350775c6d4377f8b039d32877e66c69a454ed886b05279771c0fca0b
        shopify_customer_id:mise-jp:9001
        user_id:u-100
        zendesk_user_id:mise:77"#]]
    .assert_eq(&hers[0].replace(' ', "\n"));
    expect![[r#"
        channels.app = {"first_seen":1775008800000000,"last_seen":1775009100000000,"touchpoints":2}
        channels.crm = {"first_seen":1775692800000000,"last_seen":1775692800000000,"touchpoints":1}
        channels.ec = {"first_seen":1775127600000000,"last_seen":1775127600000000,"touchpoints":1}
        channels.email = {"first_seen":1775520000000000,"last_seen":1775520000000000,"touchpoints":1}
        channels.phone = {"first_seen":1775354400000000,"last_seen":1775355000000000,"touchpoints":2}
        channels.social = {"first_seen":1775009160000000,"last_seen":1775009160000000,"touchpoints":1}
        channels.store = {"first_seen":1775233800000000,"last_seen":1775233800000000,"touchpoints":1}
        channels.support = {"first_seen":1775440800000000,"last_seen":1775440800000000,"touchpoints":1}
        channels.web = {"first_seen":1775005200000000,"last_seen":1775005200000000,"touchpoints":1}
        channels.webinar = {"first_seen":1775606460000000,"last_seen":1775606460000000,"touchpoints":1}
        computed.contacts = 2
        computed.contacts.phone = 1
        computed.contacts.support = 1
        computed.currencies = ["JPY"]
        computed.first_campaign = "spring"
        computed.largest_order = {"JPY":"24000"}
        computed.last_order_amount = "12800"
        computed.last_order_id = 5001
        computed.orders = 2
        computed.orders.ec = 1
        computed.orders.store = 1
        computed.spent = {"JPY":"36800"}
        computed.spent.ec = {"JPY":"24000"}
        computed.spent.store = {"JPY":"12800"}
        computed.stores = ["銀座本店"]
        consent.email_marketing = true
        first_seen = 1775005200000000
        last_seen = 1775692800000000
        recent = [{"channel":"crm","event_id":"crm.public.contact:4711:c:7fcb58ad0888","properties":{},"source":"crm","time":1775692800000000,"type":"record_created"},{"channel":"webinar","event_id":"webinar.participant_joined:u==:P-1:1775606400000","properties":{"topic":"春の着物"},"source":"seminars","time":1775606460000000,"type":"webinar_attended"},{"channel":"email","event_id":"s-1","properties":{},"source":"letters","time":1775520000000000,"type":"email_link_clicked"},{"channel":"support","event_id":"z-1","properties":{},"source":"help","time":1775440800000000,"type":"ticket_created"},{"channel":"phone","event_id":"c-2:2026-04-05T02:10:00Z","properties":{},"source":"calls","time":1775355000000000,"type":"contact_recorded"},{"channel":"phone","event_id":"c-2","properties":{},"source":"calls","time":1775354400000000,"type":"call_received"},{"channel":"store","event_id":"銀座本店:3:1042:2026-04-03","properties":{"store_id":"銀座本店","total":{"amount":"12800","currency":"JPY"}},"source":"till","time":1775233800000000,"type":"order_completed"},{"channel":"ec","event_id":"orders/create:5001:ev-1","properties":{"order_id":5001,"product_id":77,"total":{"amount":"24000","currency":"JPY"}},"source":"shop","time":1775127600000000,"type":"order_completed"},{"channel":"social","event_id":"01A","properties":{},"source":"line","time":1775009160000000,"type":"account_linked"},{"channel":"app","event_id":"a-2","properties":{},"source":"app","time":1775009100000000,"type":"line_link_started"}]
        traits.family_name = "佐藤"
        traits.first_name = "花"
        traits.given_name = "花""#]].assert_eq(&picture.profiles[hers[0]].join("\n"));
    assert_eq!(picture.quarantined, BTreeSet::new());
    for order in orders(ORDERS) {
        let delivered = delivered(&order, &sources)?;
        for partitions in [1, 3, 8] {
            let other = told(&delivered, &policy, partitions);
            assert_eq!(other.persons, picture.persons, "{order:?}, {partitions} partitions");
            assert_eq!(other.fingerprint, picture.fingerprint, "{order:?}, {partitions} partitions");
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_believed_of_a_file_is_set_aside_and_says_why() -> Result<()> {
    let till = DELIVERIES.iter().find(|delivery| delivery.source == "till").expect("the till delivers");
    let taken = till.take(&sources()?, Timestamp::from_micros(RECEIVED))?;
    let reasons: Vec<&str> = taken.set_aside.iter().map(|aside| aside.reason.as_ref()).collect();
    assert_eq!((taken.touchpoints.len(), reasons), (2, vec!["lost-digits"]));
    Ok(())
}
