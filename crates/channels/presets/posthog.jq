# PostHog's capture API: /batch/, /e/ and their like.
#
# Source of truth: PostHog's "Capture API" page and what posthog-js, posthog-node and posthog for Python send.
# Identifiers: distinct_id (a person who has signed in, or the browser's own $device_id before that), $anon_distinct_id of
#   $identify, the alias of $create_alias, mail and telephone in $set.
# Event id: uuid, else $insert_id.

def items:
  .body as $body
  | if ($body | type) == "array" then $body[]
    elif ($body | type) == "object" and ($body.batch | type) == "array" then $body.batch[]
    elif $body == null then empty
    else $body end;

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for an event") else
    (.properties | obj) as $properties
    | (either(.event) // "unnamed" | tostring) as $event
    | either(.distinct_id, $properties.distinct_id) as $distinct
    | ($distinct == $properties["$device_id"] or $properties["$is_identified"] == false
        or $properties["$process_person_profile"] == false) as $anonymous
    | (($properties["$set_once"] | obj) + (.["$set_once"] | obj) + ($properties["$set"] | obj) + (.["$set"] | obj)) as $set
    | {
        event_id: either(.uuid, $properties["$insert_id"], digest),
        type: (($event | word("$pageview=page_viewed $screen=screen_viewed $identify=identified $create_alias=aliased
                  $merge_dangerously=identities_merged $groupidentify=account_updated $set=contact_updated
                  $pageleave=page_left")) // ($event | name)),
        occurred_at: at(.timestamp, $properties["$time"]),
        identifiers: [
          id(if $anonymous and $event != "$identify" then "anonymous_id" else "user_id" end; $distinct),
          id("user_id"; $properties["$user_id"]),
          id("anonymous_id"; $properties["$device_id"], $properties["$anon_distinct_id"], $properties["$anon_id"]),
          (if $event == "$create_alias" or $event == "$merge_dangerously"
            then id("anonymous_id"; $properties.alias | select(. != $distinct)) else empty end),
          id("email"; $set.email), id("phone"; $set.phone)
        ] | unique,
        traits: ($set | without(. == "email" or . == "phone") | names | compact),
        properties: (($properties | without(startswith("$") or . == "token" or . == "distinct_id") | names)
          + {page: $properties["$current_url"], title: $properties["$title"], campaign: $properties.utm_campaign,
             screen: $properties["$screen_name"]} | compact),
        context: {account: (if $event == "$groupidentify" then $properties["$group_key"] else $properties["$groups"] | obj | .company end)}
      } end;
