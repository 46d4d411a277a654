//! What the ten channels deliver of one customer, and of a few others whom nothing may tie to her.

use anyhow::{Context as _, Result};
use musubi_channels::files::{self, Rows};
use musubi_channels::{Request, Row, Secrets, Settings, Source, Taken};
use musubi_core::time::Timestamp;
use serde::Deserialize;

/// The configuration of all channels.
pub(crate) const CONFIGURATION: &str = include_str!("musubi.toml");
/// The till's file of the day: CP932, full-width digits, zeros and a leading digit lost, an era's date, hours past 24.
pub(crate) const TILL: &[u8] = include_bytes!("till.csv");

/// What one channel delivers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// The source that takes it.
    pub(crate) source: &'static str,
    /// The path behind the source's address; files have none.
    pub(crate) path: Option<&'static str>,
    /// The headers that the mapping reads.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static [u8],
}

const fn posted(source: &'static str, body: &'static str) -> Delivery {
    Delivery { source, path: Some(""), headers: &[], body: body.as_bytes() }
}

/// All that is delivered, in the order in which it happened.
pub(crate) const DELIVERIES: [Delivery; 10] = [
    Delivery {
        path: Some("/v1/page"),
        ..posted(
            "web",
            r#"{"type":"page","messageId":"w-1","anonymousId":"anon-1","timestamp":"2026-04-01T01:00:00Z",
                "context":{"page":{"path":"/coats"},"campaign":{"name":"spring"}}}"#,
        )
    },
    Delivery {
        path: Some("/v1/batch"),
        ..posted(
            "app",
            r#"{"batch":[
                {"type":"identify","messageId":"a-1","userId":"u-100","anonymousId":"install-9","timestamp":"2026-04-01T02:00:00Z",
                 "context":{"device":{"id":"ios-77","type":"ios","adTrackingEnabled":true,"advertisingId":"6D92078A-8246-4BA4-AE5B-76104861E7DC"}}},
                {"type":"track","event":"Line Link Started","messageId":"a-2","userId":"u-100","timestamp":"2026-04-01T02:05:00Z",
                 "context":{"externalIds":[{"type":"line_link_nonce","id":"bm9uY2U"}]}}]}"#,
        )
    },
    posted(
        "line",
        r#"{"destination":"U0","events":[
            {"type":"accountLink","webhookEventId":"01A","timestamp":1775009160000,"source":{"type":"user","userId":"U0000000000000000000000000000000a"},"link":{"result":"ok","nonce":"bm9uY2U"}},
            {"type":"accountLink","webhookEventId":"01B","timestamp":1775009170000,"source":{"type":"user","userId":"U0000000000000000000000000000000b"},"link":{"result":"failed","nonce":"bm9uY2U"}}]}"#,
    ),
    Delivery {
        headers: &[("x-shopify-topic", "orders/create"), ("x-shopify-event-id", "ev-1")],
        ..posted(
            "shop",
            r#"{"id":5001,"email":" Hana.Sato@Mail-Box.jp","phone":null,"cart_token":"cart-1","checkout_token":"out-1",
                "created_at":"2026-04-02T20:00:00+09:00","updated_at":"2026-04-02T20:00:05+09:00","currency":"JPY","total_price":"24000","source_name":"web",
                "note_attributes":[{"name":"anonymousId","value":"anon-1"},{"name":"user_id","value":"u-100"}],
                "line_items":[{"product_id":77,"sku":"COAT","title":"コート","quantity":1,"price":"24000"}],
                "customer":{"id":9001,"email":"hana.sato@mail-box.jp","first_name":"花","email_marketing_consent":{"state":"subscribed"}}}"#,
        )
    },
    Delivery { source: "till", path: None, headers: &[], body: TILL },
    posted(
        "calls",
        r#"{"ContactId":"c-2","InitialContactId":"c-2","Channel":"VOICE","InitiationMethod":"INBOUND","CustomerEndpoint":{"Type":"TELEPHONE_NUMBER","Address":"+819012345678"},
            "Attributes":{"member_no":"0490-1234-56783"},"InitiationTimestamp":"2026-04-05T02:00:00Z","LastUpdateTimestamp":"2026-04-05T02:10:00Z","Queue":{"Name":"returns"}}"#,
    ),
    posted(
        "help",
        r#"{"type":"zen:event-type:ticket.created","id":"z-1","time":"2026-04-06T02:00:00Z","subject":"zen:ticket:5","requester_email":"HANA.SATO@mail-box.jp",
            "detail":{"id":"5","requester_id":"77","subject":"返品","status":"OPEN"}}"#,
    ),
    posted(
        "letters",
        r#"[{"email":"hana.sato@mail-box.jp","timestamp":1775520000,"event":"click","sg_event_id":"s-1","url":"https://mise.jp/sale"},
            {"email":"jiro@mail-box.jp","timestamp":1775520000,"event":"unsubscribe","sg_event_id":"s-2"}]"#,
    ),
    posted(
        "seminars",
        r#"{"event":"webinar.participant_joined","event_ts":1775606400000,"payload":{"account_id":"A","object":{"uuid":"u==","id":"123","topic":"春の着物",
            "participant":{"user_id":"1","participant_uuid":"P-1","email":"ｈａｎａ.sato@mail-box.jp","join_time":"2026-04-08T00:01:00Z"}}}}"#,
    ),
    Delivery {
        source: "crm",
        path: None,
        headers: &[],
        body: r#"{"op":"c","before":null,"after":{"id":"C-7","mail":"hana.sato@mail-box.jp","tel":"０９０－１２３４－５６７８","member_no":"0490123456783","family_name":"佐藤","given_name":"花"},"source":{"db":"crm","schema":"public","table":"contact","lsn":4711,"ts_ms":1775692800000},"ts_ms":1775692800100}"#.as_bytes(),
    },
];

/// One `[[source]]` after another.
#[derive(Deserialize)]
struct Configuration {
    source: Vec<Settings>,
}

/// The sources, made ready.
pub(crate) fn sources() -> Result<Vec<Source>> {
    let configuration: Configuration = toml::from_str(CONFIGURATION)?;
    configuration.source.into_iter().map(|settings| Ok(Source::new(settings, None, Secrets::default())?)).collect()
}

impl Delivery {
    /// What its source makes of it, when it is received then.
    pub(crate) fn take(&self, sources: &[Source], received_at: Timestamp) -> Result<Taken> {
        let found = sources.iter().find(|source| source.settings().name == self.source);
        let source = found.with_context(|| format!("a source `{}`", self.source))?;
        match (self.path, self.source) {
            (Some(path), _) => {
                let (headers, body) = (self.headers, self.body);
                let request = Request { method: "POST", path, query: "", headers, body, received_at };
                Ok(source.take(&request).taken)
            }
            (None, "till") => rows(source, received_at),
            (None, _) => {
                let line = files::Line::ndjson(1, self.body.to_vec());
                Ok(source.take_row(&Row { file: "contacts.ndjson", sha256: "00", line: &line, received_at }))
            }
        }
    }
}

fn rows(source: &Source, received_at: Timestamp) -> Result<Taken> {
    let sha256 = files::digest(TILL)?;
    let mut all = Taken::default();
    for line in Rows::new(TILL, &source.settings().csv)? {
        let row = Row { file: "till.csv", sha256: &sha256, line: &line?, received_at };
        let Taken { touchpoints, set_aside } = source.take_row(&row);
        all.touchpoints.extend(touchpoints);
        all.set_aside.extend(set_aside);
    }
    Ok(all)
}
