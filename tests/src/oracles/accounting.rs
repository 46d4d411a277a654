//! The sixth oracle: what became of every record.

use musubi_stitcher::Account;

/// The accounts that stand in the state, and what the topics say of the same.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// By partition, as the live state has them.
    pub live: Vec<Account>,
    /// By partition, as the changelog has them.
    pub rebuilt: Vec<Account>,
    /// By partition: how many records of evidence stand on the topics.
    pub evidence: Vec<u64>,
    /// How many records stand in quarantine.
    pub quarantined: u64,
    /// How many distinct events a reader of the evidence counts that its owner can read.
    pub events: u64,
    /// How many of the touchpoints are copies of another, word for word.
    pub copies: u64,
    /// How many events the state knows as seen.
    pub seen: u64,
}

/// The sixth oracle: in every partition, read is exactly what something became of; the changelog has the same accounts;
/// and the topics, counted by somebody else, say the same.
pub fn accounting(books: &Books) -> Vec<String> {
    let mut wrong = Vec::new();
    for (partition, account) in books.live.iter().enumerate() {
        if account.read != account.told() {
            wrong.push(format!("partition {partition}: read {}, told of {}", account.read, account.told()));
        }
        if books.rebuilt.get(partition) != Some(account) {
            let rebuilt = books.rebuilt.get(partition);
            wrong.push(format!("partition {partition}: the state has {account:?}, the changelog {rebuilt:?}"));
        }
        let stand = books.evidence.get(partition).copied().unwrap_or_default();
        let read = account.read.saturating_sub(account.messages);
        if read != stand {
            wrong.push(format!("partition {partition}: {stand} records of evidence stand there, {read} were read"));
        }
    }
    let all = books.live.iter().fold(Account::default(), |sum, account| sum.join(*account));
    let counts = [
        ("records in quarantine", books.quarantined, all.quarantined),
        ("events that were taken in", books.events, all.taken + all.forgotten),
        ("copies", books.copies, all.duplicates),
        ("events that the state has seen", books.seen, all.taken + all.forgotten),
    ];
    let differ = counts.iter().filter(|(_, wanted, found)| wanted != found);
    wrong.extend(differ.map(|(what, wanted, found)| format!("{what}: counted {wanted}, accounted for {found}")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        let first = Account { read: 12, taken: 5, duplicates: 1, quarantined: 2, messages: 4, ..Account::default() };
        let second = Account { read: 4, taken: 3, forwarded: 1, ..Account::default() };
        let accounts = vec![first, second];
        Books {
            live: accounts.clone(),
            rebuilt: accounts,
            evidence: vec![8, 4],
            quarantined: 2,
            events: 8,
            copies: 1,
            seen: 8,
        }
    }

    #[test]
    fn books_that_balance_are_believed() {
        assert_eq!(accounting(&books()), Vec::<String>::new());
    }

    #[test]
    fn every_entry_that_is_off_is_named() {
        let off = |change: fn(&mut Books), word: &str| {
            let mut books = books();
            change(&mut books);
            let found = accounting(&books);
            assert!(found.iter().any(|said| said.contains(word)), "wanted `{word}` in {found:?}");
        };
        off(|books| books.live[0].read += 1, "told of");
        off(|books| books.live[0].taken += 1, "told of");
        off(|books| books.rebuilt[1].taken += 1, "the changelog");
        off(|books| books.rebuilt.truncate(1), "the changelog");
        off(|books| books.evidence[1] = 5, "5 records of evidence stand there");
        off(|books| books.quarantined = 3, "records in quarantine");
        off(|books| books.events = 9, "events that were taken in");
        off(|books| books.copies = 0, "copies");
        off(|books| books.seen = 7, "events that the state has seen");
    }
}
