# What every mapping can call. `$source` has the settings: name, channel, scope, timezone, trust_link_identifiers and
# fields. Filters that are not here are in `shape.rs` and `natives.rs`, each documented where it is coded.

# An identifier that means something only inside the source's scope (a LINE provider, a shop, an account).
def scoped($namespace; value): id($namespace; value; $source.scope);

# An amount with its currency, the amount as a text so that no digit is lost; nothing where there is no amount.
def money(amount; currency):
  . as $from | amount | given | tostring as $amount
  | ($from | either(currency)) as $currency
  | if $currency == null then {amount: $amount} else {amount: $amount, currency: $currency} end;

# An instant of what stands in VALUE, else of the time of receipt. `instant($zone)` is documented in `natives.rs`.
def at(value): either(value) | if . == null then $received_at else instant($source.timezone) end;

# Sets something aside, with the reason in kebab-case and a word for people.
def set_aside($reason; $detail): {set_aside: $reason, detail: $detail};

# A name as the vocabulary writes it: "Order Completed" is order_completed.
def name: tostring | snake;

# An amount that a service counts in the smallest unit of its currency, as a decimal in a text.
def minor($amount; $currency):
  $amount | given
  | if $currency == "JPY" or $currency == "KRW" or $currency == "VND" then tostring
    else tonumber | (if . < 0 then "-" else "" end) as $sign
      | (if . < 0 then -. else . end) as $all
      | "\($sign)\($all / 100 | floor).\(if $all % 100 < 10 then "0" else "" end)\($all % 100)" end;

# ---- What the settings say under `fields`, for payloads, rows and records that nobody else knows. Input: the fields.

# Whether consent was given, in the words of forms; null where neither is said.
def yes_or_no:
  if . == "true" or . == "1" or . == "yes" or . == "y" or . == "on" or . == "可" or . == "希望する" or . == "同意" then true
  elif . == "false" or . == "0" or . == "no" or . == "n" or . == "off" or . == "不可" or . == "希望しない" or . == "拒否" then false
  else null end;

def field_texts($paths): . as $all | [$paths[] as $path | $all | dig($path) | given | tostring];

def field_properties:
  . as $all
  | if $source.fields.properties then renamed($source.fields.properties)
    else without(. as $name
      | ($source.fields.identifiers | has($name)) or ($source.fields.traits | has($name))
        or ($source.fields.consent | has($name))) | compact end
  | if $source.fields.amount
    then .total = (first(money($all | dig($source.fields.amount) | if type == "string" then split(",") | join("") else . end;
      $source.fields.currency)) // null)
    else . end
  | compact;

def field_consent:
  . as $all
  | [$source.fields.consent | to_entries[] | .key as $path
      | {key: .value, value: ($all | dig($path) | tostring | ascii_downcase | yes_or_no)}
      | select(.value != null)]
  | from_entries;

# A touchpoint of what the settings say; `$event_id` names the event where they do not.
def by_fields($event_id; $type; $time):
  . as $all
  | {
      event_id: (field_texts($source.fields.event_id) | if length > 0 then join(":") else $event_id end),
      type: (either($all | (($source.fields.type_field | given) as $path | dig($path))) | if . then snake else $source.fields.type // $type end),
      channel: either($all | (($source.fields.channel_field | given) as $path | dig($path))),
      occurred_at: at((field_texts($source.fields.occurred_at) | if length > 0 then join(" ") else $time end)),
      identifiers: [ids($source.fields.identifiers)],
      traits: renamed($source.fields.traits),
      properties: field_properties,
      consent: field_consent
    };
