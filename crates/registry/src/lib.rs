//! Schemas by their number, from any Schema Registry.
