# Segment's HTTP tracking API, and RudderStack, which speaks it with small differences.
#
# Source of truth: Segment's spec ("HTTP Tracking API", "Spec: Common Fields") and what the SDKs send.
# Identifiers: userId, anonymousId, previousId, traits.email and .phone, device ids, advertising ids where tracking is
#   allowed, externalIds (RudderStack: externalId), the client id of Google Analytics.
# Event id: messageId.
#
# `timestamp` is taken as it is. Segment would shift it by sentAt, but some SDKs repeat an old sentAt when they try again
# and others a new one, so two copies of one event would get two times. sentAt is left out for the same reason. A clock
# that runs ahead is held back to the time of receipt later on; original_timestamp is kept where it differs.

# One item a call, with what the envelope and the path say about all of them.
def items:
  (.headers.anonymousid // null | if . then (try base64url catch null) else null end) as $anonymous
  | (.path | split("/") | map(select(. != "")) | last // "" | tostring) as $last
  | (($last | word("i=identify t=track p=page s=screen g=group a=alias")) // $last) as $kind
  | .body as $body
  | if ($body | type) == "object" and ($body.batch | type) == "array" then
      $body.batch[] as $call
      | {event: ($call | if type == "object" then .context = (($body.context | obj) + (.context | obj)) else . end)}
    elif ($body | type) == "array" then $body[] | {event: .}
    elif $body == null then empty
    else {event: $body} end
  | .kind = (if (.event | type) == "object" and (.event.type | type) == "string" then .event.type else $kind end)
  | .anonymous = $anonymous;

# What the query of the page claims about the person: ajs_uid, ajs_aid, ajs_trait_email.
def claimed:
  (.context | obj | .page | obj) as $page
  | (either($page.search, ($page.url | given | tostring | split("?") | .[1])) // "")
  | if type == "string" then ltrimstr("?") | split("#") | .[0] // "" | form else {} end;

def device_ids($context):
  ($context.device | obj) as $device
  | (either($device.type, ($context.os | obj | .name)) // "" | tostring | ascii_downcase) as $system
  | id("device_id"; $device.id),
    id("push_token"; $device.token),
    (if $device.adTrackingEnabled == true
      then id(if $system == "android" then "gaid" else "idfa" end; $device.advertisingId) | .value |= ascii_downcase
      else empty end);

def external_ids($context):
  (($context.externalIds | list), ($context.externalId | list))[]
  | obj | select(.type | type == "string") | id(.type | snake; .id);

def touchpoints:
  .kind as $kind | .anonymous as $anonymous | .event
  | if type != "object" then set_aside("wrong-type"; "wanted an object for a call") else
    . as $event
    | (.context | obj) as $context
    | ((.traits | obj) + {}) as $own
    | (($context.traits | obj) + (if $kind == "group" then {} else $own end)) as $traits
    | (.properties | obj) as $properties
    | (if $source.trust_link_identifiers or $context.page == null then {} else claimed end) as $claimed
    | {
        event_id: either(.messageId, digest),
        type: (($kind | word("identify=identified page=page_viewed screen=screen_viewed group=account_joined alias=aliased
                  merge=identities_merged")) // (either(.event, $kind) // "unnamed" | name)),
        channel: (if $kind == "screen" or (($context.device | obj | .type) | . == "ios" or . == "android")
          then "app" else null end),
        occurred_at: at(.timestamp, .originalTimestamp),
        identifiers: [
          id("user_id"; .userId | select(. != $claimed.ajs_uid)),
          id("anonymous_id"; either(.anonymousId, $anonymous) | select(. != $claimed.ajs_aid)),
          (if $kind == "alias" then id("anonymous_id"; .previousId | select(. != $event.userId)) else empty end),
          id("email"; ($traits.email, $properties.email) | select(. != $claimed.ajs_trait_email)),
          id("phone"; $traits.phone, $properties.phone),
          id("loyalty_card"; $traits.loyalty_card, $properties.loyalty_card),
          (if $context.device == null then empty else device_ids($context) end),
          (if $context.externalIds == null and $context.externalId == null then empty else external_ids($context) end),
          id("ga_client_id"; $context | dig("integrations.Google Analytics.clientId")),
          id("ga_client_id"; dig("integrations.Google Analytics.clientId")),
          id("cart_token"; $properties.cart_id), id("order_id"; $properties.order_id),
          (if .mergeProperties == null then empty else .mergeProperties end | list | .[] | obj | select(.type | type == "string") | id(.type | snake; .value))
        ],
        traits: ($traits | without(. == "email" or . == "phone") | names | compact),
        properties: (
          ($context | fetch("page=page.path title=page.title campaign=campaign.name"))
          + ($properties | names | if .path then .page = .path else . end)
          + (if $kind == "page" or $kind == "screen" then fetch("name") else {} end)
          + (if $kind == "group" then {group_traits: ($own | names)} else {} end)
          + (if .originalTimestamp != .timestamp then {original_timestamp: .originalTimestamp} else {} end)
          + (first(money(either($properties.total, $properties.revenue, $properties.value); $properties.currency) | {total: .}) // {})
          | compact),
        consent: (if $context.consent == null then {}
          else $context.consent | obj | .categoryPreferences | obj | with_entries(select(.value | type == "boolean")) end),
        context: {account: either(.groupId, $context.groupId)}
      } end;
