//! SDKs and webhooks of the web: Segment and RudderStack, PostHog, Snowplow, GA4, CloudEvents, anything that posts JSON.

use crate::common::of;
use expect_test::expect;

const SEGMENT: &str = "preset = \"segment\"";

#[test]
fn a_batch_of_segment_is_a_touchpoint_a_call() {
    let body = r#"{"batch":[
      {"type":"identify","messageId":"m-1","userId":"u-1","anonymousId":"a-1","timestamp":"2026-04-01T02:00:00.123Z",
       "traits":{"email":"Taro@Shop.jp","firstName":"太郎","age":null,"plan":""},
       "context":{"page":{"path":"/login","title":"Login"},"device":{"id":"D-1","advertisingId":"ABC","adTrackingEnabled":true,"type":"ios"}}},
      {"type":"track","event":"Order Completed","messageId":"m-2","userId":12345,"anonymousId":null,"originalTimestamp":"2026-04-01T01:00:00Z","timestamp":"2026-04-01T02:00:00Z",
       "properties":{"order_id":"o-1","total":12800.10,"currency":"JPY","products":[{"sku":"x"}]}},
      {"type":"alias","messageId":"m-3","userId":"u-1","previousId":"a-0"},
      {"type":"group","messageId":"m-4","userId":"u-1","groupId":"g-1","traits":{"name":"Acme"}},
      {"type":"page","messageId":"m-5","anonymousId":"a-1","name":"Home","context":{"externalId":[{"type":"brazeExternalId","id":"b-1"}]}},
      "rubbish",
      {"type":"track","messageId":"m-6","userId":"u-1","event":"x","timestamp":"not a time"}
    ],"sentAt":"2026-04-01T02:00:01Z","context":{"library":{"name":"analytics-node"}}}"#;
    expect![[r#"
        app identified m-1 2026-04-01T02:00:00.123000Z
          ids user_id:u-1 anonymous_id:a-1 email:Taro@Shop.jp device_id:D-1 idfa:abc
          traits {"first_name":"太郎"}
          properties {"page":"/login","title":"Login"}
        web order_completed m-2 2026-04-01T02:00:00Z
          ids user_id:12345 order_id:o-1
          properties {"currency":"JPY","order_id":"o-1","original_timestamp":"2026-04-01T01:00:00Z","products":[{"sku":"x"}],"total":{"amount":"12800.10","currency":"JPY"}}
        web aliased m-3 2026-04-01T03:00:00Z
          ids user_id:u-1 anonymous_id:a-0
        web account_joined m-4 2026-04-01T03:00:00Z
          ids user_id:u-1
          properties {"group_traits":{"name":"Acme"}}
          context {"account":"g-1"}
        web page_viewed m-5 2026-04-01T03:00:00Z
          ids anonymous_id:a-1 braze_external_id:b-1
          properties {"name":"Home"}
        aside item 5 ? wrong-type: wanted an object for a call
        aside item 6 ? unmappable: item 6: wanted an instant, found `"not a time"`
    "#]].assert_eq(&of(SEGMENT, "/v1/batch", &[], body));
}

#[test]
fn a_single_call_is_known_by_its_path_and_rudder_by_its_header() {
    let body = r#"{"messageId":"m","event":"Product Viewed","properties":{"product_id":"p"},"writeKey":"w"}"#;
    expect![[r#"
        web product_viewed m 2026-04-01T03:00:00Z
          ids anonymous_id:a-9
          properties {"product_id":"p"}
    "#]]
    .assert_eq(&of(SEGMENT, "/v1/t", &[("AnonymousId", "YS05")], body));
}

#[test]
fn what_is_null_or_empty_is_absent_and_a_number_is_its_digits() {
    let body = r#"{"batch":[
      {"type":"track","event":"x","messageId":"m1","userId":"u-1","anonymousId":null},
      {"type":"track","event":"x","messageId":"m2","userId":"","anonymousId":"a-1"},
      {"type":"track","event":"x","messageId":"m3","userId":999,"anonymousId":null,"traits":null,"properties":null,"context":null},
      {"type":"track","event":"x","messageId":"m4","userId":null,"anonymousId":""}]}"#;
    expect![[r#"
        web x m1 2026-04-01T03:00:00Z
          ids user_id:u-1
        web x m2 2026-04-01T03:00:00Z
          ids anonymous_id:a-1
        web x m3 2026-04-01T03:00:00Z
          ids user_id:999
        web x m4 2026-04-01T03:00:00Z
          ids 
    "#]]
    .assert_eq(&of(SEGMENT, "/v1/batch", &[], body));
}

#[test]
fn a_link_does_not_sign_anybody_in() {
    let body = r#"{"type":"identify","messageId":"m","userId":"u-qs","anonymousId":"a-1","traits":{"email":"qs@shop.jp"},
      "context":{"page":{"search":"?ajs_uid=u-qs&ajs_trait_email=qs%40shop.jp"}}}"#;
    expect![[r#"
        web identified m 2026-04-01T03:00:00Z
          ids anonymous_id:a-1
    "#]]
    .assert_eq(&of(SEGMENT, "/v1/i", &[], body));
    expect![[r#"
        web identified m 2026-04-01T03:00:00Z
          ids user_id:u-qs anonymous_id:a-1 email:qs@shop.jp
    "#]]
    .assert_eq(&of("preset = \"segment\"\ntrust_link_identifiers = true", "/v1/i", &[], body));
}

#[test]
fn posthog_joins_the_anonymous_to_the_known() {
    let body = r#"{"api_key":"k","batch":[
      {"event":"$pageview","distinct_id":"d-1","uuid":"u1","timestamp":"2026-04-01T02:00:00Z","properties":{"$device_id":"d-1","$current_url":"https://shop.jp/","token":"t"}},
      {"event":"$identify","distinct_id":"u-1","uuid":"u2","properties":{"$anon_distinct_id":"d-1","$device_id":"d-1"},"$set":{"email":"a@shop.jp","plan":"pro"}},
      {"event":"product viewed","distinct_id":"u-1","uuid":"u3","properties":{"product_id":"p"}},
      {"event":"$groupidentify","distinct_id":"u-1","uuid":"u4","properties":{"$group_type":"company","$group_key":"acme"}}
    ],"sent_at":"2026-04-01T02:00:02Z"}"#;
    expect![[r#"
        product page_viewed u1 2026-04-01T02:00:00Z
          ids anonymous_id:d-1
          properties {"page":"https://shop.jp/"}
        product identified u2 2026-04-01T03:00:00Z
          ids anonymous_id:d-1 email:a@shop.jp user_id:u-1
          traits {"plan":"pro"}
        product product_viewed u3 2026-04-01T03:00:00Z
          ids user_id:u-1
          properties {"product_id":"p"}
        product account_updated u4 2026-04-01T03:00:00Z
          ids user_id:u-1
          context {"account":"acme"}
    "#]]
    .assert_eq(&of("preset = \"posthog\"", "/batch/", &[], body));
}

#[test]
fn snowplow_is_read_from_posts_and_pixels() {
    let body = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[
      {"e":"pv","eid":"e1","dtm":"1775008800000","stm":"1775008801000","uid":"u-1","duid":"du-1","tnuid":"tn-1","url":"https://shop.jp/a","page":"A"},
      {"e":"ue","eid":"e2","dtm":"1775008800000","ttm":"1775005200000","duid":"du-1",
       "ue_px":"eyJzY2hlbWEiOiJpZ2x1OmNvbS5zbm93cGxvdy91bnN0cnVjdF9ldmVudC9qc29uc2NoZW1hLzEtMC0wIiwiZGF0YSI6eyJzY2hlbWEiOiJpZ2x1OmNvbS5hY21lL3Byb2R1Y3Rfdmlld2VkL2pzb25zY2hlbWEvMS0wLTAiLCJkYXRhIjp7InNrdSI6InMtMSJ9fX0",
       "co":"{\"data\":[{\"schema\":\"iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2\",\"data\":{\"userId\":\"inst-1\"}}]}"},
      {"e":"ue","eid":"e3","duid":"x","ue_pr":"{broken"}]}"#;
    expect![[r#"
        web page_viewed e1 2026-04-01T02:00:00Z
          ids user_id:u-1 anonymous_id:du-1 cookie:tn-1
          properties {"page":"https://shop.jp/a","title":"A"}
        web product_viewed e2 2026-04-01T01:00:00Z
          ids anonymous_id:du-1 device_id:inst-1
          properties {"sku":"s-1"}
        aside item 2 ? unmappable: item 2: wanted JSON in a text: key must be a string at line 1 column 2
    "#]]
    .assert_eq(&of("preset = \"snowplow\"", "/com.snowplowanalytics.snowplow/tp2", &[], body));
    let source = crate::common::open("preset = \"snowplow\"");
    let request = musubi_channels::Request {
        method: "GET",
        path: "/i",
        query: "e=pv&eid=e9&duid=du-9&url=https%3A%2F%2Fshop.jp%2F&dtm=1775008800000",
        headers: &[],
        body: b"",
        received_at: crate::common::received(),
    };
    let outcome = source.take(&request);
    assert_eq!((outcome.answer.status, outcome.answer.content_type), (200, "image/gif"));
    expect![[r#"
        web page_viewed e9 2026-04-01T02:00:00Z
          ids anonymous_id:du-9
          properties {"page":"https://shop.jp/"}
    "#]]
    .assert_eq(&crate::common::told(&outcome.taken));
}

#[test]
fn ga4_sends_hashes_that_are_no_junk() {
    let body = r#"{"client_id":"c.1","user_id":"u-1","timestamp_micros":"1775008800000000",
      "user_data":{"sha256_email_address":["430116ef8e3354019be1e95115092c048e55f573160d0f4dc6b978b2ebe217a6","e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
      "consent":{"ad_user_data":"DENIED"},
      "events":[{"name":"purchase","params":{"transaction_id":"T-1","value":5400,"currency":"JPY","items":[{"item_id":"i-1"}]}},{"name":"page_view","params":{"page_location":"/"}}]}"#;
    expect![[r#"
        web order_completed purchase:T-1 2026-04-01T02:00:00Z
          ids user_id:u-1 ga_client_id:c.1 email_sha256_google:430116ef8e3354019be1e95115092c048e55f573160d0f4dc6b978b2ebe217a6
          properties {"currency":"JPY","order_id":"T-1","product_id":"i-1","total":{"amount":"5400","currency":"JPY"},"transaction_id":"T-1","value":5400}
          consent {"ad_user_data":false}
        web page_viewed sha256:67b5633dca60fb1e7c46c8b6cc87dd31cdc122270fc56b13cab85156517d64e1 2026-04-01T02:00:00Z
          ids user_id:u-1 ga_client_id:c.1 email_sha256_google:430116ef8e3354019be1e95115092c048e55f573160d0f4dc6b978b2ebe217a6
          properties {"page":"/","page_location":"/"}
          consent {"ad_user_data":false}
    "#]].assert_eq(&of("preset = \"ga4\"", "/mp/collect", &[], body));
}

#[test]
fn a_cloudevent_is_one_in_each_of_its_three_forms() {
    let settings = "preset = \"cloudevents\"\nfields = { identifiers = { \"customer.mail\" = \"email\", \"ce.subject\" = \"user_id\" } }";
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/shop"),
        ("ce-type", "jp.shop.Order Placed"),
        ("ce-time", "2026-04-01T02:00:00Z"),
        ("ce-subject", "u-1"),
    ];
    let mut told = of(settings, "", &binary, r#"{"customer":{"mail":"a@shop.jp"},"n":1}"#);
    told += &of(
        settings,
        "",
        &[],
        r#"{"specversion":"1.0","id":"2","source":"/shop","type":"viewed","subject":"u-2","data":{"customer":{"mail":"b@shop.jp"}}}"#,
    );
    told += &of(
        settings,
        "",
        &[],
        r#"[{"specversion":"1.0","id":"3","source":"/shop","type":"viewed","data_base64":"eyJjdXN0b21lciI6eyJtYWlsIjoiY0BzaG9wLmpwIn19"},{"id":"4"}]"#,
    );
    told += &of(
        "preset = \"cloudevents\"",
        "",
        &[],
        r#"{"specversion":"1.0","id":"5","source":"/shop","type":"t","data":{"identifiers":[{"namespace":"user_id","value":"u-5"}]}}"#,
    );
    expect![[r#"
        web jp_shop_order_placed /shop:1 2026-04-01T02:00:00Z
          ids user_id:u-1 email:a@shop.jp
          properties {"customer":{"mail":"a@shop.jp"},"n":1}
        web viewed /shop:2 2026-04-01T03:00:00Z
          ids user_id:u-2 email:b@shop.jp
          properties {"customer":{"mail":"b@shop.jp"}}
        web viewed /shop:3 2026-04-01T03:00:00Z
          ids email:c@shop.jp
          properties {"customer":{"mail":"c@shop.jp"}}
        aside item 1 ? wrong-type: wanted a CloudEvent, with `specversion`
        web t /shop:5 2026-04-01T03:00:00Z
          ids user_id:u-5
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_webhook_is_what_its_fields_say() {
    let settings = r#"
        channel = "travel"
        [fields]
        items = "data.bookings"
        event_id = ["id", "rev"]
        type_field = "status"
        occurred_at = ["day", "time"]
        amount = "price"
        currency = "JPY"
        identifiers = { "guest.mail" = "email", "guest.tel" = "phone", member = "loyalty_card" }
        traits = { "guest.name" = "name" }
        consent = { newsletter = "email_marketing" }
    "#;
    let body = r#"{"data":{"bookings":[
      {"id":7,"rev":2,"status":"Booking Confirmed","day":"2026/4/1","time":"25:30","price":"12,800","guest":{"mail":"a@shop.jp","tel":"090-1234-5678","name":"花子"},"member":"","newsletter":"希望しない"},
      {"id":8,"rev":1,"day":"never","guest":{}}, 5]}}"#;
    expect![[r#"
        travel booking_confirmed 7:2 2026-04-01T16:30:00Z
          ids email:a@shop.jp phone:090-1234-5678
          traits {"name":"花子"}
          properties {"day":"2026/4/1","guest":{"mail":"a@shop.jp","name":"花子","tel":"090-1234-5678"},"id":7,"price":"12,800","rev":2,"status":"Booking Confirmed","time":"25:30","total":{"amount":"12800","currency":"JPY"}}
          consent {"email_marketing":false}
        aside item 1 ? unmappable: item 1: wanted an instant, found `"never"`
        aside item 2 ? wrong-type: wanted an object for an item
    "#]].assert_eq(&of(settings, "", &[], body));
    let canonical = r#"[{"type":"store_visited","occurred_at":"2026-04-01T10:00:00+09:00","identifiers":[{"namespace":"email","value":"a@shop.jp"}],"source":"forged"}]"#;
    expect![[r#"
        web store_visited msg_1 2026-04-01T01:00:00Z
          ids email:a@shop.jp
    "#]]
    .assert_eq(&of("", "", &[("webhook-id", "msg_1")], canonical));
}
