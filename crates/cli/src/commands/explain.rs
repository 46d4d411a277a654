//! `musubi explain`: why two identifiers are one person, or are not.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use musubi_serve::explain::{Explanation, Step, Verdict};

use crate::commands::reach::Reach;
use crate::commands::up::Rules;
use crate::output;

/// Say why two identifiers are one person, or are not: the evidence that ties them, and what was refused.
///
/// Exits with 0 where they are one person, and with 1 where they are not.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The first identifier, as `namespace:value`.
    a: String,
    /// The second.
    b: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    reach: Reach,
    /// With `--data`: the policy and the key that the directory was made with.
    #[command(flatten)]
    rules: Rules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For pipes.
    Json,
}

/// Explains.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let explanation = match &args.reach.data {
        Some(data) => args.rules.open(data, None)?.explain(&args.a, &args.b)?,
        None => {
            let mut response = args.reach.ask("/v1/explain", &[("a", &args.a), ("b", &args.b)])?;
            serde_json::from_str(&response.body_mut().read_to_string()?)?
        }
    };
    let mut out = output::stdout();
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&explanation)?)?,
        Format::Text => write(&explanation, &mut out)?,
    }
    out.flush()?;
    Ok(if explanation.verdict == Verdict::OnePerson { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The explanation for a person to read.
fn write(explanation: &Explanation, out: &mut impl Write) -> io::Result<()> {
    let [a, b] = explanation.persons.each_ref().map(|person| person.as_deref().unwrap_or("nobody"));
    match explanation.verdict {
        Verdict::OnePerson => writeln!(out, "one person: {a}")?,
        Verdict::KeptApart => writeln!(out, "not one person: {a} and {b} are kept apart")?,
        Verdict::NotConnected => writeln!(out, "not one person: nothing connects {a} and {b}")?,
    }
    for step in &explanation.path {
        match step {
            Step::Identifier(named) => writeln!(out, "  {}:{}", named.namespace, named.value)?,
            Step::Evidence(evidence) => {
                let bar = if evidence.refused.is_some() { "╳" } else { "│" };
                if let (Some(first), Some(last)) = (&evidence.first_seen, &evidence.last_seen) {
                    let sources = evidence.sources.join(", ");
                    writeln!(out, "  {bar}  {} touchpoints, {first} to {last}, from {sources}", evidence.touchpoints)?;
                }
                if let Some(directive) = &evidence.directive {
                    writeln!(out, "  {bar}  directive {} of {}", directive.event_id, directive.source)?;
                }
                if let Some(reason) = &evidence.refused {
                    writeln!(out, "  {bar}  refused: {reason}")?;
                }
            }
        }
    }
    Ok(())
}
