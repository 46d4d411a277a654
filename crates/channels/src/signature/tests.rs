//! Signatures that the vendors' own libraries made or took, and formulas computed by another implementation of HMAC.

use super::*;

const SIGNED_AT: i64 = 1_767_323_045;

/// A request as its sender signed it.
struct Case<'a> {
    scheme: Scheme,
    secret: &'a str,
    url: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
}

impl Case<'_> {
    fn check_at(&self, second: i64, body: &str, secret: &str) -> Result<(), &'static str> {
        let received_at = Timestamp::from_micros(second * 1_000_000);
        let headers = self.headers;
        let request =
            Request { method: "POST", path: "", query: self.query, headers, body: body.as_bytes(), received_at };
        let window = 300 * 1_000_000;
        check(
            &self.scheme,
            &[Secret::new("another"), Secret::new(secret)],
            &Check { request: &request, url: self.url, window },
        )
        .map_err(|unsigned| unsigned.reason)
    }

    /// Taken as it is; refused with another body, another secret, without its headers and, where it has one, at another
    /// time.
    fn holds(&self, has_time: bool) {
        let scheme = &self.scheme;
        assert_eq!(self.check_at(SIGNED_AT + 30, self.body, self.secret), Ok(()), "{scheme:?}");
        assert_eq!(
            self.check_at(SIGNED_AT + 30, &format!("{} ", self.body), self.secret),
            Err("bad-signature"),
            "{scheme:?}"
        );
        assert_eq!(self.check_at(SIGNED_AT + 30, self.body, "wrong"), Err("bad-signature"), "{scheme:?}");
        let late = self.check_at(SIGNED_AT + 301, self.body, self.secret);
        let early = self.check_at(SIGNED_AT - 301, self.body, self.secret);
        let elsewhere = if has_time { Err("stale-signature") } else { Ok(()) };
        assert_eq!((late, early), (elsewhere, elsewhere), "{scheme:?}");
        let bare = Case { headers: &[], scheme: scheme.clone(), ..*self };
        assert_eq!(bare.check_at(SIGNED_AT + 30, self.body, self.secret), Err("missing-signature"), "{scheme:?}");
    }
}

/// A signature of the body alone.
fn of_body(scheme: Scheme, secret: &str, header: (&str, &str), body: &str) {
    Case { scheme, secret, url: "", query: "", headers: &[header], body }.holds(false);
}

#[test]
fn line_shopify_meta_intercom_sign_the_body() {
    let body = r#"{"destination":"U00000000000000000000000000000001","events":[{"type":"accountLink","webhookEventId":"01H0000000000000000000000A","deliveryContext":{"isRedelivery":false},"timestamp":1767323045678,"mode":"active","source":{"type":"user","userId":"U4af4980629aaaaaaaaaaaaaaaaaaaaaa"},"replyToken":"r","link":{"result":"ok","nonce":"bm9uY2U"}}]}"#;
    of_body(Scheme::Line, "line-secret", ("x-line-signature", "eFNn2ouf25xXlh7mVRRGDJT1orFiqrOyedF20zN/bWE="), body);
    let body = r#"{"id":820982911946154508,"email":"jon@shop.example"}"#;
    let header = ("X-Shopify-Hmac-SHA256", "qQSbcNSkQY6kXKivjNhtrUpVcnd1YaTCu5XSBv/ElPY=");
    of_body(Scheme::Shopify, "shopify-secret", header, body);
    let body = "{\"object\":\"instagram\",\"entry\":[{\"id\":\"1784\",\"time\":1767323045,\"messaging\":[{\"sender\":{\"id\":\"IGSID\"},\"recipient\":{\"id\":\"1784\"},\"timestamp\":1767323045678,\"message\":{\"mid\":\"m\",\"text\":\"\\u3053\\u3093\"}}]}]}";
    let header = ("X-Hub-Signature-256", "sha256=c2c35cd469d61a7ca48308e5e6455313fd44015d0a051770063548bc70fb144e");
    of_body(Scheme::Meta, "appsec", header, body);
    let body = r#"{"type":"notification_event","id":"notif_1","topic":"conversation.user.created","created_at":1767323045,"delivery_attempts":1,"data":{"item":{}}}"#;
    of_body(Scheme::Intercom, "icsec", ("X-Hub-Signature", "sha1=d298136fe179ee583f5c1526f45f8d89cb0301a5"), body);
    let plain = Plain {
        header: "x-line-signature".into(),
        prefix: String::new(),
        hash: Hash::Sha256,
        encoding: Encoding::Base64,
    };
    of_body(
        Scheme::Hmac(plain),
        "shopify-secret",
        ("x-line-signature", header_of_shopify()),
        r#"{"id":820982911946154508,"email":"jon@shop.example"}"#,
    );
}

const fn header_of_shopify() -> &'static str {
    "qQSbcNSkQY6kXKivjNhtrUpVcnd1YaTCu5XSBv/ElPY="
}

#[test]
fn those_who_sign_a_time_are_held_to_it() {
    let zoom = r#"{"event":"webinar.registration_created","event_ts":1767323045678,"payload":{"account_id":"A","object":{"uuid":"u==","id":"123","topic":"t","registrant":{"id":"r1","email":"a@example.jp","first_name":"花子"}}}}"#;
    let headers = [
        ("x-zm-request-timestamp", "1767323045"),
        ("x-zm-signature", "v0=52610f0e3aada5317fd88784fae441c7c8155fa4fd14eb1edd4d0f5624ae1804"),
    ];
    Case { scheme: Scheme::Zoom, secret: "zoomsecret", url: "", query: "", headers: &headers, body: zoom }.holds(true);
    let zendesk = r#"{"type":"zen:event-type:user.active_changed","id":"2b24ef10","time":"2026-01-02T03:04:05Z"}"#;
    let headers = [
        ("x-zendesk-webhook-signature", "5dxdhcyXwi51kKpgGvL7Dta4OejIs0ThRHdZfYZmEo8="),
        ("x-zendesk-webhook-signature-timestamp", "2026-01-02T03:04:05Z"),
    ];
    Case { scheme: Scheme::Zendesk, secret: "zdsec", url: "", query: "", headers: &headers, body: zendesk }.holds(true);
    let headers = [
        ("X-Slack-Request-Timestamp", "1767323045"),
        ("X-Slack-Signature", "v0=6a1afa76642a169b210d8401d1706ba023291909dfcc12e904c0e733c87516bf"),
    ];
    Case { scheme: Scheme::Slack, secret: "slack-secret", url: "", query: "", headers: &headers, body: "token=x" }
        .holds(true);
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1767323045"),
        ("webhook-signature", "v2,x v1,bm8= v1,2AV5a/rt7u2dR1gX4dMyQGqwPnbYFQlvYOuCGmJS4nU="),
    ];
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    Case { scheme: Scheme::StandardWebhooks, secret, url: "", query: "", headers: &headers, body: r#"{"a":1}"# }
        .holds(true);
}

#[test]
fn sendgrid_signs_with_a_curve() {
    let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgqYlxqb67v9flDzmSqYgNzyDmpUraSIkOWwumCCIJIm6xujzs+ZMiCh+p1rYXjAEykJI1QSsrl9QLXbJ9rr5sQ==";
    let body = "[{\"email\":\"a@example.jp\",\"timestamp\":1767323045,\"event\":\"click\",\"sg_event_id\":\"e1\",\"sg_message_id\":\"m1\"}]\r\n";
    let headers = [
        (
            "X-Twilio-Email-Event-Webhook-Signature",
            "MEUCIBJQvmGlGzFXkKeVBGgJnHUYVB0UkX+s+23GDVajNTvDAiEAg2vwcgaUWecjQMPbvpqGIe1HcbcXqSIIekEuQCdZsUo=",
        ),
        ("X-Twilio-Email-Event-Webhook-Timestamp", "1767323045"),
    ];
    let case = Case { scheme: Scheme::Sendgrid, secret: key, url: "", query: "", headers: &headers, body };
    case.holds(true);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
    assert_eq!(case.check_at(SIGNED_AT, body, &pem), Ok(()));
}

#[test]
fn those_who_sign_the_address_need_the_one_that_they_know() {
    let body = r#"{"merchant_id":"6SSW","type":"payment.updated"}"#;
    let headers = [("x-square-hmacsha256-signature", "JyOVOsxDTfopnqSGtgAFSuym3OzhPFy0Qg/2OuoSb44=")];
    let url = "https://collect.shop.example/in/square";
    let case = Case { scheme: Scheme::Square, secret: "square-secret", url, query: "", headers: &headers, body };
    case.holds(false);
    let elsewhere = Case { scheme: Scheme::Square, url: "http://localhost/in/square", ..case };
    assert_eq!(elsewhere.check_at(SIGNED_AT, body, "square-secret"), Err("bad-signature"));
    let headers = [
        ("X-HubSpot-Signature-v3", "0dBbR18nk0GKrhhfHgw3bqU8qpjr9QQ6Khre7b68qLk="),
        ("X-HubSpot-Request-Timestamp", "1767323045678"),
    ];
    let url = "https://collect.shop.example/in/hubspot?a=x%40y";
    let body = r#"[{"eventId":1}]"#;
    Case { scheme: Scheme::Hubspot, secret: "hubspot-secret", url, query: "a=x%40y", headers: &headers, body }
        .holds(true);
}

#[test]
fn twilio_signs_forms_by_their_fields_and_json_by_its_digest() {
    let form = "To=%2B18005551212&CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309";
    let url = "https://mycompany.example/myapp.php?foo=1&bar=2";
    let headers = [("X-Twilio-Signature", "+fgej4rYKGgZllan34dg7E1//no=")];
    Case { scheme: Scheme::Twilio, secret: "12345", url, query: "foo=1&bar=2", headers: &headers, body: form }
        .holds(false);
    let query = "bodySHA256=3749bae9c5548f3b7ba75738feb06e1c483c7e94c1fd01f8060fb93a43fa5f14";
    let url = format!("https://mycompany.example/hook?{query}");
    let headers = [("X-Twilio-Signature", "jQH4fGNBcNpgiUHYAwdpIEKp64o=")];
    let body = r#"{"a":1,"電話":"090"}"#;
    Case { scheme: Scheme::Twilio, secret: "12345", url: &url, query, headers: &headers, body }.holds(false);
}

#[test]
fn zoom_is_told_what_only_the_secret_tells() {
    let token = zoom_token(&Secret::new("zoomsecret"), "qgg8vlvZRS6UYooatFL8Aw");
    assert_eq!(token, "83b2a60d4bbe49dc93763ed9e727a9a7690cbe4c1f8bb0adc0ffccd09ecb1384");
}
