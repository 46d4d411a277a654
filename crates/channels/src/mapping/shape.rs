//! Filters that every preset calls for every field, in Rust because a mapping spends its time in them: what is absent,
//! what shape a value has, identifiers, names.

use std::sync::Arc;

use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Bind, ValXs};
use jaq_json::{Map, Val};

use super::Kind;
use super::natives::{dig, dig_text, wrong};
use crate::json::{as_text, text};
use crate::spelling;

/// What stands here in the place of definitions of jq that are slow for being written in jq.
pub(super) fn replaces(name: &str, arity: usize) -> bool {
    arity == 0 && matches!(name, "null" | "true" | "false" | "not" | "type")
}

pub(super) fn functions() -> impl Iterator<Item = Fun<Kind>> {
    let of_input = [
        run(("null", v(0), |_| bome(Ok(Val::Null)))),
        run(("true", v(0), |_| bome(Ok(Val::Bool(true))))),
        run(("false", v(0), |_| bome(Ok(Val::Bool(false))))),
        run(("not", v(0), |cv| bome(Ok(Val::Bool(!is_true(&cv.1)))))),
        run(("type", v(0), |cv| bome(Ok(text(kind(&cv.1)))))),
        run(("obj", v(0), |cv| bome(Ok(if matches!(cv.1, Val::Obj(_)) { cv.1 } else { Val::obj(Map::default()) })))),
        run(("list", v(0), |cv| bome(Ok(if matches!(cv.1, Val::Arr(_)) { cv.1 } else { Val::Arr(Arc::default()) })))),
        run(("given", v(0), |cv| when(is_given(&cv.1), cv.1))),
        run(("compact", v(0), |cv| bome(Ok(compact(cv.1))))),
        run(("names", v(0), |cv| bome(Ok(names(&cv.1))))),
    ];
    let of_more = [
        run(("id", v(2), |mut cv| {
            let (value, namespace) = (cv.0.pop_var(), cv.0.pop_var());
            identifier(namespace, &value, &Val::Null)
        })),
        run(("id", v(3), |mut cv| {
            let (scope, value, namespace) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
            identifier(namespace, &value, &scope)
        })),
        run(("ids", v(1), |mut cv| {
            let paths = cv.0.pop_var();
            ids(&cv.1, &paths)
        })),
        run(("word", v(1), |mut cv| {
            let table = cv.0.pop_var();
            bome(Ok(word(&cv.1, &table)))
        })),
        run(("fetch", v(1), |mut cv| {
            let paths = cv.0.pop_var();
            bome(fetch(&cv.1, &paths))
        })),
        run(("renamed", v(1), |mut cv| {
            let paths = cv.0.pop_var();
            bome(renamed(&cv.1, &paths))
        })),
        run(("either", Box::new([Bind::Fun(())]), |mut cv| {
            let (values, context) = cv.0.pop_fun();
            let wanted = |value: &Result<Val, _>| value.as_ref().map_or(true, is_given);
            let found = values.run((context, cv.1)).find(wanted);
            Box::new(std::iter::once(found.unwrap_or(Ok(Val::Null))))
        })),
        run(("without", Box::new([Bind::Fun(())]), |mut cv| {
            let (drops, context) = cv.0.pop_fun();
            let mut kept = Map::default();
            for (name, value) in fields(&cv.1) {
                match drops.run((context.clone(), name.clone())).next() {
                    Some(Err(thrown)) => return Box::new(std::iter::once(Err(thrown))),
                    Some(Ok(dropped)) if is_true(&dropped) => {}
                    Some(Ok(_)) | None => drop(kept.insert(name.clone(), value.clone())),
                }
            }
            bome(Ok(Val::obj(kept)))
        })),
    ];
    of_input.into_iter().chain(of_more)
}

fn when<'a>(holds: bool, value: Val) -> ValXs<'a, Val> {
    Box::new(holds.then_some(Ok(value)).into_iter())
}

const fn is_true(value: &Val) -> bool {
    !matches!(value, Val::Null | Val::Bool(false))
}

/// `type`: jq's names of the types.
const fn kind(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "boolean",
        Val::Num(_) => "number",
        Val::BStr(_) | Val::TStr(_) => "string",
        Val::Arr(_) => "array",
        Val::Obj(_) => "object",
    }
}

fn fields(value: &Val) -> impl Iterator<Item = (&Val, &Val)> {
    let fields = match value {
        Val::Obj(fields) => Some(fields.iter()),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::TStr(_) | Val::Arr(_) => None,
    };
    fields.into_iter().flatten()
}

/// `given`: the value, or nothing where there is none: null and the empty text are absent, never values.
fn is_given(value: &Val) -> bool {
    match value {
        Val::Null => false,
        Val::BStr(bytes) | Val::TStr(bytes) => !bytes.is_empty(),
        Val::Bool(_) | Val::Num(_) | Val::Arr(_) | Val::Obj(_) => true,
    }
}

/// `compact`: the value without the fields, at any depth of objects, that hold null, an empty text or an empty object.
fn compact(value: Val) -> Val {
    let Val::Obj(fields) = value else { return value };
    let fields = Arc::unwrap_or_clone(fields).into_iter().map(|(name, value)| (name, compact(value)));
    let is_empty = |value: &Val| matches!(value, Val::Obj(fields) if fields.is_empty());
    Val::obj(fields.filter(|(_, value)| is_given(value) && !is_empty(value)).collect())
}

/// `names`: an object with its names as the vocabulary writes them; an empty one of anything else.
fn names(value: &Val) -> Val {
    let renamed = |name: &Val| as_text(name).map_or_else(|| name.clone(), |name| Val::from(spelling::snake(&name)));
    Val::obj(fields(value).map(|(name, value)| (renamed(name), value.clone())).collect())
}

/// `id($namespace; $value)`, `id($namespace; $value; $scope)`: an identifier, its value behind the scope where there is
/// one; nothing where the value is absent, or is no text and no number.
fn identifier<'a>(namespace: Val, value: &Val, scope: &Val) -> ValXs<'a, Val> {
    Box::new(identified(namespace, value, scope).map(Ok).into_iter())
}

/// The same, of which there is one at most.
fn identified(namespace: Val, value: &Val, scope: &Val) -> Option<Val> {
    let value = match value {
        Val::TStr(_) | Val::BStr(_) => as_text(value).filter(|value| !value.is_empty()),
        Val::Num(number) => Some(number.to_string().into()),
        Val::Null | Val::Bool(_) | Val::Arr(_) | Val::Obj(_) => None,
    }?;
    let value = as_text(scope).map_or_else(|| text(&value), |scope| Val::from(format!("{scope}:{value}")));
    let fields = [(text("namespace"), namespace), (text("value"), value)];
    Some(Val::obj(fields.into_iter().collect()))
}

/// `ids($paths)`: an identifier for each path, as `{path: namespace}` has them.
fn ids<'a>(value: &Val, paths: &Val) -> ValXs<'a, Val> {
    let found: Result<Vec<_>, _> =
        fields(paths).map(|(path, namespace)| dig(value, path).map(|found| (namespace.clone(), found))).collect();
    match found {
        Ok(found) => {
            Box::new(found.into_iter().flat_map(|(namespace, value)| identifier(namespace, &value, &Val::Null)))
        }
        Err(error) => bome(Err(error)),
    }
}

/// `renamed($paths)`: what is given at each path, under the name that `{path: name}` has for it.
fn renamed(value: &Val, paths: &Val) -> Result<Val, jaq_json::Error> {
    let mut made = Map::default();
    for (path, name) in fields(paths) {
        if as_text(name).is_none() {
            return Err(wrong("a name", name));
        }
        let found = dig(value, path)?;
        if is_given(&found) {
            made.insert(name.clone(), found);
        }
    }
    Ok(Val::obj(made))
}

/// `word($table)`: what a table such as `"from=to other=more"` has for a text; null where nothing.
fn word(value: &Val, table: &Val) -> Val {
    let (Some(value), Some(table)) = (as_text(value), as_text(table)) else { return Val::Null };
    let mut pairs = table.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.find(|(from, _)| *from == value).map_or(Val::Null, |(_, to)| text(to))
}

/// `fetch($paths)`: the given fields of an object, each at a path or, as `name=path`, under another name.
fn fetch(value: &Val, paths: &Val) -> Result<Val, jaq_json::Error> {
    let paths = as_text(paths).ok_or_else(|| wrong("paths in a text", paths))?;
    let mut made = Map::default();
    for path in paths.split_whitespace() {
        let (name, path) = path.split_once('=').unwrap_or((path, path));
        made.insert(text(name), dig_text(value, path));
    }
    Ok(compact(Val::obj(made)))
}
