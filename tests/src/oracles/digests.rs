//! The fourth oracle: five ways to the same persons.

use musubi_core::fingerprint::Fingerprint;

/// What each way comes to.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    /// By person, the partitions of the ways that can tell them apart: the first is what the others are held to.
    pub ways: Vec<(&'static str, Vec<Fingerprint>)>,
    /// The fingerprint over all that `musubi run` prints for the same touchpoints.
    pub run: Option<String>,
}

impl Digests {
    /// The fingerprint over all, by the first way.
    pub fn whole(&self) -> Option<Fingerprint> {
        self.ways.first().map(|(_, parts)| whole(parts))
    }
}

fn whole(parts: &[Fingerprint]) -> Fingerprint {
    parts.iter().fold(Fingerprint::default(), |sum, part| sum.join(*part))
}

/// The fourth oracle: every way comes to the same persons, partition by partition, and there are some.
pub fn digests(found: &Digests) -> Vec<String> {
    let Some(((first, wanted), others)) = found.ways.split_first() else {
        return vec!["no way to the persons was gone".to_owned()];
    };
    let mut wrong = Vec::new();
    if whole(wanted) == Fingerprint::default() {
        wrong.push(format!("by the {first} there is nobody"));
    }
    for (name, parts) in others {
        if parts.len() != wanted.len() {
            wrong.push(format!("the {name} has {} partitions, the {first} {}", parts.len(), wanted.len()));
        }
        let differ = parts.iter().zip(wanted).enumerate().filter(|(_, (part, wanted))| part != wanted);
        wrong.extend(differ.map(|(partition, (part, wanted))| {
            format!("partition {partition}: the {name} comes to {part}, the {first} to {wanted}")
        }));
    }
    if let Some(run) = &found.run
        && *run != whole(wanted).to_string()
    {
        wrong.push(format!("`musubi run` comes to {run}, the {first} to {}", whole(wanted)));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use musubi_core::identifier::Identifier;
    use musubi_core::person::PersonId;
    use musubi_core::policy::Policy;

    use super::*;

    fn one(value: &str) -> Fingerprint {
        let key = musubi_serve::Key::development().key;
        let identifier: Identifier = Policy::recommended().identifier("email", value, &key).expect("an address");
        let mut fingerprint = Fingerprint::default();
        fingerprint.add_identity(&identifier, PersonId::of(identifier.key()));
        fingerprint
    }

    #[test]
    fn ways_that_agree_are_believed() {
        let parts = vec![one("a@example.jp"), Fingerprint::default()];
        let run = Some(whole(&parts).to_string());
        let found = Digests { ways: vec![("live state", parts.clone()), ("replay", parts)], run };
        assert_eq!(digests(&found), Vec::<String>::new());
        assert_eq!(found.whole().map(|sum| sum.to_string()), found.run);
    }

    #[test]
    fn whoever_differs_is_named() {
        let (here, there) = (one("a@example.jp"), one("b@example.jp"));
        let found = Digests { ways: vec![("live state", vec![here, there]), ("replay", vec![there, here])], run: None };
        assert_eq!(digests(&found).len(), 2, "the sum is the same, and nobody is where they should be");
        assert!(digests(&found)[0].contains("partition 0: the replay"));
        let found = Digests { ways: vec![("live state", vec![here])], run: Some("0".to_owned()) };
        assert!(digests(&found)[0].contains("`musubi run`"));
        let found = Digests { ways: vec![("live state", vec![here]), ("replay", vec![])], run: None };
        assert!(digests(&found)[0].contains("has 0 partitions"));
    }

    #[test]
    fn nothing_is_no_agreement() {
        assert_eq!(digests(&Digests::default()).len(), 1);
        let nobody = vec![Fingerprint::default()];
        let found = Digests { ways: vec![("live state", nobody.clone()), ("replay", nobody)], run: None };
        assert!(digests(&found)[0].contains("there is nobody"));
    }
}
