# Zendesk: event webhooks about users and organisations, ticket events, and trigger webhooks whose form is the operator's.
#
# Source of truth: Zendesk's "Anatomy of a webhook request" and "Webhook event types".
# Identifiers: the user's id in the account (detail.id or the subject zen:user:ID), a ticket's requester_id, mail,
#   external_id as user_id.
# Event id: id, else the header x-zendesk-webhook-invocation-id.

def items: {data: .body, id: .headers["x-zendesk-webhook-invocation-id"]} | select(.data != null);

def touchpoints:
  .id as $id | .data
  | if type != "object" then set_aside("wrong-type"; "wanted an object for an event") else
    (.type | tostring | ltrimstr("zen:event-type:")) as $type
    | (.detail | obj) as $detail
    | ($type | startswith("user.")) as $of_user
    | (.subject | tostring | if startswith("zen:user:") then ltrimstr("zen:user:") else null end) as $user
    | {
        event_id: either(.id, $id, digest),
        type: (($type | word("ticket.created=ticket_created ticket.status_changed=ticket_updated
                  ticket.comment_added=ticket_updated user.created=contact_created user.deleted=contact_deleted
                  user.merged=contacts_merged"))
              // (if $of_user then "contact_updated" elif .type == null then "ticket_updated" else $type | name end)),
        occurred_at: at(.time),
        identifiers: [
          scoped("zendesk_user_id"; $user, (if $of_user then $detail.id else null end), $detail.requester_id, .requester_id),
          id("email"; $detail.email, .requester_email), id("user_id"; if $of_user then $detail.external_id else null end),
          id("phone"; $detail.phone, .requester_phone)
        ] | unique,
        traits: (if $of_user then $detail | fetch("name role locale") else {} end),
        properties: ({ticket_id: either((if $of_user then null else $detail.id end), .ticket_id), subject: $detail.subject,
          status: $detail.status, priority: $detail.priority, via: ($detail.via | obj | .channel)} | compact),
        context: {account: $detail.organization_id}
      } end;
