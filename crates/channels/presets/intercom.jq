# Intercom's notifications.
#
# Source of truth: Intercom's webhook models.
# Identifiers: the contact's id in the workspace, external_id as user_id, mail and telephone, of the item itself, of its
#   contacts or of the author of a conversation.
# Event id: id (notif_…); a repeated delivery keeps it.

# A ping is sent when the address is set up, and says nothing.
def items: .body | select(. != null) | select(type != "object" or .topic != "ping");

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for a notification") else
    (either(.topic) // "received" | tostring) as $topic
    | (.data | obj | .item | obj) as $item
    | (($topic | startswith("contact.") or startswith("user.") or startswith("lead.")) or $item.type == "contact") as $of_contact
    | ($item.source | obj | .author | obj) as $author
    | ([(if $of_contact then $item else empty end),
        ($item.contacts | if type == "object" then .contacts else . end | list | .[] | obj),
        ($author | select(.type == "user" or .type == "lead" or .type == "contact")), ($item.user | obj), ($item.contact | obj)]) as $people
    | {
        event_id: either(.id, digest),
        type: (if $topic == "conversation.user.created" then "chat_started" elif $topic == "conversation.user.replied" then "message_received"
          elif $topic == "conversation.admin.replied" then "message_sent" elif $topic == "conversation.admin.closed" then "chat_ended"
          elif $topic == "ticket.created" then "ticket_created" elif $of_contact then "contact_updated" else $topic | name end),
        occurred_at: at(.created_at),
        identifiers: [$people[] | scoped("intercom_contact_id"; .id), id("user_id"; .external_id), id("email"; .email), id("phone"; .phone)] | unique,
        traits: (if $of_contact then $item | fetch("name role") else {} end),
        properties: ({conversation_id: (if $of_contact then null else $item.id end), subject: ($item.source | obj | .subject), state: $item.state,
          topic: (if $of_contact then null else $topic end)} | compact),
        consent: (if $topic == "contact.unsubscribed" then {email_marketing: false} else {} end)
      } end;
