//! Mappings: programs in jq (by the library jaq) that make canonical touchpoints of payloads.
//!
//! A mapping is a file of definitions. `touchpoints` is the one that must be there: of one *item* it makes any number of
//! touchpoints. `items` may be there: it cuts a payload into items; without it the items are the elements of the body,
//! or the body itself. An item has to bring all that `touchpoints` needs, because an item that was set aside is mapped
//! again alone. Beside its input a mapping sees `$source`, the settings, and `$received_at`.

mod check;
mod error;
mod natives;
mod place;
mod shape;

use jaq_core::data::JustLut;
use jaq_core::load::lex::{Lexer, Token};
use jaq_core::load::parse::{Expect, Parser};
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars};
use jaq_json::Val;

use crate::json::{as_text, field};
pub use error::Error;

/// What the prelude's filters do, for those who call them from Rust.
pub(crate) mod filters {
    pub(crate) use super::natives::{behind_base64, digest};
}

/// The data that a program runs on: its values, and nothing that lives shorter.
type Kind = JustLut<Val>;
type Filter = jaq_core::Filter<Kind>;
type Definition<'s> = load::parse::Def<&'s str>;

/// What every mapping can call beside jq's own filters.
const PRELUDE: &str = include_str!("prelude.jq");

/// What a mapping sees beside its input.
const GLOBALS: [&str; 2] = ["$source", "$received_at"];

/// How a payload is cut where the mapping does not say.
const COMMON_ITEMS: &str = r#".body | if type == "array" then .[] else . end"#;

/// A mapping, ready to run on any number of threads.
pub(crate) struct Mapping {
    items: Filter,
    touchpoints: Filter,
    placed: Option<Placed>,
}

/// The same filters, which tell where in the mapping's text they fail. They are asked where the others have failed.
struct Placed {
    items: Filter,
    touchpoints: Filter,
}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Mapping>();
};

/// The values of [`GLOBALS`].
#[derive(Clone)]
pub(crate) struct Globals {
    pub(crate) source: Val,
    pub(crate) received_at: Val,
}

impl Mapping {
    /// Reads and compiles a mapping. `name` is what errors call it.
    pub(crate) fn compile(name: &str, code: &str) -> Result<Self, Error> {
        let names = definitions(name, code)?;
        if !names.iter().any(|defined| defined == "touchpoints") {
            let found = names.join("`, `");
            return Err(Error::whole(name, format!("wanted a definition `touchpoints`, found `{found}`")));
        }
        let items = if names.iter().any(|defined| defined == "items") { "items" } else { COMMON_ITEMS };
        let program = |main: &str| compile(name, &format!("{code}\n{main}"));
        Ok(Self { items: program(items)?, touchpoints: program("touchpoints")?, placed: None })
    }

    /// The same mapping, which tells beside what is wrong where in its text that is. It takes longer.
    pub(crate) fn compile_to_try(name: &str, code: &str) -> Result<Self, Error> {
        let plain = Self::compile(name, code)?;
        // It is read a second time, so there is nothing left to be wrong with it.
        let gone = || Error::whole(name, "does not load".into());
        let tokens = Lexer::new(code).lex().map_err(|_| gone())?;
        let definitions = Parser::new(&tokens).parse(|parser| parser.defs()).map_err(|_| gone())?;
        let places = place::Places::of(code, &tokens);
        let told = load::parse(place::FILTERS, |parser| parser.defs()).expect("its two filters parse");
        let known: Vec<Definition<'static>> = library().chain(told).collect();
        let mut known: Vec<Definition<'_>> = known;
        known.extend(places.put_into(&definitions));
        let program = |main: &'static str| compile_with(name, main, known.clone());
        let items = if definitions.iter().any(|defined| defined.name == "items") { "items" } else { COMMON_ITEMS };
        let placed = Placed { items: program(items)?, touchpoints: program("touchpoints")? };
        Ok(Self { placed: Some(placed), ..plain })
    }

    /// The items of a payload, each or what jq says is wrong.
    pub(crate) fn items(&self, payload: Val, globals: &Globals) -> impl Iterator<Item = Result<Val, String>> {
        located(&self.items, self.placed.as_ref().map(|placed| &placed.items), payload, globals)
    }

    /// What an item becomes.
    pub(crate) fn touchpoints(&self, item: Val, globals: &Globals) -> impl Iterator<Item = Result<Val, String>> {
        located(&self.touchpoints, self.placed.as_ref().map(|placed| &placed.touchpoints), item, globals)
    }
}

/// What a filter gives; where it fails and there is one that tells places, with the place.
fn located<'a>(
    filter: &'a Filter,
    placed: Option<&'a Filter>,
    input: Val,
    globals: &Globals,
) -> impl Iterator<Item = Result<Val, String>> + use<'a> {
    let again = placed.map(|placed| (placed, input.clone(), globals.clone()));
    let place = move |told: String| {
        let (placed, input, globals) = again.as_ref()?;
        run(placed, input.clone(), globals).find_map(Result::err).filter(|placed| placed.ends_with(&told))
    };
    run(filter, input, globals).map(move |result| result.map_err(|told| place(told.clone()).unwrap_or(told)))
}

fn run<'a>(filter: &'a Filter, input: Val, globals: &Globals) -> impl Iterator<Item = Result<Val, String>> + use<'a> {
    let vars = Vars::new([globals.source.clone(), globals.received_at.clone()]);
    let context = Ctx::<Kind>::new(&filter.lut, vars);
    filter.id.run((context, input)).map(|result| result.map_err(|thrown| message(thrown)))
}

fn message(thrown: jaq_core::Exn<'_, Val>) -> String {
    let Ok(error) = thrown.get_err() else { return "wanted no break out of the mapping".into() };
    let thrown = error.into_val();
    if let (Some(place), Some(told)) = (field(&thrown, "musubi at").and_then(as_text), field(&thrown, "told")) {
        return format!("{place}: {}", shown(told));
    }
    shown(&thrown)
}

fn shown(told: &Val) -> String {
    const SHOWN: usize = 300;
    as_text(told).unwrap_or_else(|| told.to_string().into()).chars().take(SHOWN).collect()
}

/// The names that a mapping defines, after a look at what it may not do.
fn definitions(name: &str, code: &str) -> Result<Vec<String>, Error> {
    let tokens = Lexer::new(code).lex().map_err(|errors| Error::of_load(name, code, load::Error::Lex(errors)))?;
    let parsed = Parser::new(&tokens).parse(|parser| parser.defs()).map_err(|errors| {
        let errors = errors.into_iter().map(|(wanted, found)| {
            let wanted = if matches!(wanted, Expect::Nothing) { Expect::Just("definition") } else { wanted };
            (wanted, Token::opt_as_str(found, code))
        });
        Error::of_load(name, code, load::Error::Parse(errors.collect()))
    })?;
    check::check(&parsed).map_err(|wrong| Error::at(name, code, wrong.part, wrong.detail))?;
    Ok(parsed.iter().map(|definition| definition.name.to_owned()).collect())
}

fn compile(name: &str, program: &str) -> Result<Filter, Error> {
    let known: Vec<Definition<'static>> = library().collect();
    compile_with(name, program, known)
}

fn compile_with<'s>(name: &str, program: &'s str, library: Vec<Definition<'s>>) -> Result<Filter, Error> {
    let arena = Arena::default();
    let modules = Loader::new(library)
        .load(&arena, File { code: program, path: () })
        .map_err(|errors| first(errors, |error| Error::of_load(name, program, error), name))?;
    Compiler::default()
        .with_funs(natives::functions())
        .with_global_vars(GLOBALS)
        .compile(modules)
        .map_err(|errors| first(errors, |errors| undefined(name, program, &errors), name))
}

fn undefined(name: &str, program: &str, errors: &[(&str, jaq_core::compile::Undefined)]) -> Error {
    errors
        .first()
        .map_or_else(|| Error::whole(name, "does not compile".into()), |e| Error::of_compile(name, program, e))
}

fn first<C, E>(errors: Vec<(File<C, ()>, E)>, told: impl Fn(E) -> Error, name: &str) -> Error {
    let first = errors.into_iter().next();
    first.map_or_else(|| Error::whole(name, "does not load".into()), |(_, error)| told(error))
}

/// jq's definitions that a mapping may use, and ours.
fn library() -> impl Iterator<Item = Definition<'static>> {
    let jq = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let ours = load::parse(PRELUDE, |parser| parser.defs()).expect("the prelude parses, as every test shows");
    let kept = |definition: &Definition<'_>| {
        !check::is_left_out(definition.name) && !shape::replaces(definition.name, definition.args.len())
    };
    jq.filter(kept).chain(ours)
}

#[cfg(test)]
mod tests;
