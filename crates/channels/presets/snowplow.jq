# Snowplow's tracker protocol 2: POST /com.snowplowanalytics.snowplow/tp2, GET /i, and renamed paths.
#
# Source of truth: "Snowplow Tracker Protocol" and the schemas of Iglu Central.
# Identifiers: uid (signed in), duid (the first-party cookie), tnuid (the collector's cookie), the installation in the
#   context client_session, advertising and vendor ids in mobile_context. Sessions are no identifiers.
# Event id: eid. Time: ttm, else dtm; the distance to stm is not applied, since trackers round it and repeat it.

def items:
  if (.body | type) == "object" and (.body.data | type) == "array" then .body.data[]
  elif (.body | type) == "object" then .body
  else .query | obj | select(.e != null) end;

# What stands as JSON in one field, or as base64 of JSON in the other.
def packed(plain; encoded):
  first((plain | given | fromjson), (encoded | given | base64url | fromjson)) // {} | obj;

# The name in iglu:com.acme/product_viewed/jsonschema/1-0-0.
def schema_name: tostring | split("/") | .[1] // "" ;

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for an event") else
    ([packed(.co; .cx) | .data | list | .[] | obj]) as $contexts
    | (first($contexts[] | select(.schema | schema_name == "client_session") | .data | obj) // {}) as $session
    | (first($contexts[] | select(.schema | schema_name == "mobile_context") | .data | obj) // {}) as $mobile
    | (packed(.ue_pr; .ue_px) | .data | obj) as $unstructured
    | ($unstructured.data | obj) as $data
    | {
        event_id: either(.eid, digest),
        type: ({pv: "page_viewed", pp: "page_pinged", tr: "order_completed", ti: "order_line",
                se: (either(.se_ac) // "" | name), ue: ($unstructured.schema | schema_name | snake)}[.e | tostring]
              | if . == null or . == "" then "received" else . end),
        channel: (if .p == "mob" then "app" else null end),
        occurred_at: at(.ttm, .dtm),
        identifiers: [
          id("user_id"; .uid), id("anonymous_id"; .duid), id("cookie"; .tnuid, .nuid),
          id("device_id"; $session.userId), id("idfa"; $mobile.appleIdfa | given | ascii_downcase), id("idfv"; $mobile.appleIdfv | given | ascii_downcase),
          id("gaid"; $mobile.androidIdfa | given | ascii_downcase),
          id("email"; $data.email), id("loyalty_card"; $data.loyalty_card), id("order_id"; .tr_id)
        ],
        traits: {},
        properties: (($data | names)
          + {page: .url, title: .page, referrer: .refr, category: .se_ca, label: .se_la, property: .se_pr, value: .se_va,
             order_id: .tr_id, total: first(money(.tr_tt; .tr_cu), null)} | compact)
      } end;
