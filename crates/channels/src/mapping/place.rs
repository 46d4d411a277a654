//! Where in its text a mapping fails when it runs: jq tells what is wrong and not where. So whoever tries a mapping runs one
//! in which each step that can fail says its place with what it throws, the innermost first. It is asked only
//! where the mapping itself has failed, since jaq does not take such a step everywhere.

use std::collections::BTreeMap;

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::path::{Part, Path};

use super::Definition;
use super::error::place_of;

/// What the rewritten mapping calls: what is thrown gets its place where it has none, and loses it where the mapping itself
/// catches it. The name of the field is one that no payload has.
pub(super) const FILTERS: &str = r#"
def musubi_placed($at): if type == "object" and has("musubi at") then error(.) else error({"musubi at": $at, told: .}) end;
def musubi_told: if type == "object" and has("musubi at") then .told else . end;
"#;

/// The places of a text: for each token that begins somewhere in it, its line and column.
pub(super) struct Places(BTreeMap<usize, String>);

impl Places {
    pub(super) fn of(code: &str, tokens: &[Token<&str>]) -> Self {
        let mut starts = Vec::new();
        tokens.iter().for_each(|token| gather(token, &mut starts));
        let place = |part: &str| {
            let (line, column) = place_of(code, part)?;
            Some((address(part), format!("line {line}, column {column}")))
        };
        Self(starts.into_iter().filter_map(place).collect())
    }

    /// The place of the last token that begins no later than this piece of the text.
    fn at(&self, part: &str) -> Option<&str> {
        self.0.range(..=address(part)).next_back().map(|(_, place)| place.as_str())
    }

    /// The definitions of a mapping with their places in them.
    pub(super) fn put_into<'s>(&'s self, definitions: &[Definition<'s>]) -> Vec<Definition<'s>> {
        let put = |of: &Definition<'s>| Def { name: of.name, args: of.args.clone(), body: self.term(&of.body) };
        definitions.iter().map(put).collect()
    }

    fn term<'s>(&'s self, term: &Term<&'s str>) -> Term<&'s str> {
        let boxed = |inner: &Term<&'s str>| Box::new(self.term(inner));
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => term.clone(),
            Term::Str(format, parts) => {
                let parts = parts.iter().map(|part| match part {
                    StrPart::Term(inner) => StrPart::Term(self.term(inner)),
                    StrPart::Str(text) => StrPart::Str(*text),
                    StrPart::Char(c) => StrPart::Char(*c),
                });
                let text = Term::Str(*format, parts.collect());
                format.map_or_else(|| text.clone(), |format| self.placed(text.clone(), format))
            }
            Term::Arr(items) => Term::Arr(items.as_deref().map(boxed)),
            Term::Obj(fields) => {
                let field = |(key, value): &(Term<&'s str>, Option<Term<&'s str>>)| {
                    // A key that is written out names the field also where the value is not.
                    let key = if value.is_some() { self.term(key) } else { key.clone() };
                    (key, value.as_ref().map(|value| self.term(value)))
                };
                Term::Obj(fields.iter().map(field).collect())
            }
            Term::Neg(inner) => Term::Neg(boxed(inner)),
            Term::Label(name, inner) => Term::Label(*name, boxed(inner)),
            // What is written to is a path, in which jaq takes no `try`.
            Term::BinOp(left, operator, right) if is_assignment(operator) => {
                Term::BinOp(left.clone(), operator.clone(), boxed(right))
            }
            Term::Call("del", _) => term.clone(),
            Term::BinOp(left, operator, right) => {
                let both = Term::BinOp(boxed(left), operator.clone(), boxed(right));
                match (operator, start(left).or_else(|| start(right))) {
                    (BinaryOp::Math(_), Some(part)) => self.placed(both, part),
                    _ => both,
                }
            }
            Term::Fold(name, over, pattern, arms) => {
                let arms = arms.iter().map(|arm| self.term(arm)).collect();
                Term::Fold(*name, boxed(over), pattern.clone(), arms)
            }
            Term::TryCatch(tried, caught) => {
                let told = |caught: &Term<&'s str>| piped(Term::Call("musubi_told", Vec::new()), self.term(caught));
                Term::TryCatch(boxed(tried), caught.as_deref().map(|caught| Box::new(told(caught))))
            }
            Term::IfThenElse(arms, otherwise) => {
                let arms = arms.iter().map(|(when, then)| (self.term(when), self.term(then))).collect();
                Term::IfThenElse(arms, otherwise.as_deref().map(boxed))
            }
            Term::Def(definitions, body) => Term::Def(self.put_into(definitions), boxed(body)),
            Term::Call(name, arguments) => {
                let call = Term::Call(*name, arguments.iter().map(|argument| self.term(argument)).collect());
                self.placed(call, name)
            }
            Term::Path(head, path) => {
                let part = |(part, opt): &(Part<Term<&'s str>>, _)| {
                    let part = match part {
                        Part::Index(index) => Part::Index(self.term(index)),
                        Part::Range(from, to) => {
                            let bound = |bound: &Option<Term<&'s str>>| bound.as_ref().map(|bound| self.term(bound));
                            Part::Range(bound(from), bound(to))
                        }
                    };
                    (part, *opt)
                };
                let whole = Term::Path(boxed(head), Path(path.0.iter().map(part).collect()));
                match start(term) {
                    Some(part) => self.placed(whole, part),
                    None => whole,
                }
            }
        }
    }

    /// A term that says where `part` stands with what it throws.
    fn placed<'s>(&'s self, term: Term<&'s str>, part: &'s str) -> Term<&'s str> {
        let Some(place) = self.at(part) else { return term };
        let place = Term::Str(None, vec![StrPart::Str(place)]);
        Term::TryCatch(Box::new(term), Some(Box::new(Term::Call("musubi_placed", vec![place]))))
    }
}

const fn is_assignment(operator: &BinaryOp<&str>) -> bool {
    matches!(operator, BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt)
}

fn piped<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn address(part: &str) -> usize {
    part.as_ptr() as usize
}

fn gather<'s>(token: &Token<&'s str>, starts: &mut Vec<&'s str>) {
    let Token(text, kind) = token;
    starts.push(*text);
    match kind {
        Tok::Block(inner) => inner.iter().for_each(|token| gather(token, starts)),
        Tok::Str(parts) => parts.iter().for_each(|part| {
            if let StrPart::Term(token) = part {
                gather(token, starts);
            }
        }),
        Tok::Word | Tok::Var | Tok::Fmt | Tok::Num | Tok::Sym => {}
    }
}

/// A piece of the text from near the beginning of a term; none where the term has none of its own, as `.` has not.
fn start<'s>(term: &Term<&'s str>) -> Option<&'s str> {
    match term {
        Term::Id | Term::Recurse => None,
        Term::Num(text) | Term::Break(text) | Term::Var(text) | Term::Label(text, _) | Term::Call(text, _) => {
            Some(text)
        }
        Term::Fold(text, ..) => Some(*text),
        Term::Str(format, parts) => format.or_else(|| parts.iter().find_map(start_of_part)),
        Term::Arr(items) => items.as_deref().and_then(start),
        Term::Obj(fields) => fields.first().and_then(|(key, _)| start(key)),
        Term::Neg(inner) | Term::Def(_, inner) => start(inner),
        Term::BinOp(left, _, right) => start(left).or_else(|| start(right)),
        Term::TryCatch(tried, _) => start(tried),
        Term::IfThenElse(arms, _) => arms.first().and_then(|(when, _)| start(when)),
        Term::Path(head, path) => start(head).or_else(|| {
            path.0.iter().find_map(|(part, _)| match part {
                Part::Index(index) => start(index),
                Part::Range(from, to) => from.as_ref().or(to.as_ref()).and_then(start),
            })
        }),
    }
}

fn start_of_part<'s>(part: &StrPart<&'s str, Term<&'s str>>) -> Option<&'s str> {
    match part {
        StrPart::Str(text) => Some(*text),
        StrPart::Term(term) => start(term),
        StrPart::Char(_) => None,
    }
}
