//! Amazon SNS: messages that OpenSSL's command line signed (`tests/fixtures/sns/make`), by certificates that stand in the
//! settings and by one that was fetched.

use expect_test::expect;
use musubi_channels::{Outcome, Request, Secret, Secrets, Settings, Source};
use musubi_core::time::Timestamp;

use crate::common::{received, told};

const SETTINGS: &str = r#"
    name = "mail"
    preset = "ses"
    signature = { sns = { topics = ["arn:aws:sns:ap-northeast-1:123456789012:mail"] } }
"#;
const SIGNING: &str = include_str!("../fixtures/sns/signing.pem");
const EXPIRED: &str = include_str!("../fixtures/sns/expired.pem");
const ADDRESS: &str = "https://sns.ap-northeast-1.amazonaws.com/SimpleNotificationService-0a1b2c3d4e5f.pem";
const FIRST: &str = include_str!("../fixtures/sns/notification-1.json");
const SECOND: &str = include_str!("../fixtures/sns/notification-2.json");
const FOREIGN: &str = include_str!("../fixtures/sns/foreign.json");
const OF_EXPIRED: &str = include_str!("../fixtures/sns/expired.json");
const SUBSCRIPTION: &str = include_str!("../fixtures/sns/subscription.json");
const UNSUBSCRIPTION: &str = include_str!("../fixtures/sns/unsubscribe.json");

fn source(certificates: &[&str]) -> Result<Source, musubi_channels::Error> {
    let settings: Settings = toml::from_str(SETTINGS).expect("settings");
    let signing = certificates.iter().map(|pem| Secret::new(pem)).collect();
    Source::new(settings, None, Secrets { key: None, signing })
}

fn pinned() -> Source {
    source(&[EXPIRED, SIGNING]).expect("a source")
}

fn take_at(source: &Source, body: &str, received_at: Timestamp) -> Outcome {
    // SNS calls its JSON plain text.
    let headers = [("content-type", "text/plain; charset=UTF-8")];
    source.take(&Request { method: "POST", path: "", query: "", headers: &headers, body: body.as_bytes(), received_at })
}

fn take(source: &Source, body: &str) -> Outcome {
    take_at(source, body, received())
}

/// Why a message is refused: the status, and the reason with its detail.
fn refusal(outcome: &Outcome) -> String {
    let Some(aside) = outcome.taken.set_aside.first() else { return format!("{} taken", outcome.answer.status) };
    assert!(outcome.taken.touchpoints.is_empty() && outcome.confirm.is_none() && !outcome.proven, "{outcome:?}");
    format!("{} {}: {}", outcome.answer.status, aside.reason, aside.detail)
}

#[test]
fn what_sns_signed_in_either_version_is_taken() {
    for body in [FIRST, SECOND] {
        let outcome = take(&pinned(), body);
        assert!(outcome.proven && outcome.answer.status == 200, "{outcome:?}");
        expect![[r#"
            email email_link_clicked m-1:Click:2026-04-01T03:00:00.000Z:0 2026-04-01T03:00:00Z
              ids email:hanako@shop.example
              properties {"subject":"春の\n新作","url":"https://shop.example/"}
        "#]]
        .assert_eq(&told(&outcome.taken));
    }
}

#[test]
fn a_message_that_was_changed_anywhere_is_refused() {
    let changes = [
        ("hanako@shop", "mallory@shop"),
        ("件名", "別件"),
        ("\"n-1\"", "\"n-9\""),
        ("2026-04-01T03:00:00.000Z\",\n \"TopicArn", "2026-04-01T03:00:01.000Z\",\n \"TopicArn"),
        ("123456789012:mail\"", "123456789012:post\""),
        ("\"SignatureVersion\": \"1\"", "\"SignatureVersion\": \"2\""),
    ];
    for (was, is) in changes {
        assert!(FIRST.contains(was), "{was}");
        let told = refusal(&take(&pinned(), &FIRST.replace(was, is)));
        assert!(told.starts_with("401 bad-signature: wanted the signature of these bytes"), "{was}: {told}");
    }
    let without_subject = FIRST.replace(" \"Subject\": \"件名\",\n", "");
    assert!(
        refusal(&take(&pinned(), &without_subject)).starts_with("401 bad-signature"),
        "a subject is signed as well"
    );
}

#[test]
fn what_is_not_signed_by_sns_now_and_for_this_topic_is_refused_in_words() {
    let elsewhere = |url: &str| SECOND.replace(ADDRESS, url);
    let mut out = String::new();
    for body in [
        FOREIGN.to_owned(),
        SECOND.replace("\"SignatureVersion\": \"2\"", "\"SignatureVersion\": \"3\""),
        SECOND.replace("\"Signature\":", "\"Unsigned\":"),
        SECOND.replace("\"Type\": \"Notification\"", "\"Type\": \"Other\""),
        SECOND.replace(" \"MessageId\": \"n-2\",\n", ""),
        elsewhere("https://sns.ap-northeast-1.amazonaws.com.evil.example/SimpleNotificationService-0a.pem"),
        elsewhere("http://sns.ap-northeast-1.amazonaws.com/SimpleNotificationService-0a.pem"),
        elsewhere("https://sns.ap-northeast-1.amazonaws.com/other/SimpleNotificationService-0a.pem"),
        elsewhere("https://evil.example@sns.ap-northeast-1.amazonaws.com/SimpleNotificationService-0a.pem"),
        "[]".to_owned(),
        "{".to_owned(),
        String::new(),
    ] {
        out += &format!("{}\n", refusal(&take(&pinned(), &body)));
    }
    expect![[r#"
        401 foreign-topic: wanted a topic of the source, found `arn:aws:sns:ap-northeast-1:999999999999:mail`
        401 bad-signature: wanted `SignatureVersion` 1 or 2, found `3`
        401 missing-signature: wanted `Signature` in a message of SNS, found none
        401 bad-signature: wanted a type of message that SNS signs, found `Other`
        401 missing-signature: wanted `MessageId` in a message of SNS, found none
        401 bad-signature: wanted the address of a certificate of SNS in `SigningCertURL`
        401 bad-signature: wanted the address of a certificate of SNS in `SigningCertURL`
        401 bad-signature: wanted the address of a certificate of SNS in `SigningCertURL`
        401 bad-signature: wanted the address of a certificate of SNS in `SigningCertURL`
        401 missing-signature: wanted `Signature` in a message of SNS, found none
        401 missing-signature: wanted `Signature` in a message of SNS, found none
        401 missing-signature: wanted `Signature` in a message of SNS, found none
    "#]]
    .assert_eq(&out);
    let only_expired = source(&[EXPIRED]).expect("a source");
    assert!(refusal(&take(&only_expired, OF_EXPIRED)).contains("valid at the time of receipt"));
    assert!(refusal(&take(&only_expired, SECOND)).starts_with("401 bad-signature"));
}

#[test]
fn a_message_is_good_for_as_long_as_sns_tries_and_no_longer() {
    let after = |minutes: i64| Timestamp::from_micros(received().as_micros() + minutes * 60_000_000);
    assert_eq!(take_at(&pinned(), SECOND, after(59)).answer.status, 200);
    for minutes in [61, -61] {
        assert!(refusal(&take_at(&pinned(), SECOND, after(minutes))).starts_with("401 stale-signature"), "{minutes}");
    }
}

#[test]
fn a_subscription_is_confirmed_only_where_it_is_signed() {
    let outcome = take(&pinned(), SUBSCRIPTION);
    let address = outcome.confirm.expect("an address");
    assert!(address.starts_with("https://sns.ap-northeast-1.amazonaws.com/?Action=ConfirmSubscription"), "{address}");
    let forged = SUBSCRIPTION.replace("Token=2336412f", "Token=0000000a");
    assert!(forged != SUBSCRIPTION && refusal(&take(&pinned(), &forged)).starts_with("401 bad-signature"));
    let ended = take(&pinned(), UNSUBSCRIPTION);
    assert_eq!((ended.answer.status, ended.confirm, told(&ended.taken)), (200, None, String::new()));
    assert!(refusal(&take(&pinned(), &UNSUBSCRIPTION.replace("c-1", "c-2"))).starts_with("401"));
}

#[test]
fn a_certificate_that_is_not_in_the_settings_is_asked_for_once() {
    let source = source(&[]).expect("a source");
    let wants = |body: &str| {
        let body = body.as_bytes();
        source.wants_certificate(&Request {
            method: "POST",
            path: "",
            query: "",
            headers: &[],
            body,
            received_at: received(),
        })
    };
    assert_eq!(wants(SECOND).as_deref(), Some(ADDRESS));
    assert!(refusal(&take(&source, SECOND)).starts_with("401 bad-signature"), "not before it is known");
    assert_eq!(wants(&SECOND.replace("https://sns.", "https://evil.")), None);
    assert!(!source.learn(ADDRESS, "<html>"), "it is no certificate");
    assert_eq!(wants(SECOND).as_deref(), Some(ADDRESS));
    assert!(source.learn(ADDRESS, SIGNING));
    assert_eq!(wants(FIRST), None);
    assert_eq!((take(&source, FIRST).answer.status, take(&source, SECOND).answer.status), (200, 200));
    let other = SECOND.replace("0a1b2c3d4e5f", "f");
    assert!(refusal(&take(&source, &other)).starts_with("401 bad-signature"), "another address is another certificate");
    assert!(
        pinned()
            .wants_certificate(&Request {
                method: "POST",
                path: "",
                query: "",
                headers: &[],
                body: SECOND.as_bytes(),
                received_at: received()
            })
            .is_none()
    );
}

#[test]
fn settings_without_a_topic_or_with_something_else_for_a_certificate_do_not_stand() {
    let told = source(&["hush"]).err().expect("no certificate").to_string();
    assert!(told.contains("certificates of SNS in PEM") && !told.contains("hush"), "{told}");
    let settings = SETTINGS.replace("\"arn:aws:sns:ap-northeast-1:123456789012:mail\"", "");
    let settings: Settings = toml::from_str(&settings).expect("settings");
    let told = Source::new(settings, None, Secrets::default()).err().expect("no topic").to_string();
    assert!(told.contains("`signature.sns.topics`"), "{told}");
}
