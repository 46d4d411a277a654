//! What senders are told.

use std::borrow::Cow;

use crate::json;
use crate::preset::Reply;
use crate::request::{Answer, Taken};

/// What the sender of a webhook is told: how much was taken, and the first things that were not.
pub(super) fn receipt(taken: &Taken) -> Answer {
    const SHOWN: usize = 10;
    let mut body =
        format!("{{\"accepted\":{},\"set_aside\":{}", taken.touchpoints.len(), taken.set_aside.len()).into_bytes();
    body.extend_from_slice(b",\"rejected\":[");
    for (place, aside) in taken.set_aside.iter().take(SHOWN).enumerate() {
        body.extend_from_slice(if place > 0 { b",{\"item\":" } else { b"{\"item\":" });
        body.extend_from_slice(aside.item.map_or_else(|| "null".into(), |item| item.to_string()).as_bytes());
        body.extend_from_slice(b",\"reason\":");
        json::write_text(&aside.reason, &mut body);
        body.extend_from_slice(b",\"detail\":");
        json::write_text(&aside.detail, &mut body);
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    Answer { status: 200, content_type: "application/json", body: body.into() }
}

/// What a sender is told that does not want to know more than that its payload was taken.
pub(super) fn success(reply: Reply, method: &str) -> Answer {
    /// A transparent GIF of one pixel.
    const PIXEL: &[u8] =
        b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x01D\0;";
    match reply {
        Reply::Receipt => Answer::json(200, r#"{"accepted":0}"#),
        Reply::Json(body) => Answer::json(200, body),
        Reply::Text(body) => Answer::text(200, body),
        Reply::Twiml => Answer { status: 200, content_type: "text/xml", body: Cow::Borrowed(b"<Response/>") },
        Reply::Pixel if method == "GET" => {
            Answer { status: 200, content_type: "image/gif", body: Cow::Borrowed(PIXEL) }
        }
        Reply::Pixel => Answer::text(200, "ok"),
    }
}
