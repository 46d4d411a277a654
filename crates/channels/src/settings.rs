//! The settings of one source: a `[[source]]` of `musubi.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::files::Csv;
use crate::secret::Kept;
use crate::signature::Scheme;

/// One `[[source]]`. Every key but `name` may be left out; a key that is not here is an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of the source: it stands in every touchpoint, and event ids count within it.
    pub name: String,
    /// How the source speaks: one of [`crate::presets`]. Without it, `webhook`.
    pub preset: Option<String>,
    /// The path of the source's address, such as `/shop`; `/` takes what no other address does. Without it, `/in/NAME`.
    pub path: Option<String>,
    /// A mapping to use in the preset's place: the path of a `.jq` file.
    pub mapping: Option<PathBuf>,
    /// The channel of touchpoints for which the mapping names none. Without it, the preset's.
    pub channel: Option<String>,
    /// Within what the sender's own identifiers mean something: a LINE provider, a shop, an account. It stands before
    /// them, as `SCOPE:VALUE`, so that two shops' customer 7 are two customers.
    pub scope: Option<String>,
    /// Other names for the mapping's namespaces: `{ user_id = "member_id" }`. An empty name drops the namespace.
    #[serde(default)]
    pub namespaces: BTreeMap<String, String>,
    /// The region (ISO 3166) as of which telephone numbers without a country code are read. Without it, the policy's.
    pub phone_region: Option<String>,
    /// The key that requests must bring: in basic or bearer authorization, in the query, in `key_header`, or where the
    /// preset's clients put it.
    pub key: Option<Kept>,
    /// The header in which the key comes, where the sender puts it into one of its own.
    pub key_header: Option<String>,
    /// The secret with which requests are signed; while it is changed, the old and the new one. For SendGrid the
    /// verification key.
    #[serde(default, deserialize_with = "one_or_more")]
    pub secret: Vec<Kept>,
    /// How requests are signed. Without it, as the preset's sender signs.
    pub signature: Option<Scheme>,
    /// The address at which the sender reaches this source, without its query. Some senders sign it, and behind a proxy
    /// it is not what the request says.
    pub public_url: Option<String>,
    /// How far the time that was signed may lie from the time of receipt, such as `5m`.
    #[serde(default = "five_minutes")]
    pub replay_window: String,
    /// What becomes of a request whose key is wrong. Without it, the preset's: SDKs drop events for good when they are
    /// told 401, so theirs are set aside.
    pub on_bad_key: Option<OnBadKey>,
    /// Takes requests that bring neither key nor signature.
    #[serde(default)]
    pub open: bool,
    /// How many requests the source may make. Without it, as many as it likes.
    pub rate_limit: Option<RateLimit>,
    /// The most bytes of a body, before and after it is unpacked.
    #[serde(default = "four_mebibytes")]
    pub max_body: usize,
    /// The zone in which times without an offset are read: a name such as `Asia/Tokyo`, or an offset such as `+09:00`.
    #[serde(default = "tokyo")]
    pub timezone: String,
    /// Believes identifiers that a link carried into the page (`?ajs_uid=…`). A forwarded newsletter would sign all its
    /// readers in as one, so without this they are dropped.
    #[serde(default)]
    pub trust_link_identifiers: bool,
    /// Adds to each mail address and telephone number its hashes, so that systems that send only those meet it.
    #[serde(default)]
    pub hashes: bool,
    /// Which fields of a payload, row or record mean what, for the presets `webhook`, `csv` and `debezium`.
    #[serde(default)]
    pub fields: Fields,
    /// The topic of the cluster that the source's records are on, for a source that is neither files nor requests.
    pub topic: Option<String>,
    /// How the source's CSV files are written.
    #[serde(default)]
    pub csv: Csv,
    /// The API of a sender whose notifications say only what is to be fetched from it.
    pub pull: Option<Pull>,
}

/// The API that a source pulls from: `[source.pull]`.
///
/// ```toml
/// [[source]]
/// name = "till"
/// preset = "smaregi"
/// key = { env = "SMAREGI_KEY" }
/// key_header = "X-Shop-Key"
/// [source.pull]
/// url = "https://api.smaregi.jp"
/// token_url = "https://id.smaregi.jp/app/CONTRACT/token"
/// client_id = "…"
/// client_secret = { env = "SMAREGI_SECRET" }
/// contract_id = "CONTRACT"
/// watermark = "/var/lib/musubi/till.watermark"
/// sweep = "5m"
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// Where the API is, such as `https://api.smaregi.jp`.
    pub url: String,
    /// Where its tokens are, such as `https://id.smaregi.jp/app/CONTRACT/token`.
    pub token_url: String,
    /// As whom a token is asked for (OAuth 2.0, client credentials).
    pub client_id: String,
    /// Where the secret of that client is kept.
    pub client_secret: Kept,
    /// Whose data it is: the sender's name of the contract.
    pub contract_id: String,
    /// The file that remembers how far the API was swept. Each process has its own.
    pub watermark: PathBuf,
    /// How often everything that changed is listed, for notifications that never came.
    #[serde(default = "five_minutes")]
    pub sweep: String,
    /// How far a sweep goes back behind the one before, for what became visible late and for clocks that differ.
    #[serde(default = "ten_minutes")]
    pub overlap: String,
    /// How far back the very first sweep goes.
    #[serde(default = "a_day")]
    pub since: String,
    /// How many items are asked for at once.
    #[serde(default = "five_hundred")]
    pub page_size: u32,
}

/// Which fields mean what. A field is named by a dotted path: `customer.email`, `lines.0.sku`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Where the items stand in the body; without it the body is the item, or the list of them.
    pub items: Option<String>,
    /// The fields that together name an event, joined with `:`. Without them, a digest of the item (of the file and the
    /// row, for CSV).
    #[serde(default)]
    pub event_id: Vec<String>,
    /// The type of every event.
    pub r#type: Option<String>,
    /// The field that holds the type, where it differs.
    pub type_field: Option<String>,
    /// The fields that together tell when it happened, joined with a blank: a date and a time.
    #[serde(default)]
    pub occurred_at: Vec<String>,
    /// The field that holds the channel, where it differs.
    pub channel_field: Option<String>,
    /// Field → namespace.
    #[serde(default)]
    pub identifiers: BTreeMap<String, String>,
    /// Field → trait.
    #[serde(default)]
    pub traits: BTreeMap<String, String>,
    /// Field → property. Without any, all fields that are neither identifiers nor traits are properties.
    pub properties: Option<BTreeMap<String, String>>,
    /// Field → purpose, of consent: true, 1, yes, 可 or 希望する is given; false, 0, no, 不可 or 希望しない is refused.
    #[serde(default)]
    pub consent: BTreeMap<String, String>,
    /// The field with an amount, which becomes `total` with `currency`.
    pub amount: Option<String>,
    /// The currency of `amount`.
    pub currency: Option<String>,
}

/// What becomes of a request whose key is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadKey {
    /// Answered 401, and set aside.
    Refuse,
    /// Answered as if it were taken, and set aside.
    SetAside,
}

/// How many requests a source may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second, on average.
    pub per_second: u32,
    /// How many may come at once.
    pub burst: u32,
}

/// Settings that cannot stand.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key holds what it cannot.
    #[error("source `{source_name}`: wanted {wanted} in `{key}`, found `{found}`")]
    Setting {
        /// The source.
        source_name: String,
        /// The key in its settings.
        key: &'static str,
        /// What may stand there.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// A secret that is needed was not given.
    #[error("source `{source_name}`: wanted `{key}`, which its signatures need, found none")]
    Lacking {
        /// The source.
        source_name: String,
        /// The key in its settings.
        key: &'static str,
    },
    /// The mapping does not stand.
    #[error("source `{source_name}`: {error}")]
    Mapping {
        /// The source.
        source_name: String,
        /// What is wrong with it, and where.
        error: crate::MappingError,
    },
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Kept>, D::Error> {
    struct OneOrMore;
    impl<'de> serde::de::Visitor<'de> for OneOrMore {
        type Value = Vec<Kept>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("where a secret is kept, or a list of such places")
        }

        fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Vec<Kept>, E> {
            Err(E::custom("wanted where the secret is kept, found a text: a secret does not stand in this file"))
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Vec<Kept>, A::Error> {
            Kept::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|one| vec![one])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Kept>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = items.next_element()? {
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(OneOrMore)
}

fn five_minutes() -> String {
    "5m".into()
}

fn ten_minutes() -> String {
    "10m".into()
}

fn a_day() -> String {
    "24h".into()
}

const fn five_hundred() -> u32 {
    500
}

const fn four_mebibytes() -> usize {
    4 << 20
}

fn tokyo() -> String {
    "Asia/Tokyo".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_name_and_what_differs() {
        let text = r#"
            name = "line-shop"
            preset = "line"
            scope = "provider-1"
            secret = [{ env = "LINE_SECRET" }, { file = "/run/secrets/line" }]
            rate_limit = { per_second = 50, burst = 100 }
            [fields]
            identifiers = { mail = "email" }
        "#;
        let settings: Settings = toml::from_str(text).expect("settings");
        assert_eq!(settings.secret, [Kept::Env("LINE_SECRET".into()), Kept::File("/run/secrets/line".into())]);
        assert_eq!((settings.timezone.as_str(), settings.max_body), ("Asia/Tokyo", 4 << 20));
        assert_eq!(settings.rate_limit, Some(RateLimit { per_second: 50, burst: 100 }));
    }

    #[test]
    fn a_key_that_is_not_known_is_named_and_a_secret_in_the_file_is_not_repeated() {
        let unknown = toml::from_str::<Settings>("name = \"a\"\nchanel = \"b\"").expect_err("unknown").to_string();
        assert!(unknown.contains("chanel") && unknown.contains("line 2"), "{unknown}");
        for text in ["name = \"a\"\nkey = \"hunter2\"", "name = \"a\"\nsecret = \"hunter2\""] {
            let told = toml::from_str::<Settings>(text).expect_err("a secret").message().to_owned();
            assert!(told.contains("does not stand in this file") && !told.contains("hunter2"), "{told}");
        }
        assert_eq!(format!("{:?}", crate::Secret::new("hunter2\n")), "Secret(…)");
    }
}
