# Any system that posts JSON. Which field means what stands in the settings, under `fields`; a payload that has the form
# of a canonical touchpoint already is taken as it is.
#
# Identifiers: `fields.identifiers`. Event id: `fields.event_id`, else the header webhook-id (Standard Webhooks), else a
# digest of the item.

def items:
  .headers["webhook-id"] as $id
  | [.body | if $source.fields.items then dig($source.fields.items) else . end
      | if type == "array" then .[] else . end | select(. != null)]
  | length as $count
  | to_entries[]
  | {data: .value, id: (if $id == null then null elif $count == 1 then $id else "\($id):\(.key)" end)};

def touchpoints:
  .id as $id | .data
  | if type != "object" then set_aside("wrong-type"; "wanted an object for an item")
    elif ($source.fields.identifiers | length) == 0 and (.identifiers | type) == "array" then
      .event_id = either(.event_id, $id, digest) | .occurred_at = at(.occurred_at)
    else by_fields($id // digest; "received"; null) end;
