//! Policies drawn from a seed: small ones in which every rule has something to say, and now and then the recommended.

use std::fmt::Write;
use std::sync::Arc;

use musubi_core::policy::Policy;

use crate::dice::Dice;

/// The namespaces of a drawn policy; it has as many of them, from the first, as it happens to have.
const NAMES: [&str; 5] = ["user_id", "loyalty_card", "email_box", "device", "cookie"];

/// A policy, and the namespaces whose values arrivals name: one more than it has, where it is drawn.
pub(crate) struct Ruled {
    pub(crate) policy: Arc<Policy>,
    pub(crate) namespaces: Vec<Arc<str>>,
}

/// A policy of this seed.
pub(crate) fn draw(dice: &mut Dice) -> Ruled {
    if dice.happens(80) {
        let policy = Policy::recommended();
        let namespaces = policy.namespaces.iter().map(|namespace| Arc::clone(&namespace.name)).collect();
        return Ruled { policy: Arc::new(policy), namespaces };
    }
    let many = 1 + dice.index(NAMES.len());
    let text = text(dice, &NAMES[..many]);
    let policy = Arc::new(Policy::parse(&text).expect("what is drawn is a policy"));
    // Now and then somebody sends a namespace that nobody told us of.
    let sent = if dice.happens(300) { NAMES.len().min(many + 1) } else { many };
    Ruled { policy, namespaces: NAMES[..sent].iter().map(|name| Arc::from(*name)).collect() }
}

fn text(dice: &mut Dice, names: &[&str]) -> String {
    let mut text = String::new();
    for name in names {
        namespace(dice, name, &mut text);
    }
    let survivorship = dice.pick(&["newest", "oldest", "max", "min", "union"]);
    let (max_cluster, recent) = (dice.between(1, 40), dice.below(5));
    let _ = write!(
        text,
        "[[trait]]\nname = \"name\"\nsurvivorship = \"{survivorship}\"\n\
         [[computed]]\nname = \"visits\"\nfunction = \"count\"\nper_channel = true\n\
         [[computed]]\nname = \"spent\"\nfunction = \"sum\"\nof = \"total\"\n\
         [[computed]]\nname = \"latest\"\nfunction = \"last\"\nof = \"total\"\n\
         [limits]\nmax_cluster = {max_cluster}\nrecent_touchpoints = {recent}\nmax_identifiers_per_touchpoint = 6\n\
         [blocked]\nvalues = [\"junk\"]\n"
    );
    text
}

fn namespace(dice: &mut Dice, name: &str, text: &mut String) {
    let unique = dice.happens(500);
    let conflict = dice.pick(&["newest", "oldest"]);
    let max_links = if dice.happens(250) { dice.between(2, 5) } else { 1_000 };
    let _ = write!(
        text,
        "[[namespace]]\nname = \"{name}\"\nunique = {unique}\nconflict = \"{conflict}\"\nmax_links = {max_links}\n"
    );
    if !unique && dice.happens(500) {
        let _ = writeln!(text, "max_per_person = {}", dice.between(1, 3));
    }
    if dice.happens(400) {
        let _ = writeln!(text, "shared_after = {}", dice.between(1, 3));
    }
}
