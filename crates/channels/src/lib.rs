//! A payload of some channel becomes touchpoints: one module a channel. No IO.
