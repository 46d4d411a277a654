//! What became of all that a partition ever read, in numbers: part of its state, so exact whatever happens to a worker.

use std::collections::BTreeMap;

use musubi_log::{Mutations, Table};
use musubi_store::{self as store, Tables, keys};

/// What became of all that a partition ever read. Every record counts once, in exactly one of the last seven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Records read from the topics of the evidence and from the mesh.
    pub read: u64,
    /// Touchpoints that became evidence.
    pub taken: u64,
    /// Copies of touchpoints that were seen.
    pub duplicates: u64,
    /// Touchpoints that an erasure made forgotten before they came.
    pub forgotten: u64,
    /// Records set aside.
    pub quarantined: u64,
    /// Records sent on to the partition that owns what they are about.
    pub forwarded: u64,
    /// Directives taken in.
    pub directives: u64,
    /// Messages of other partitions.
    pub messages: u64,
}

impl Account {
    const BYTES: usize = 8 * 8;

    fn numbers(self) -> [u64; 8] {
        let Self { read, taken, duplicates, forgotten, quarantined, forwarded, directives, messages } = self;
        [read, taken, duplicates, forgotten, quarantined, forwarded, directives, messages]
    }

    fn of_numbers(numbers: [u64; 8]) -> Self {
        let [read, taken, duplicates, forgotten, quarantined, forwarded, directives, messages] = numbers;
        Self { read, taken, duplicates, forgotten, quarantined, forwarded, directives, messages }
    }

    /// Both together.
    pub fn join(self, other: Self) -> Self {
        let (left, right) = (self.numbers(), other.numbers());
        Self::of_numbers(std::array::from_fn(|place| left[place] + right[place]))
    }

    /// How many records something became of. Where that is not [`Account::read`], one was lost or taken twice.
    pub fn told(self) -> u64 {
        self.numbers()[1..].iter().sum()
    }

    fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, number) in bytes.chunks_exact_mut(8).zip(self.numbers()) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut numbers = [0; 8];
        for (number, place) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
            *number = place.try_into().map_or(0, u64::from_be_bytes);
        }
        Self::of_numbers(numbers)
    }

    /// The account of a partition; nothing where it has read nothing.
    ///
    /// # Errors
    /// [`store::Error`].
    pub fn find(tables: &impl Tables, partition: u32) -> Result<Self, store::Error> {
        let mut account = Self::default();
        tables.get_many(keys::META, &[keys::accounts(partition)], |_, value| {
            account = value.map(Self::decode).unwrap_or_default();
            Ok(())
        })?;
        Ok(account)
    }
}

/// The accounts of one batch, by partition.
#[derive(Debug, Default)]
pub(crate) struct Accounts(BTreeMap<u32, Account>);

impl Accounts {
    /// A record of a partition was read, and this became of it.
    pub(crate) fn count(&mut self, partition: u32, of: impl FnOnce(&mut Account) -> &mut u64) {
        let account = self.0.entry(partition).or_default();
        account.read += 1;
        *of(account) += 1;
    }

    /// Adds them to what the partitions have read before.
    pub(crate) fn write(self, tables: &impl Tables, state: &mut Mutations) -> Result<(), store::Error> {
        for (partition, account) in self.0 {
            let account = Account::find(tables, partition)?.join(account);
            state.put(Table(keys::META), &keys::accounts(partition), &account.encode());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use musubi_store::InMemory;

    use super::*;
    use crate::worker::Store as _;

    #[test]
    fn accounts_add_up_over_batches_and_partitions_keep_their_own() {
        let mut tables = InMemory::default();
        for _ in 0..2 {
            let mut accounts = Accounts::default();
            accounts.count(3, |account| &mut account.taken);
            accounts.count(3, |account| &mut account.messages);
            accounts.count(4, |account| &mut account.quarantined);
            let mut state = Mutations::new();
            accounts.write(&tables, &mut state).expect("memory never fails");
            tables.apply(&state).expect("memory never fails");
        }
        let three = Account::find(&tables, 3).expect("memory never fails");
        assert_eq!(three, Account { read: 4, taken: 2, messages: 2, ..Account::default() });
        assert_eq!(three.told(), 4);
        assert_eq!(Account::find(&tables, 4).expect("memory never fails").quarantined, 2);
        assert_eq!(Account::find(&tables, 5).expect("memory never fails"), Account::default());
    }
}
