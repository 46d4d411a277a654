//! The topics, and which partition of each a record goes to.

use musubi_core::identifier::owner;
use musubi_log::Topic;

/// Touchpoints from the channels, keyed by their strongest identifier.
pub const TOUCHPOINTS: Topic = Topic::constant("touchpoints");
/// Directives from operators, keyed by their first identifier.
pub const DIRECTIVES: Topic = Topic::constant("directives");
/// What partitions say to each other.
pub const MESH: Topic = Topic::constant("mesh");
/// Changes of profiles, keyed by person id.
pub const PROFILE_CHANGES: Topic = Topic::constant("profile-changes");
/// The newest state of each person, keyed by person id; compacted.
pub const PROFILES: Topic = Topic::constant("profiles");
/// The person of each identifier, keyed by `namespace:value`; compacted.
pub const IDENTITY_MAP: Topic = Topic::constant("identity-map");
/// Where an id that is no longer live leads, keyed by that id; compacted.
pub const REDIRECTS: Topic = Topic::constant("redirects");
/// The identifiers of each person, a row for each, keyed by `person_id|namespace:value`; compacted.
pub const PROFILE_IDENTIFIERS: Topic = Topic::constant("profile-identifiers");
/// The traits of each person, a row for each, keyed by `person_id|name`; compacted.
pub const PROFILE_TRAITS: Topic = Topic::constant("profile-traits");
/// What was set aside, with the reason, keyed by source.
pub const QUARANTINE: Topic = Topic::constant("quarantine");

/// The topics that a stitcher reads, in the order in which it would rather read them: an operator's word and what is
/// on its way between partitions before what is new.
pub const INPUTS: [Topic; 3] = [DIRECTIVES, MESH, TOUCHPOINTS];

/// The topics on which only the newest record of each key is kept.
pub const COMPACTED: [Topic; 5] = [PROFILES, IDENTITY_MAP, REDIRECTS, PROFILE_IDENTIFIERS, PROFILE_TRAITS];

/// Every topic.
pub const ALL: [Topic; 10] = [
    TOUCHPOINTS,
    DIRECTIVES,
    MESH,
    PROFILE_CHANGES,
    PROFILES,
    IDENTITY_MAP,
    REDIRECTS,
    PROFILE_IDENTIFIERS,
    PROFILE_TRAITS,
    QUARANTINE,
];

/// The partition of a record with this key, of `partitions`: Kafka's default partitioner.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    owner(key.as_bytes(), partitions)
}
