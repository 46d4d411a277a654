//! Shops and tills: Shopify, Square, Smaregi.

use crate::common::of;
use expect_test::expect;

#[test]
fn an_order_of_shopify_ties_cart_mail_and_customer() {
    let body = r#"{"id":820982911946154508,"email":"jon@shop.jp","contact_email":"jon@shop.jp","phone":null,"name":"S9999","cart_token":"c-1","checkout_token":"k-1",
      "created_at":"2026-04-01T10:00:00+09:00","updated_at":"2026-04-01T10:00:05+09:00","processed_at":null,"currency":"JPY","total_price":"3980.00","source_name":"web","user_id":null,"location_id":null,
      "note_attributes":[{"name":"rudderAnonymousId","value":"anon-1"}],"line_items":[{"product_id":632910392,"sku":"IPOD","title":"Nano","quantity":1,"price":"3980.00"}],
      "customer":{"id":115310627314723954,"email":"john@shop.jp","first_name":"John","phone":"+819012345678","email_marketing_consent":{"state":"unsubscribed"}}}"#;
    let headers = [
        ("X-Shopify-Topic", "orders/create"),
        ("X-Shopify-Event-Id", "ev-1"),
        ("X-Shopify-Webhook-Id", "wh-1"),
        ("X-Shopify-Triggered-At", "2026-04-01T01:00:06Z"),
    ];
    expect![[r#"
        ec order_completed orders/create:820982911946154508:ev-1 2026-04-01T01:00:00Z
          ids anonymous_id:anon-1 cart_token:c-1 checkout_token:k-1 email:john@shop.jp email:jon@shop.jp order_id:shop-jp:820982911946154508 phone:+819012345678 shopify_customer_id:shop-jp:115310627314723954
          traits {"first_name":"John"}
          properties {"order_id":820982911946154508,"order_name":"S9999","product_id":632910392,"products":[{"price":"3980.00","product_id":632910392,"quantity":1,"sku":"IPOD","title":"Nano"}],"sales_channel":"web","total":{"amount":"3980.00","currency":"JPY"}}
          consent {"email_marketing":false}
    "#]].assert_eq(&of("preset = \"shopify\"\nscope = \"shop-jp\"", "", &headers, body));
}

#[test]
fn other_topics_of_shopify_are_what_they_are_about() {
    let of = |topic: &str, body: &str| {
        of("preset = \"shopify\"", "", &[("x-shopify-topic", topic), ("x-shopify-webhook-id", "w")], body)
    };
    let mut told = of("carts/update", r#"{"id":"t-1","token":"t-1","updated_at":"2026-04-01T01:00:00Z"}"#);
    told += &of(
        "customers/update",
        r#"{"id":5,"email":"a@shop.jp","updated_at":"2026-04-01T01:00:00Z","tags":"vip","default_address":{"country_code":"JP"}}"#,
    );
    told += &of(
        "refunds/create",
        r#"{"id":9,"order_id":820,"created_at":"2026-04-01T01:00:00Z","transactions":[{"amount":"10.00"}]}"#,
    );
    told += &of("customers/redact", r#"{"customer":{"id":5}}"#);
    told += &of("orders/create", r#"{"id":1,"source_name":"pos","location_id":77,"user_id":3,"customer":{"id":6}}"#);
    told += &of("orders/create", "[1]");
    expect![[r#"
        ec cart_updated carts/update:t-1:w 2026-04-01T01:00:00Z
          ids cart_token:t-1
        ec contact_updated customers/update:5:w 2026-04-01T01:00:00Z
          ids email:a@shop.jp shopify_customer_id:5
          traits {"country":"JP","tags":"vip"}
        ec order_refunded refunds/create:9:w 2026-04-01T01:00:00Z
          ids order_id:820
          properties {"order_id":820,"total":{"amount":"10.00"}}
        aside item 0 ? erasure-request: Shopify asks for the erasure of a customer: an operator has to decide
        store order_completed orders/create:1:w 2026-04-01T03:00:00Z
          ids order_id:1 shopify_customer_id:6
          properties {"order_id":1,"sales_channel":"pos","store_id":77}
        aside item 0 ? wrong-type: wanted an object
    "#]]
    .assert_eq(&told);
}

#[test]
fn square_counts_in_the_smallest_unit() {
    let payment = r#"{"merchant_id":"M","type":"payment.updated","event_id":"e-1","created_at":"2026-04-01T01:00:00Z","data":{"type":"payment","id":"p","object":{"payment":{"id":"p","status":"COMPLETED","customer_id":"C1","buyer_email_address":"a@shop.jp","order_id":"O1","location_id":"L1","amount_money":{"amount":1999,"currency":"USD"},"updated_at":"2026-04-01T01:00:01Z"}}}}"#;
    let customer = r#"{"type":"customer.updated","event_id":"e-2","created_at":"2026-04-01T01:00:00Z","data":{"object":{"customer":{"id":"C1","email_address":"a@shop.jp","phone_number":"090-1234-5678","given_name":"花子"}}}}"#;
    let loyalty = r#"{"type":"loyalty.event.created","event_id":"e-3","created_at":"2026-04-01T01:00:00Z","data":{"object":{"loyalty_event":{"type":"ACCUMULATE_POINTS","loyalty_account_id":"A1","location_id":"L1","accumulate_points":{"points":12}}}}}"#;
    let mut told = String::new();
    for body in [payment, customer, loyalty] {
        told += &of("preset = \"square\"", "", &[], body);
    }
    expect![[r#"
        store order_completed e-1 2026-04-01T01:00:01Z
          ids square_customer_id:C1 email:a@shop.jp order_id:O1
          properties {"order_id":"O1","status":"COMPLETED","store_id":"L1","total":{"amount":"19.99","currency":"USD"}}
        store contact_updated e-2 2026-04-01T01:00:00Z
          ids square_customer_id:C1 email:a@shop.jp phone:090-1234-5678
          traits {"first_name":"花子"}
        store points_earned e-3 2026-04-01T01:00:00Z
          ids square_loyalty_account:A1
          properties {"points":12,"store_id":"L1"}
    "#]]
    .assert_eq(&told);
}

#[test]
fn smaregi_tells_ids_and_is_asked_for_the_rest() {
    let notify = r#"{"contractId":"sb_1","event":"pos:transactions","action":"created","transactionHeadIds":["25"]}"#;
    assert_eq!(of("preset = \"smaregi\"", "", &[], notify), "", "nobody is in a notification");
    let sale = r#"{"contractId":"sb_1","transaction":{"transactionHeadId":"25","transactionHeadDivision":"1","cancelDivision":"0","total":"12800","returnAmount":"0","customerId":"31","customerCode":"4901234567894","storeId":"1","terminalId":"2","terminalTranId":"77","newPoint":"128","spendPoint":"0","totalPoint":"1280","terminalTranDateTime":"2026-04-01T10:00:00+09:00","updDateTime":"2026-04-01T10:00:02+09:00"}}"#;
    let member = r#"[{"contractId":"sb_1","member":{"customerId":"31","customerCode":"4901234567894","phoneNumber":"","mobileNumber":"090-1234-5678","mailAddress":"a@shop.jp","mailAddress2":null,"lastName":"山田","mailReceiveFlag":"0","updDateTime":"2026-04-01T10:00:02+09:00"}}]"#;
    let nobody =
        r#"{"contractId":"sb_1","transaction":{"transactionHeadId":"26","customerId":null,"customerCode":null}}"#;
    let mut told = String::new();
    for body in [sale, member, nobody, r#"{"contractId":"sb_1"}"#] {
        told += &of("preset = \"smaregi\"", "", &[], body);
    }
    expect![[r#"
        store order_completed sb_1:25:2026-04-01T10:00:02+09:00 2026-04-01T01:00:00Z
          ids loyalty_card:4901234567894 smaregi_customer_id:sb_1:31
          traits {"points":"1280"}
          properties {"order_id":"25","points_earned":"128","points_used":"0","receipt":"77","store_id":"1","till":"2","total":{"amount":"12800","currency":"JPY"}}
        store contact_updated sb_1:member:31:2026-04-01T10:00:02+09:00 2026-04-01T01:00:02Z
          ids email:a@shop.jp loyalty_card:4901234567894 phone:090-1234-5678 smaregi_customer_id:sb_1:31
          traits {"last_name":"山田"}
          consent {"email_marketing":false}
        aside item 0 ? wrong-type: wanted `transaction` or `member`, as the API has them
    "#]].assert_eq(&told);
}
