//! A person's profile: a fold of the effects of her touchpoints.
