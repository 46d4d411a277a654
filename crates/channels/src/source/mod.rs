//! A source: its settings made ready, and what it makes of requests, records and rows.

use std::borrow::Cow;
use std::cell::RefCell;
use std::str::FromStr as _;
use std::sync::Arc;

use jaq_json::{Map, Val};
use jiff::SignedDuration;
use musubi_core::normalise::{Normaliser, Region};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use musubi_schema::Parser;

use crate::body::{self, Fault};
use crate::files::Line;
use crate::handshake::{self, Within};
use crate::json::{self, as_text, field};
use crate::mapping::{Globals, Mapping};
use crate::native::{Made, Maker, Native, Payload, native};
use crate::node::Node;
use crate::preset::{Preset, Reply};
use crate::request::{Answer, Outcome, Request, SetAside, Taken};
use crate::secret::Secret;
use crate::settings::{Error, OnBadKey, Settings};
use crate::signature::{self, Check, Scheme, sns};
use crate::{auth, spelling, time};

mod answer;
mod around;
mod seen;

use answer::{receipt, success};
use around::{Around, Keeping};
use seen::seen;

/// The most items of a payload, and the most touchpoints of an item. Segment's clients send 2,500 at most.
const MOST_ITEMS: usize = 10_000;
const MOST_TOUCHPOINTS: usize = 100;

thread_local! {
    /// A parser remembers the names that senders use, so each thread keeps one.
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
    /// Natives have one of their own: what they decline is read while they are at work.
    static NAMES: RefCell<Parser> = RefCell::new(Parser::new());
}

/// The secrets of a source, fetched from where its settings say they are kept.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// What is kept at `key`.
    pub key: Option<Secret>,
    /// What is kept at `secret`, in that order.
    pub signing: Vec<Secret>,
}

/// One configured source. It is shared by threads, reads no clock and does no IO.
pub struct Source {
    settings: Settings,
    secrets: Secrets,
    preset: &'static Preset,
    mapping: Mapping,
    /// The same as the mapping, where that is a preset's own.
    native: Option<Native>,
    /// The name in the settings, as every touchpoint bears it.
    name: Arc<str>,
    zone: time::Zone,
    scheme: Scheme,
    region: Option<Region>,
    /// Microseconds.
    window: u64,
    /// The settings as mappings see them, `$source`.
    seen: Val,
    keeping: Keeping,
    /// Certificates of SNS that were fetched.
    certificates: sns::Known,
}

/// A record of a Kafka topic, or of anything else that has keys and values.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it stands: topic, partition and offset.
    pub position: (&'a str, i32, i64),
    /// The key: JSON, or a text.
    pub key: Option<&'a [u8]>,
    /// The value: JSON (a value in Avro is the caller's to decode); none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values of the headers.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// When it was received.
    pub received_at: Timestamp,
}

/// A row of a file.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The name of the file, without its path.
    pub file: &'a str,
    /// The SHA-256 of the file in hexadecimal digits: with the row's number it names an event that has no name of its own.
    pub sha256: &'a str,
    /// The row, as [`crate::files::Rows`] gives it, or a line of NDJSON.
    pub line: &'a Line,
    /// When it was received.
    pub received_at: Timestamp,
}

impl Source {
    /// A source of these settings. `mapping` is the text of the file that the setting `mapping` names.
    ///
    /// # Errors
    /// [`Error`], where a setting cannot stand or the mapping does not compile.
    pub fn new(settings: Settings, mapping: Option<&str>, secrets: Secrets) -> Result<Self, Error> {
        Self::made(settings, mapping, secrets, Mapping::compile)
    }

    /// The same without a door, whose mapping tells where in its text it fails: for whoever writes one. It is slower.
    ///
    /// # Errors
    /// As for [`Source::new`].
    pub fn to_try(settings: Settings, mapping: Option<&str>) -> Result<Self, Error> {
        let settings =
            Settings { open: true, key: None, secret: Vec::new(), signature: Some(Scheme::None), ..settings };
        Self::made(settings, mapping, Secrets::default(), Mapping::compile_to_try)
    }

    fn made(
        settings: Settings,
        mapping: Option<&str>,
        secrets: Secrets,
        compile: fn(&str, &str) -> Result<Mapping, crate::MappingError>,
    ) -> Result<Self, Error> {
        let fault = |key, wanted, found: &str| Error::Setting {
            source_name: settings.name.clone(),
            key,
            wanted,
            found: found.to_owned(),
        };
        if settings.name.is_empty() {
            return Err(fault("name", "a name", ""));
        }
        let name = settings.preset.as_deref().unwrap_or("webhook");
        let preset = crate::preset::preset(name).ok_or_else(|| fault("preset", "the name of a preset", name))?;
        let path = settings.mapping.as_ref().map(|path| path.to_string_lossy().into_owned());
        let scheme = settings.signature.clone().unwrap_or_else(preset.scheme);
        // A preset that is only fed from files or topics needs no secret.
        let scheme = if secrets.signing.is_empty() && settings.signature.is_none() && settings.open {
            Scheme::None
        } else {
            scheme
        };
        if scheme.needs_secret() && secrets.signing.iter().all(Secret::is_empty) {
            return Err(Error::Lacking { source_name: settings.name.clone(), key: "secret" });
        }
        if let Scheme::Sns(topics) = &scheme {
            if topics.topics.is_empty() {
                return Err(fault("signature.sns.topics", "the ARN of a topic", ""));
            }
            if !secrets.signing.iter().all(|secret| sns::is_certificate(secret.bytes())) {
                return Err(fault("secret", "certificates of SNS in PEM", "something else"));
            }
        }
        if scheme.needs_url() && settings.public_url.is_none() {
            return Err(Error::Lacking { source_name: settings.name.clone(), key: "public_url" });
        }
        if secrets.key.as_ref().is_some_and(Secret::is_empty) {
            return Err(fault("key", "a key that is not empty", ""));
        }
        let region = settings.phone_region.as_deref().map(|code| {
            Region::from_str(code).map_err(|_| fault("phone_region", "a region with telephone numbers", code))
        });
        let region = region.transpose()?;
        let zone = time::Zone::named(&settings.timezone)
            .ok_or_else(|| fault("timezone", "a time zone or an offset", &settings.timezone))?;
        let window =
            settings.replay_window.parse::<SignedDuration>().ok().and_then(|w| u64::try_from(w.as_micros()).ok());
        let window =
            window.ok_or_else(|| fault("replay_window", "a duration such as `5m`", &settings.replay_window))?;
        let code = mapping.unwrap_or(preset.mapping);
        let keeping = Keeping::new(code, settings.key_header.as_deref());
        let native = if mapping.is_none() { native(preset.name) } else { None };
        let mapping = compile(path.as_deref().unwrap_or(preset.name), code)
            .map_err(|error| Error::Mapping { source_name: settings.name.clone(), error })?;
        let seen = seen(&settings, preset);
        let name = settings.name.as_str().into();
        let certificates = sns::Known::default();
        Ok(Self {
            settings,
            secrets,
            preset,
            mapping,
            native,
            name,
            zone,
            scheme,
            region,
            window,
            seen,
            keeping,
            certificates,
        })
    }

    /// How many items of an unpacked body the mapping's twin in Rust takes, and of how many; none where there is no twin, or
    /// where it leaves the cutting to the mapping as well. For who wants to know what a payload costs.
    pub fn taken_natively(&self, request: &Request<'_>) -> Option<[usize; 2]> {
        let (native, body) = (self.native?, Node::read(request.body)?);
        let (mut taken, mut all) = (0, 0);
        let mut take = |made| {
            all += 1;
            taken += usize::from(!matches!(made, Made::Declined(_)));
            true
        };
        let header = |name: &str| header_of(request, name);
        let payload = Payload { body: &body, path: request.path, header: &header, size: request.body.len() };
        let is_cut = self.with_maker(request.received_at, |maker| native(&payload, maker, &mut take));
        is_cut.then_some([taken, all])
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes a request in.
    pub fn take(&self, request: &Request<'_>) -> Outcome {
        if let Some(answer) = handshake::before(self.preset.handshake, request, self.secrets.key.as_ref()) {
            return Outcome::of(answer);
        }
        if let Err(unsigned) = self.check_signature(request) {
            return self.refuse(401, unsigned.reason, unsigned.detail, request);
        }
        let unpacked = match body::unpack(request.body, self.settings.max_body) {
            Ok(unpacked) => unpacked,
            // A key may stand in what cannot be unpacked; a signature was checked.
            Err(fault) => return Outcome { proven: self.is_signed_or_open(), ..self.unreadable(fault, request) },
        };
        let body = self.read(&unpacked);
        if !self.has_key(request, body.as_ref().ok()) {
            let status = match self.settings.on_bad_key.unwrap_or(self.preset.on_bad_key) {
                OnBadKey::Refuse => 401,
                OnBadKey::SetAside => 200,
            };
            return self.refuse(status, "bad-key", "wanted the source's key, found none or another".into(), request);
        }
        match body {
            Ok(Body::Plain(native, body)) => self.take_plain(native, &body, unpacked.len(), request),
            Ok(Body::Value(body)) => self.take_body(body, request),
            Err(fault) => self.unreadable(fault, request),
        }
    }

    /// Takes a record of a topic in.
    pub fn take_record(&self, record: &Record<'_>) -> Taken {
        let whole = Whole { original: record.value.unwrap_or_default(), around: Around::Record(record) };
        let value = match self.read(whole.original) {
            Ok(Body::Plain(native, body)) => {
                let header = |name: &str| {
                    let found = record.headers.iter().rfind(|(known, _)| known.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| String::from_utf8_lossy(value))
                };
                let payload = Payload { body: &body, path: "", header: &header, size: whole.original.len() };
                match self.take_natively(native, &payload, record.received_at, &whole) {
                    Some(taken) => return taken,
                    None => body.to_val(),
                }
            }
            Ok(Body::Value(value)) => value,
            Err(fault) => return self.only(self.aside_whole(reason(&fault), told(&fault), &whole)),
        };
        self.take_payload(value, record.received_at, &whole)
    }

    /// Takes a row of a file in.
    pub fn take_row(&self, row: &Row<'_>) -> Taken {
        let whole = Whole { original: row.line.json.as_slice(), around: Around::Row(row) };
        if let Some((reason, detail)) = &row.line.fault {
            return self.only(self.aside_whole(reason, detail.clone(), &whole));
        }
        match json::read(whole.original) {
            Ok(body) => self.take_payload(body, row.received_at, &whole),
            Err(error) => self.only(self.aside_whole("invalid-json", error.to_string(), &whole)),
        }
    }

    /// Takes a payload again that was set aside whole, as [`SetAside::original`] and [`SetAside::envelope`] have it. No
    /// signature and no key is asked for.
    pub fn take_whole(&self, original: &[u8], envelope: &str, received_at: Timestamp) -> Taken {
        let kept = json::read(envelope.as_bytes()).unwrap_or(Val::Null);
        let whole = Whole { original, around: Around::Kept(&kept) };
        let body =
            body::unpack(original, self.settings.max_body).and_then(|unpacked| body::read(&unpacked, self.preset.form));
        match body {
            Ok(body) => self.take_payload(body, received_at, &whole),
            Err(fault) => self.only(self.aside_whole(reason(&fault), told(&fault), &whole)),
        }
    }

    /// Takes an item again that was set aside, as [`SetAside::original`] has it.
    pub fn take_item(&self, item: &[u8], received_at: Timestamp) -> Taken {
        match json::read(item) {
            Ok(value) => {
                let mut taken = Taken::default();
                self.map(value, 0, &self.globals(received_at), received_at, &mut taken);
                taken
            }
            Err(error) => {
                let whole = Whole { original: item, around: Around::Kept(&Val::Null) };
                self.only(self.aside_whole("invalid-json", error.to_string(), &whole))
            }
        }
    }

    /// The status that sends the clients of this source away for a while: 429, or 503 where they would drop at that.
    pub const fn busy_status(&self) -> u16 {
        self.preset.busy
    }

    /// What the sender is to be told where it wants to know how much was taken: for callers who set more aside.
    pub fn receipt(&self, taken: &Taken) -> Option<Answer> {
        (self.preset.reply == Reply::Receipt).then(|| receipt(taken))
    }

    /// The address of the certificate that has to be fetched and [learnt](Self::learn) before the signature of this request
    /// can be checked: of SNS, where the settings name none in `secret`.
    pub fn wants_certificate(&self, request: &Request<'_>) -> Option<String> {
        let fetches = matches!(self.scheme, Scheme::Sns(_)) && self.secrets.signing.is_empty();
        let address = fetches.then(|| sns::certificate_of(request.body)).flatten()?;
        self.certificates.get(&address).is_none().then_some(address)
    }

    /// Learns the certificate that was fetched from an address that [`Self::wants_certificate`] gave. Whether it is one.
    pub fn learn(&self, address: &str, pem: &str) -> bool {
        let is_one = sns::is_certificate(pem.as_bytes());
        if is_one {
            self.certificates.put(address, Secret::new(pem));
        }
        is_one
    }

    fn check_signature(&self, request: &Request<'_>) -> Result<(), signature::Unsigned> {
        let mut url = self.settings.public_url.clone().unwrap_or_default();
        if !request.query.is_empty() {
            url.push('?');
            url.push_str(request.query);
        }
        let check = Check { request, url: &url, window: self.window };
        if matches!(self.scheme, Scheme::Sns(_)) && self.secrets.signing.is_empty() {
            let fetched = sns::certificate_of(request.body).and_then(|address| self.certificates.get(&address));
            let fetched = fetched.ok_or_else(|| signature::Unsigned::because(sns::NO_ADDRESS))?;
            return signature::check(&self.scheme, &[fetched], &check);
        }
        signature::check(&self.scheme, &self.secrets.signing, &check)
    }

    /// The body as the native reads it, where there is one, else as the mapping does.
    fn read<'a>(&self, body: &'a [u8]) -> Result<Body<'a>, Fault> {
        match self.native.and_then(|native| Some(Body::Plain(native, Node::read(body)?))) {
            Some(body) => Ok(body),
            None => body::read(body, self.preset.form).map(Body::Value),
        }
    }

    fn has_key(&self, request: &Request<'_>, body: Option<&Body<'_>>) -> bool {
        match &self.secrets.key {
            Some(key) => {
                auth::has_key(request, key, self.settings.key_header.as_deref())
                    || body.is_some_and(|body| body.has_key(key))
                    || self.is_meta_event()
            }
            None => self.scheme != Scheme::None || self.settings.open,
        }
    }

    fn is_signed_or_open(&self) -> bool {
        self.scheme != Scheme::None || (self.settings.open && self.secrets.key.is_none())
    }

    /// Meta's key is the word of its handshake; its events are signed and do not bring it.
    fn is_meta_event(&self) -> bool {
        self.preset.handshake == handshake::Handshake::Meta && self.scheme != Scheme::None
    }

    /// No preset with a native has a handshake in its bodies.
    fn take_plain(&self, native: Native, body: &Node<'_>, size: usize, request: &Request<'_>) -> Outcome {
        let header = |name: &str| header_of(request, name);
        let payload = Payload { body, path: request.path, header: &header, size };
        match self.take_natively(native, &payload, request.received_at, &Whole::of(request)) {
            Some(taken) => Outcome { answer: self.answer(request, &taken), taken, confirm: None, proven: true },
            None => self.take_body(body.to_val(), request),
        }
    }

    /// What a native makes of a payload, and the mapping of those items that it declines; none where it declines all.
    fn take_natively(
        &self,
        native: Native,
        payload: &Payload<'_>,
        received_at: Timestamp,
        whole: &Whole<'_>,
    ) -> Option<Taken> {
        let globals = self.globals(received_at);
        let (mut taken, mut place) = (Taken::default(), 0);
        let mut take = |made| {
            if place == MOST_ITEMS {
                taken.set_aside.push(self.too_many(whole));
                return false;
            }
            match made {
                Made::Touchpoint(mut touchpoint) => {
                    self.name_identifiers(&mut touchpoint);
                    taken.touchpoints.push(touchpoint);
                }
                Made::Nothing => {}
                Made::Declined(item) => self.map(item, place, &globals, received_at, &mut taken),
            }
            place += 1;
            true
        };
        let is_cut = self.with_maker(received_at, |maker| native(payload, maker, &mut take));
        is_cut.then_some(taken)
    }

    fn with_maker<T>(&self, received_at: Timestamp, work: impl FnOnce(&mut Maker<'_>) -> T) -> T {
        NAMES.with_borrow_mut(|parser| {
            work(&mut Maker {
                source: &self.name,
                channel: self.settings.channel.as_deref().unwrap_or(self.preset.channel),
                scope: self.settings.scope.as_deref().filter(|scope| !scope.is_empty()),
                trusts_links: self.settings.trust_link_identifiers,
                zone: &self.zone,
                received_at,
                parser,
            })
        })
    }

    fn take_body(&self, body: Val, request: &Request<'_>) -> Outcome {
        match handshake::within(self.preset.handshake, &body, self.secrets.signing.first()) {
            Within::Payload => {}
            Within::Answer(answer) => return Outcome::of(answer),
            Within::Confirm(url) => return Outcome { confirm: Some(url), ..Outcome::of(Answer::json(200, "{}")) },
            Within::Suspicious(detail) => return self.refuse(403, "suspicious-handshake", detail.into(), request),
        }
        let taken = self.take_payload(body, request.received_at, &Whole::of(request));
        let answer = self.answer(request, &taken);
        Outcome { taken, ..Outcome::of(answer) }
    }

    /// Cuts a payload into items and maps each.
    fn take_payload(&self, body: Val, received_at: Timestamp, whole: &Whole<'_>) -> Taken {
        let globals = self.globals(received_at);
        let mut taken = Taken::default();
        let payload = whole.around.payload(body);
        for (place, item) in self.mapping.items(payload, &globals).enumerate() {
            if place == MOST_ITEMS {
                taken.set_aside.push(self.too_many(whole));
                break;
            }
            match item {
                Ok(item) => self.map(item, place, &globals, received_at, &mut taken),
                Err(told) => {
                    taken.set_aside.push(self.aside_whole("unmappable", format!("items: {told}"), whole));
                    break;
                }
            }
        }
        taken
    }

    /// Maps one item, whole or not at all: an item of which one part fails is set aside with all its parts.
    fn map(&self, item: Val, place: usize, globals: &Globals, received_at: Timestamp, taken: &mut Taken) {
        let before = taken.touchpoints.len();
        let mut kept = None;
        for (made, result) in self.mapping.touchpoints(item.clone(), globals).enumerate() {
            let checked = match result {
                Ok(_) if made == MOST_TOUCHPOINTS => {
                    Err(Aside::new("too-many-touchpoints", format!("wanted at most {MOST_TOUCHPOINTS} of one item")))
                }
                Ok(value) => self.finish(&value, received_at),
                Err(told) => Err(Aside::new("unmappable", format!("item {place}: {told}"))),
            };
            match checked {
                Ok(touchpoint) => taken.touchpoints.push(touchpoint),
                Err(aside) => {
                    kept = Some(aside);
                    break;
                }
            }
        }
        if let Some(Aside { reason, detail, event_id }) = kept {
            let first = taken.touchpoints.get(before).map(|touchpoint| touchpoint.event_id.as_ref().to_owned());
            taken.touchpoints.truncate(before);
            let source = self.settings.name.clone();
            let event_id = event_id.or(first);
            taken.set_aside.push(SetAside {
                source,
                event_id,
                reason,
                detail,
                original: bytes_of(&item),
                item: Some(place),
                envelope: None,
            });
        }
    }

    /// The touchpoint that a mapping's output is: with the source's name, its time of receipt, and its namespaces.
    fn finish(&self, value: &Val, received_at: Timestamp) -> Result<Touchpoint, Aside> {
        let Val::Obj(fields) = value else {
            let detail = format!("wanted an object of `touchpoints`, found {}", json::kind(value));
            return Err(Aside::new("unmappable", detail));
        };
        let said = |name| field(value, name).and_then(as_text).map(Cow::into_owned);
        if let Some(reason) = said("set_aside") {
            let detail = said("detail").unwrap_or_default();
            return Err(Aside { reason: reason.into(), detail, event_id: said("event_id") });
        }
        let mut line = Vec::with_capacity(512);
        self.head(fields, received_at, &mut line)
            .map_err(|deep| Aside { event_id: said("event_id"), ..Aside::new("too-deep", deep.to_string()) })?;
        let mut touchpoint = PARSER.with_borrow_mut(|parser| parser.parse_touchpoint(&line)).map_err(|malformed| {
            Aside { event_id: malformed.event_id, ..Aside::new(malformed.reason, malformed.detail) }
        })?;
        self.name_identifiers(&mut touchpoint);
        Ok(touchpoint)
    }

    /// The touchpoint as a line: what the mapping gave, then what is not the mapping's to say.
    fn head(&self, fields: &Map, received_at: Timestamp, line: &mut Vec<u8>) -> Result<(), json::TooDeep> {
        let channel = self.settings.channel.as_deref().unwrap_or(self.preset.channel);
        line.extend_from_slice(b"{\"channel\":");
        json::write_text(channel, line);
        for (name, value) in fields.iter().filter(|(_, value)| !matches!(value, Val::Null)) {
            line.push(b',');
            json::write_fields(std::iter::once((name, value)), 0, line)?;
        }
        line.extend_from_slice(b",\"source\":");
        json::write_text(&self.settings.name, line);
        line.extend_from_slice(b",\"received_at\":");
        json::write_text(&time::render(received_at), line);
        line.push(b'}');
        Ok(())
    }

    /// Brings the identifiers into the namespaces and spellings that the settings ask for.
    fn name_identifiers(&self, touchpoint: &mut Touchpoint) {
        if let Some(region) = self.region {
            for (_, value) in touchpoint.identifiers.iter_mut().filter(|(namespace, _)| namespace.as_ref() == "phone") {
                if let Some(Cow::Owned(number)) = Normaliser::Phone(region).normalise(value) {
                    *value = number.into();
                }
            }
        }
        if self.settings.hashes {
            let region = self.region.unwrap_or(Region::JAPAN);
            let hashes: Vec<_> =
                touchpoint.identifiers.iter().filter_map(|pair| hashes(pair, region)).flatten().collect();
            touchpoint.identifiers.extend(hashes);
        }
        if !self.settings.namespaces.is_empty() {
            for (namespace, _) in &mut touchpoint.identifiers {
                if let Some(name) = self.settings.namespaces.get(namespace.as_ref()) {
                    *namespace = name.as_str().into();
                }
            }
            touchpoint.identifiers.retain(|(namespace, _)| !namespace.is_empty());
        }
    }

    fn globals(&self, received_at: Timestamp) -> Globals {
        Globals { source: self.seen.clone(), received_at: Val::from(time::render(received_at)) }
    }

    fn refuse(&self, status: u16, reason: &'static str, detail: String, request: &Request<'_>) -> Outcome {
        let body = format!(r#"{{"error":"{reason}"}}"#);
        let answer =
            if status == 200 { success(self.preset.reply, request.method) } else { Answer::json(status, body) };
        let taken = self.only(self.aside_whole(reason, detail, &Whole::of(request)));
        Outcome { taken, proven: false, ..Outcome::of(answer) }
    }

    /// What cannot be read comes no better the next time: it is set aside, and the sender told that it was taken, so that
    /// it neither repeats it nor gives the address up. Only what is too large is refused, which SDKs cut in half.
    fn unreadable(&self, fault: Fault, request: &Request<'_>) -> Outcome {
        let taken = self.only(self.aside_whole(reason(&fault), told(&fault), &Whole::of(request)));
        let answer = match fault {
            Fault::TooLarge => Answer::json(413, r#"{"error":"too-large"}"#),
            Fault::BadGzip(_) | Fault::BadJson(_) => self.answer(request, &taken),
        };
        Outcome { taken, ..Outcome::of(answer) }
    }

    fn only(&self, aside: SetAside) -> Taken {
        Taken { touchpoints: Vec::new(), set_aside: vec![aside] }
    }

    fn aside_whole(&self, reason: &'static str, detail: String, whole: &Whole<'_>) -> SetAside {
        let source = self.settings.name.clone();
        let (original, envelope) = (whole.original.to_vec(), whole.around.kept(&self.keeping));
        SetAside { source, event_id: None, reason: reason.into(), detail, original, item: None, envelope }
    }

    fn too_many(&self, whole: &Whole<'_>) -> SetAside {
        let detail = format!("wanted at most {MOST_ITEMS} items, found more; those before are taken");
        self.aside_whole("too-many-items", detail, whole)
    }

    fn answer(&self, request: &Request<'_>, taken: &Taken) -> Answer {
        if self.preset.reply == Reply::Receipt { receipt(taken) } else { success(self.preset.reply, request.method) }
    }
}

/// A payload as it came.
struct Whole<'a> {
    original: &'a [u8],
    around: Around<'a>,
}

impl<'a> Whole<'a> {
    fn of(request: &'a Request<'a>) -> Self {
        Self { original: request.body, around: Around::Request(request) }
    }
}

/// A body that was read.
enum Body<'a> {
    /// For a native.
    Plain(Native, Node<'a>),
    /// For the mapping.
    Value(Val),
}

impl Body<'_> {
    fn has_key(&self, key: &Secret) -> bool {
        match self {
            Self::Plain(_, body) => auth::is_in_body(body, key),
            Self::Value(body) => auth::is_in_body(body, key),
        }
    }
}

/// Why an item is set aside.
struct Aside {
    reason: Cow<'static, str>,
    detail: String,
    event_id: Option<String>,
}

impl Aside {
    fn new(reason: &'static str, detail: String) -> Self {
        Self { reason: reason.into(), detail, event_id: None }
    }
}

/// An item as JSON; where it is too deep for that, what is too deep is said in its place.
fn bytes_of(item: &Val) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    json::write(item, &mut out).map_or_else(|deep| deep.to_string().into_bytes(), |()| out)
}

fn hashes(
    (namespace, value): &(Arc<str>, Arc<str>),
    region: Region,
) -> Option<impl Iterator<Item = (Arc<str>, Arc<str>)> + use<>> {
    let hashes = match namespace.as_ref() {
        "email" => spelling::email_hashes(value)?,
        "phone" => spelling::phone_hashes(&Normaliser::Phone(region).normalise(value)?)?,
        _ => return None,
    };
    Some(hashes.into_iter().map(|(namespace, hash)| (namespace.into(), hash.into())))
}

const fn reason(fault: &Fault) -> &'static str {
    match fault {
        Fault::TooLarge => "too-large",
        Fault::BadGzip(_) => "invalid-gzip",
        Fault::BadJson(_) => "invalid-json",
    }
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::TooLarge => "wanted at most `max_body` bytes, unpacked".into(),
        Fault::BadGzip(told) | Fault::BadJson(told) => told.clone(),
    }
}

/// The header that a native asks for by its name in lower case, the last where there are several.
fn header_of<'a>(request: &Request<'a>, name: &str) -> Option<Cow<'a, str>> {
    let found = request.headers.iter().rfind(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| Cow::Borrowed(*value))
}
