//! The settings of a source as its mapping sees them.

use jaq_json::Val;

use crate::json::{self, text};
use crate::preset::Preset;
use crate::settings::Settings;

/// The settings as mappings see them. No key and no secret is among them.
pub(super) fn seen(settings: &Settings, preset: &Preset) -> Val {
    let optional = |value: &Option<String>| value.as_deref().map_or(Val::Null, text);
    let list = |values: &[String]| Val::Arr(values.iter().map(|value| text(value)).collect::<Vec<_>>().into());
    let map =
        |map: &std::collections::BTreeMap<String, String>| json::object(map.iter().map(|(k, v)| (k.as_str(), text(v))));
    let fields = &settings.fields;
    let fields = json::object([
        ("items", optional(&fields.items)),
        ("event_id", list(&fields.event_id)),
        ("type", optional(&fields.r#type)),
        ("type_field", optional(&fields.type_field)),
        ("occurred_at", list(&fields.occurred_at)),
        ("channel_field", optional(&fields.channel_field)),
        ("identifiers", map(&fields.identifiers)),
        ("traits", map(&fields.traits)),
        ("properties", fields.properties.as_ref().map_or(Val::Null, map)),
        ("consent", map(&fields.consent)),
        ("amount", optional(&fields.amount)),
        ("currency", optional(&fields.currency)),
    ]);
    json::object([
        ("name", text(&settings.name)),
        ("channel", text(settings.channel.as_deref().unwrap_or(preset.channel))),
        ("scope", settings.scope.as_deref().filter(|scope| !scope.is_empty()).map_or(Val::Null, text)),
        ("timezone", text(&settings.timezone)),
        ("trust_link_identifiers", Val::Bool(settings.trust_link_identifiers)),
        ("fields", fields),
    ])
}
