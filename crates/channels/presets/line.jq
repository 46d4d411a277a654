# LINE Messaging API webhooks.
#
# Source of truth: LINE's Messaging API reference and its OpenAPI description of webhooks.
# Identifiers: source.userId, which differs from provider to provider: set `scope` to the provider; the nonce of a
#   successful account link as `line_link_nonce` (the shop sends the same nonce with its user_id when it issues it);
#   the hashed telephone number of a delivered notification message.
# Event id: webhookEventId, which a redelivery repeats.

def items: .body | obj | .events | list | .[];

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for an event") else
    (.source | obj) as $from
    # What happens in a group without a person being named is nobody's touchpoint.
    | select($from.userId != null)
    | (.link | obj) as $link
    | ($link.result == "ok") as $linked
    | {
        event_id: either(.webhookEventId, digest),
        type: (if .type == "beacon" then if (.beacon | obj | .type) == "leave" then "store_left" else "store_visited" end
          elif .type == "accountLink" then if $linked then "account_linked" else "account_link_failed" end
          elif .type == "membership" then "membership_\(.membership | obj | .type // "changed")"
          else (.type | word("message=message_received follow=friend_added unfollow=friend_blocked postback=rich_menu_tapped
                  join=group_joined leave=group_left memberJoined=group_joined memberLeft=group_left
                  videoPlayComplete=video_watched unsend=message_unsent delivery=notification_delivered"))
            // (either(.type) // "received" | name) end),
        occurred_at: at(.timestamp),
        identifiers: [
          scoped("line_user_id"; $from.userId),
          (if .type == "accountLink" and $linked then id("line_link_nonce"; $link.nonce) else empty end),
          (if .type == "delivery" then id("phone_sha256"; .delivery | obj | .data | select(tostring | length == 64)) else empty end)
        ],
        traits: {},
        properties: fetch("kind=message.type text=message.text message_id=message.id postback=postback.data
          store_id=beacon.hwid beacon_message=beacon.dm group=source.groupId room=source.roomId"),
        consent: (if .type == "follow" then {line_marketing: true} elif .type == "unfollow" then {line_marketing: false} else {} end)
      } end;
