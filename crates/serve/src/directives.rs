//! Directives at the door: an operator's word, checked against the policy, and an erasure of a person spelled out.

use musubi_core::change::Position;
use musubi_core::directive::{Directive, Order};
use musubi_core::time::Timestamp;
use musubi_log::Append;
use musubi_schema::{Parser, avro};
use musubi_stitcher::Ruling;
use musubi_stitcher::topics::DIRECTIVES;
use serde::Deserialize;

use crate::collect::{Aside, Refusal};
use crate::entrance::Entrance;
use crate::lookup::Lookup;
use crate::problem::Problem;

/// What a directive says beside its own fields: meant for the door alone.
#[derive(Deserialize)]
struct Wider {
    scope: Option<String>,
}

/// The records of a directive: one; one for each identifier of a person; and one for each hash under which what is named
/// here is known as well, since a word on a mail address that left its hash standing would say nothing.
pub(crate) fn appends(
    entrance: &Entrance,
    parser: &mut Parser,
    item: &[u8],
    now: Timestamp,
) -> Result<Vec<Append>, Refusal> {
    let directive = parser.parse_directive(item)?;
    let mut appends = vec![append(entrance, &directive, now)?];
    let scope = serde_json::from_slice::<Wider>(item).ok().and_then(|wider| wider.scope);
    let mut orders = vec![directive.order.clone()];
    match (scope.as_deref(), &directive.order) {
        (None | Some("identifier"), _) => {}
        (Some("person"), Order::Erase((namespace, value))) => {
            orders.extend(others(entrance, namespace, value)?.into_iter().map(Order::Erase));
        }
        (Some(scope), _) => {
            let detail = format!("wanted `person` with `erase`, or nothing, in `scope`, found `{scope}`");
            return Err(aside(&directive, "wrong-type", detail).into());
        }
    }
    let mut hashed: Vec<Order> = orders.iter().flat_map(|order| of_hashes(entrance, order)).collect();
    hashed.retain(|order| !orders.contains(order));
    for (number, order) in orders.into_iter().skip(1).chain(hashed).enumerate() {
        let directive_id = format!("{}/{}", directive.directive_id, number + 1).into();
        appends.push(append(entrance, &Directive { directive_id, order, ..directive.clone() }, now)?);
    }
    Ok(appends)
}

/// What an order says of the hashes of those whom it names. A link needs nothing said: the hashes go with the plain values.
fn of_hashes(entrance: &Entrance, order: &Order) -> Vec<Order> {
    let each = |sent: &Sent, order: fn(Sent) -> Order| hashes(entrance, sent).into_iter().map(order).collect();
    match order {
        Order::Block(sent) => each(sent, Order::Block),
        Order::Unblock(sent) => each(sent, Order::Unblock),
        Order::Erase(sent) => each(sent, Order::Erase),
        Order::Unlink([a, b]) => {
            let forms = |sent: &Sent| [vec![sent.clone()], hashes(entrance, sent)].concat();
            let (a, b) = (forms(a), forms(b));
            let pairs = a.iter().flat_map(|a| b.iter().map(move |b| Order::Unlink([a.clone(), b.clone()])));
            pairs.skip(1).collect()
        }
        Order::Link(_) | Order::Consent(_, _) => Vec::new(),
    }
}

fn hashes(entrance: &Entrance, (namespace, value): &Sent) -> Vec<Sent> {
    let Ok(identifier) = entrance.policy.identifier(namespace, value, &entrance.key) else { return Vec::new() };
    let hashes = entrance.policy.hashes(&identifier, &entrance.key);
    hashes.map(|hash| (hash.namespace_name().into(), hash.value().into())).collect()
}

type Sent = (std::sync::Arc<str>, std::sync::Arc<str>);

/// The other identifiers of the person that this one belongs to now.
fn others(entrance: &Entrance, namespace: &str, value: &str) -> Result<Vec<Sent>, Refusal> {
    let Ok(identifier) = entrance.policy.identifier(namespace, value, &entrance.key) else {
        return Ok(Vec::new());
    };
    let persons = entrance.persons.as_ref().ok_or_else(|| {
        let detail = "this collector keeps no persons: name the identifiers to be erased one by one";
        Problem::new(axum::http::StatusCode::NOT_IMPLEMENTED, "no-persons-here", detail.to_owned())
    })?;
    let found = Lookup::of(persons).find(&identifier).map_err(Problem::from)?;
    let person = found.and_then(|found| found.person());
    let members = person.into_iter().flat_map(|person| person.identifiers).filter(|member| *member != identifier);
    Ok(members.map(|member| (member.namespace_name().into(), member.value().into())).collect())
}

fn append(entrance: &Entrance, directive: &Directive, now: Timestamp) -> Result<Append, Refusal> {
    let nowhere = Position { topic: DIRECTIVES.as_str().into(), partition: 0, offset: 0 };
    let ruling = Ruling::read(directive, &entrance.policy, &entrance.key, nowhere);
    let ruling = ruling.map_err(|detail| aside(directive, "invalid-identifier", detail))?;
    if let Ruling::Decree(decree) = &ruling
        && decree.pair[0] == decree.pair[1]
    {
        let detail = format!("wanted two identifiers, found `{}` twice", decree.pair[0].text());
        return Err(aside(directive, "invalid-identifier", detail).into());
    }
    let entry = ruling.entry();
    let record = entrance.record(entry.text(), &avro::Record::Directive(directive), now)?;
    Ok(Append { topic: DIRECTIVES, partition: entry.owner(entrance.partitions), record })
}

fn aside(directive: &Directive, reason: &'static str, detail: String) -> Aside {
    let (source, event_id) = (directive.source.as_ref().to_owned(), directive.directive_id.as_ref().to_owned());
    Aside { reason, detail, source: Some(source), event_id: Some(event_id) }
}
