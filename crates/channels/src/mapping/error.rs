//! What is wrong with a mapping, and where.

use std::fmt;

use jaq_core::compile::Undefined;
use jaq_core::load::{self, lex, parse};

/// A mapping that does not stand: the place in its text, what was wanted, what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The name of the mapping: a preset's, or a file's.
    name: String,
    /// Line and column, from 1, the column in characters; none where the whole is meant.
    place: Option<(usize, usize)>,
    detail: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "mapping `{}`, line {line}, column {column}: {}", self.name, self.detail),
            None => write!(f, "mapping `{}`: {}", self.name, self.detail),
        }
    }
}

impl Error {
    /// Line and column, from 1, where one place is at fault.
    pub const fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    pub(super) fn whole(name: &str, detail: String) -> Self {
        Self { name: name.to_owned(), place: None, detail }
    }

    /// An error where `part`, a piece of `code`, stands.
    pub(super) fn at(name: &str, code: &str, part: &str, detail: String) -> Self {
        Self { name: name.to_owned(), place: place_of(code, part), detail }
    }

    pub(super) fn of_load(name: &str, code: &str, error: load::Error<&str>) -> Self {
        match error {
            load::Error::Io(errors) => {
                let first = errors.first().map_or("", |(path, _)| path);
                Self::at(name, code, first, format!("wanted no `import` and no `include`, found `{first}`"))
            }
            load::Error::Lex(errors) => {
                let Some((wanted, part)) = errors.first() else { return Self::whole(name, "no tokens".into()) };
                Self::at(name, code, part, wanted_found(lexeme(wanted), part))
            }
            load::Error::Parse(errors) => Self::of_parse(name, code, errors.first()),
        }
    }

    fn of_parse(name: &str, code: &str, error: Option<&parse::Error<&str>>) -> Self {
        let Some((wanted, part)) = error else { return Self::whole(name, "no term".into()) };
        Self::at(name, code, part, wanted_found(wanted.as_str(), part))
    }

    pub(super) fn of_compile(name: &str, code: &str, error: &(&str, Undefined)) -> Self {
        let (part, undefined) = error;
        let detail = match undefined {
            Undefined::Filter(arity) => format!("wanted a filter that is defined, found `{part}/{arity}`"),
            Undefined::Mod | Undefined::Var | Undefined::Label => {
                format!("wanted a {} that is defined, found `{part}`", undefined.as_str())
            }
            other => format!("wanted a {} that is defined, found `{part}`", other.as_str()),
        };
        Self::at(name, code, part, detail)
    }
}

const fn lexeme<'a>(wanted: &lex::Expect<&'a str>) -> &'a str {
    match wanted {
        lex::Expect::Digit => "digit",
        lex::Expect::Ident => "identifier",
        lex::Expect::Delim(open) => match open.as_bytes() {
            b"(" => "closing `)`",
            b"[" => "closing `]`",
            b"{" => "closing `}`",
            _ => "closing quote",
        },
        lex::Expect::Escape => "escape of a string",
        lex::Expect::Unicode => "unicode escape",
        _ => "token",
    }
}

fn wanted_found(wanted: &str, part: &str) -> String {
    const SHOWN: usize = 20;
    let found: String = part.split_whitespace().next().unwrap_or("").chars().take(SHOWN).collect();
    if found.is_empty() {
        format!("wanted {wanted}, found the end")
    } else {
        format!("wanted {wanted}, found `{found}`")
    }
}

/// Where a piece of a text stands in it. What is no piece of it stands nowhere.
pub(super) fn place_of(code: &str, part: &str) -> Option<(usize, usize)> {
    let start = (part.as_ptr() as usize).checked_sub(code.as_ptr() as usize)?;
    let before = code.get(..start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
}
