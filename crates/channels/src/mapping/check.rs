//! What a mapping may not do, found before it runs: definitions that call themselves, and filters that need not end or
//! that look at the world. What is left goes once through what it was given, so every mapping ends.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Part, Path};

/// A definition as parsed.
pub(super) type Definition<'s> = Def<&'s str>;

/// Filters of jq that a mapping does not have, with the reason.
const ABSENT: &[(&str, usize, &str)] = &[
    ("repeat", 1, ENDLESS),
    ("while", 2, ENDLESS),
    ("until", 2, ENDLESS),
    ("recurse", 1, ENDLESS),
    ("recurse", 2, ENDLESS),
    ("combinations", 1, ENDLESS),
    ("env", 0, WORLD),
    ("now", 0, WORLD),
    ("localtime", 0, WORLD),
    ("strflocaltime", 1, WORLD),
    ("input", 0, WORLD),
    ("inputs", 0, WORLD),
    ("debug", 0, WORLD),
    ("debug", 1, WORLD),
    ("stderr", 0, WORLD),
    ("halt", 0, WORLD),
    ("halt", 1, WORLD),
    ("halt_error", 0, WORLD),
    ("halt_error", 1, WORLD),
];

const ENDLESS: &str = "it need not end";
const WORLD: &str = "a mapping sees its payload and nothing else";

/// Whether jq's filter of that name is not even compiled. `recurse` is what others are made of.
pub(super) fn is_left_out(name: &str) -> bool {
    let inner = matches!(name, "debug_empty" | "stderr_empty");
    inner || (name != "recurse" && ABSENT.iter().any(|(absent, _, _)| *absent == name))
}

/// What is wrong, and the piece of the text where it stands.
pub(super) struct Wrong<'s> {
    pub(super) part: &'s str,
    pub(super) detail: String,
}

/// Looks at the definitions of a mapping, in their order.
pub(super) fn check<'s>(definitions: &[Definition<'s>]) -> Result<(), Wrong<'s>> {
    Scope::default().definitions(definitions)
}

/// The names that a place sees, nearest last.
#[derive(Default)]
struct Scope<'s> {
    names: Vec<(&'s str, usize, Standing)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its body is being read: a call would be a recursion.
    Open,
    /// Defined, or an argument.
    Known,
}

type Checked<'s> = Result<(), Wrong<'s>>;

impl<'s> Scope<'s> {
    fn definitions(&mut self, definitions: &[Definition<'s>]) -> Checked<'s> {
        for definition in definitions {
            let before = self.names.len();
            self.names.push((definition.name, definition.args.len(), Standing::Open));
            for argument in &definition.args {
                self.names.push((argument.trim_start_matches('$'), 0, Standing::Known));
            }
            self.term(&definition.body)?;
            self.names.truncate(before);
            self.names.push((definition.name, definition.args.len(), Standing::Known));
        }
        Ok(())
    }

    fn call(&mut self, name: &'s str, arguments: &[Term<&'s str>]) -> Checked<'s> {
        let arity = arguments.len();
        let known = self.names.iter().rev().find(|(known, takes, _)| *known == name && *takes == arity);
        let absent = || ABSENT.iter().find(|(absent, takes, _)| *absent == name && *takes == arity);
        match known {
            Some((_, _, Standing::Open)) => {
                let detail = format!("wanted definitions that do not call themselves, found `{name}` inside itself");
                return Err(Wrong { part: name, detail });
            }
            Some((_, _, Standing::Known)) => {}
            None => {
                if let Some((_, _, why)) = absent() {
                    let detail = format!("`{name}/{arity}` is not for mappings: {why}");
                    return Err(Wrong { part: name, detail });
                }
            }
        }
        arguments.iter().try_for_each(|argument| self.term(argument))
    }

    fn term(&mut self, term: &Term<&'s str>) -> Checked<'s> {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => Ok(()),
            Term::Str(_, parts) => parts.iter().try_for_each(|part| match part {
                StrPart::Term(term) => self.term(term),
                StrPart::Str(_) | StrPart::Char(_) => Ok(()),
            }),
            Term::Arr(items) => items.iter().try_for_each(|items| self.term(items)),
            Term::Obj(fields) => fields.iter().try_for_each(|(key, value)| {
                self.term(key)?;
                value.iter().try_for_each(|value| self.term(value))
            }),
            Term::Neg(inner) | Term::Label(_, inner) => self.term(inner),
            Term::BinOp(left, operator, right) => {
                self.term(left)?;
                if let BinaryOp::Pipe(Some(pattern)) = operator {
                    self.pattern(pattern)?;
                }
                self.term(right)
            }
            Term::Fold(_, over, pattern, arms) => {
                self.term(over)?;
                self.pattern(pattern)?;
                arms.iter().try_for_each(|arm| self.term(arm))
            }
            Term::TryCatch(tried, caught) => {
                self.term(tried)?;
                caught.iter().try_for_each(|caught| self.term(caught))
            }
            Term::IfThenElse(arms, otherwise) => {
                arms.iter().try_for_each(|(when, then)| self.term(when).and_then(|()| self.term(then)))?;
                otherwise.iter().try_for_each(|otherwise| self.term(otherwise))
            }
            Term::Def(definitions, body) => {
                let before = self.names.len();
                self.definitions(definitions)?;
                self.term(body)?;
                self.names.truncate(before);
                Ok(())
            }
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Path(head, path) => self.term(head).and_then(|()| self.path(path)),
        }
    }

    fn path(&mut self, path: &Path<Term<&'s str>>) -> Checked<'s> {
        path.0.iter().try_for_each(|(part, _)| match part {
            Part::Index(index) => self.term(index),
            Part::Range(from, to) => [from, to].into_iter().flatten().try_for_each(|bound| self.term(bound)),
        })
    }

    fn pattern(&mut self, pattern: &Pattern<&'s str>) -> Checked<'s> {
        match pattern {
            Pattern::Var(_) => Ok(()),
            Pattern::Arr(inner) => inner.iter().try_for_each(|inner| self.pattern(inner)),
            Pattern::Obj(fields) => fields.iter().try_for_each(|(key, inner)| {
                self.term(key)?;
                self.pattern(inner)
            }),
        }
    }
}
