//! A small part of a Schema Registry's HTTP API, on a port of its own, for tests. It checks no compatibility, keeps
//! everything in memory, and does as badly as it is told.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};

/// A schema under its subject.
#[derive(Clone)]
struct Kept {
    id: u32,
    kind: String,
    schema: String,
    references: Value,
}

#[derive(Default)]
pub(crate) struct State {
    subjects: HashMap<String, Vec<Kept>>,
    next: u32,
    /// The first lines of the requests, and what they said of who asks.
    pub(crate) asked: Vec<(String, Option<String>)>,
    /// So many requests are answered with this status, and nothing of sense.
    pub(crate) fail: (u32, u16),
    /// Registration is refused as incompatible.
    pub(crate) refuse: bool,
}

pub(crate) struct Stub {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Stub {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &shared);
            }
        });
        Self { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Puts a schema there, as another client would.
    pub(crate) fn keep(&self, subject: &str, kind: &str, schema: &str, references: Value) -> u32 {
        self.state().keep(subject, kind, schema, references)
    }

    pub(crate) fn questions(&self) -> usize {
        self.state().asked.len()
    }
}

impl State {
    fn keep(&mut self, subject: &str, kind: &str, schema: &str, references: Value) -> u32 {
        self.next += 1;
        let kept = Kept { id: 1_000 + self.next, kind: kind.to_owned(), schema: schema.to_owned(), references };
        let id = kept.id;
        self.subjects.entry(subject.to_owned()).or_default().push(kept);
        id
    }

    fn handle(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        if self.fail.0 > 0 {
            self.fail.0 -= 1;
            return (self.fail.1, json!("out of order"));
        }
        let parts: Vec<&str> = path.split(['/', '?']).filter(|part| !part.is_empty()).collect();
        match (method, &parts[..]) {
            ("GET", ["schemas", "ids", id, ..]) => {
                let id = id.parse().unwrap_or(0);
                let found = self.subjects.values().flatten().find(|kept| kept.id == id);
                found.map_or_else(|| missing(40_403), |kept| (200, kept.shown()))
            }
            ("GET", ["subjects", subject, "versions"]) => match self.subjects.get(*subject) {
                Some(kept) => (200, (1..=kept.len()).collect::<Vec<_>>().into()),
                None => missing(40_401),
            },
            ("GET", ["subjects", subject, "versions", version]) => {
                let place: usize = version.parse().unwrap_or(0);
                let found = self.subjects.get(*subject).and_then(|kept| kept.get(place.wrapping_sub(1)));
                let with_version = |kept: &Kept| {
                    let mut shown = kept.shown();
                    shown["version"] = place.into();
                    (200, shown)
                };
                found.map_or_else(|| missing(40_402), with_version)
            }
            ("POST", ["subjects", subject, "versions"]) if self.refuse => {
                (409, json!({ "error_code": 409, "message": format!("{subject} is not to be changed") }))
            }
            ("POST", ["subjects", subject, "versions"]) => {
                let kind = body["schemaType"].as_str().unwrap_or("AVRO").to_owned();
                let id = self.keep(subject, &kind, body["schema"].as_str().unwrap_or_default(), json!([]));
                (200, json!({ "id": id }))
            }
            ("POST", ["subjects", subject, ..]) => {
                let Some(kept) = self.subjects.get(*subject) else { return missing(40_401) };
                let found = kept.iter().find(|kept| body["schema"] == kept.schema.as_str());
                found.map_or_else(|| missing(40_403), |kept| (200, json!({ "id": kept.id, "subject": subject })))
            }
            _ => (404, json!("no registry")),
        }
    }
}

impl Kept {
    fn shown(&self) -> Value {
        json!({ "id": self.id, "schemaType": self.kind, "schema": self.schema, "references": self.references })
    }
}

fn missing(code: u32) -> (u16, Value) {
    (404, json!({ "error_code": code, "message": "not found" }))
}

/// Answers one request; the connection closes with it.
fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut first, mut length, mut who) = (String::new(), 0, None);
    reader.read_line(&mut first).expect("a request");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => who = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, shown) = {
        let mut state = state.lock().expect("nobody panics with it");
        state.asked.push((format!("{method} {path}"), who));
        state.handle(method, path, &serde_json::from_slice(&body).unwrap_or_default())
    };
    let text = shown.to_string();
    let head =
        format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", text.len());
    // Who went away meanwhile needs no answer.
    drop(stream.write_all(format!("{head}Connection: close\r\n\r\n{text}").as_bytes()));
}
