//! Smaregi's platform API: transactions and members, by id and by when they changed.
//!
//! Source of truth: the common specification of the platform API and `getTransactions`. A window is 31 days at most and
//! given as `upd_date_time-from` and `-to`; pages have 1,000 items at most and are counted from 1.

use std::collections::HashSet;

use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use musubi_channels::Pull;
use serde_json::{Value, json};

use super::api::{Api, Named, Take, Window};
use super::client::{Client, Failure};

const TRANSACTIONS: &str = "transactions";
const CUSTOMERS: &str = "customers";
/// More pages than a window of 31 days has; an API that gives the same page for ever is left.
const MOST_PAGES: u32 = 100_000;
/// How many members are remembered as pulled.
const REMEMBERED: usize = 100_000;
/// Smaregi's clock: Japan's, without summer time.
const HERE: Offset = Offset::constant(9);

/// Smaregi, for one contract.
pub(super) struct Smaregi {
    contract: String,
    page_size: u32,
    /// Members that were pulled already. Those that change are on the list of members.
    members: HashSet<String>,
}

impl Smaregi {
    pub(super) fn new(pull: &Pull) -> Self {
        Self { contract: pull.contract_id.clone(), page_size: pull.page_size, members: HashSet::new() }
    }

    /// An item as the mapping has it.
    fn item(&self, list: &'static str, found: Value) -> Value {
        let kind = if list == TRANSACTIONS { "transaction" } else { "member" };
        json!({ "contractId": self.contract, kind: found })
    }

    fn path(&self, list: &str) -> String {
        format!("/{}/pos/{list}", self.contract)
    }

    /// What was found, and for a transaction the member behind it, who may have changed last before anybody listened.
    fn with_members(
        &mut self,
        client: &mut Client,
        list: &'static str,
        found: Vec<Value>,
    ) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::with_capacity(found.len());
        for one in found {
            let member = text(&one, "customerId").filter(|id| is_id(id));
            items.push(self.item(list, one));
            let Some(id) = member else { continue };
            if list == CUSTOMERS {
                self.remember(id);
            } else if !self.members.contains(&id) {
                let member = client.get(&format!("{}/{id}", self.path(CUSTOMERS)), &[])?;
                items.extend(member.map(|member| self.item(CUSTOMERS, member)));
                self.remember(id);
            }
        }
        Ok(items)
    }

    fn remember(&mut self, member: String) {
        if self.members.len() >= REMEMBERED {
            self.members.clear();
        }
        self.members.insert(member);
    }

    /// Lists what changed. What changes meanwhile moves to the end and leaves its place to another, which pages would
    /// pass over; so the list is asked anew from the last item on, and the next page only where that leads no further.
    fn walk(
        &mut self,
        client: &mut Client,
        list: &'static str,
        window: Window,
        take: &mut Take<'_>,
    ) -> Result<(), Failure> {
        let (mut from, mut page) = (window.from, 1);
        for _ in 0..MOST_PAGES {
            let query = [
                ("upd_date_time-from", written(from)),
                ("upd_date_time-to", written(window.to)),
                ("sort", "updDateTime".to_owned()),
                ("limit", self.page_size.to_string()),
                ("page", page.to_string()),
            ];
            let found = match client.get(&self.path(list), &query)? {
                Some(Value::Array(found)) => found,
                None => Vec::new(),
                Some(_) => return Err(Failure::lasting(format!("wanted a list in `{list}`, found something else"))),
            };
            let is_last = found.len() < self.page_size as usize;
            let next = last_of(&found).map(|last| last - SignedDuration::from_secs(1)).filter(|next| *next > from);
            let items = self.with_members(client, list, found)?;
            take(&items)?;
            if is_last {
                return Ok(());
            }
            (from, page) = next.map_or((from, page + 1), |next| (next, 1));
        }
        Err(Failure::lasting(format!("wanted an end of `{list}`, found none in {MOST_PAGES} pages")))
    }
}

impl Api for Smaregi {
    fn scope(&self) -> &'static str {
        "pos.transactions:read pos.customers:read"
    }

    fn named(&self, notification: &Value) -> Vec<Named> {
        if text(notification, "contractId").as_deref() != Some(self.contract.as_str()) {
            return Vec::new();
        }
        let lists = [("transactionHeadIds", TRANSACTIONS), ("customerIds", CUSTOMERS)];
        let named = lists.into_iter().flat_map(|(key, list)| {
            let ids = notification.get(key).and_then(Value::as_array).into_iter().flatten();
            ids.filter_map(plain).filter(|id| is_id(id)).map(move |id| Named { list, id })
        });
        named.collect()
    }

    fn one(&mut self, client: &mut Client, list: &'static str, id: &str) -> Result<Vec<Value>, Failure> {
        let found = client.get(&format!("{}/{id}", self.path(list)), &[])?;
        self.with_members(client, list, Vec::from_iter(found))
    }

    fn changed(&mut self, client: &mut Client, window: Window, take: &mut Take<'_>) -> Result<(), Failure> {
        self.walk(client, CUSTOMERS, window, take)?;
        self.walk(client, TRANSACTIONS, window, take)
    }
}

/// When the last item changed, where the items are sorted by that.
fn last_of(found: &[Value]) -> Option<Timestamp> {
    let times: Option<Vec<Timestamp>> = found.iter().map(|one| text(one, "updDateTime")?.parse().ok()).collect();
    let times = times.filter(|times| times.is_sorted())?;
    times.last().copied()
}

/// An instant as the API wants it, to the second.
fn written(time: Timestamp) -> String {
    let there = time.to_zoned(TimeZone::fixed(HERE));
    strtime::format("%Y-%m-%dT%H:%M:%S%:z", &there).unwrap_or_else(|_| time.to_string())
}

/// All numbers are texts in this API; a number is taken as well.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(plain)
}

/// Whether it can stand in a path.
fn is_id(id: &str) -> bool {
    const LONGEST: usize = 20;
    !id.is_empty() && id.len() <= LONGEST && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
