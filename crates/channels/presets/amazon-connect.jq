# Amazon Connect's contact records, as Kinesis has them.
#
# Source of truth: "Data model for contact records" in the administrator's guide.
# Identifiers: CustomerEndpoint (a telephone number or a mail address), CustomerId, and what the contact flow asked and
#   put into Attributes: map those with `fields.identifiers`, as Attributes.member_no. Contacts of one conversation share
#   InitialContactId, a bridge.
# Event id: a record comes again when somebody adds to it, and may name more then. So it is two touchpoints: the contact
#   itself, by ContactId, which counts once however often it comes; and what was written down of it, by ContactId with
#   LastUpdateTimestamp, of which the newest replaces the traits of those before it.

def items: .body | if type == "array" then .[] else . end | select(. != null);

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for a contact record") else
    (.CustomerEndpoint | obj) as $endpoint
    | (.Attributes | obj) as $attributes
    | (if .Channel == "CHAT" then "chat" elif .Channel == "EMAIL" then "email" else null end) as $channel
    | [(if $endpoint.Type == "TELEPHONE_NUMBER" then id("phone"; $endpoint.Address) elif $endpoint.Type == "EMAIL_ADDRESS" then id("email"; $endpoint.Address) else empty end),
       id("connect_contact_id"; either(.InitialContactId, .ContactId))] as $who
    | [id("connect_customer_id"; .CustomerId), ids($source.fields.identifiers)] as $more
    | renamed($source.fields.traits) as $traits
    | (either(.ContactId) // digest) as $id
    | {
        event_id: $id,
        type: (if .Channel == "CHAT" then "chat_started" elif .Channel == "EMAIL" then "email_received" else (.InitiationMethod | word("INBOUND=call_received OUTBOUND=call_placed CALLBACK=callback_requested TRANSFER=call_transferred"))
              // "contact_recorded" end),
        channel: $channel,
        occurred_at: at(.InitiationTimestamp),
        identifiers: $who,
        properties: ({contact_id: .ContactId, queue: (.Queue | obj | .Name), agent: (.Agent | obj | .Username), disconnected_at: .DisconnectTimestamp,
          disconnect_reason: .DisconnectReason} | compact)
      },
      (select(($more | length) > 0 or ($traits | length) > 0 or ($attributes | length) > 0)
        | {
            event_id: "\($id):\(.LastUpdateTimestamp // "")",
            type: "contact_recorded",
            channel: $channel,
            occurred_at: at(.LastUpdateTimestamp, .InitiationTimestamp),
            identifiers: ($who + $more),
            traits: $traits,
            properties: ({contact_id: .ContactId, attributes: $attributes} | compact)
          }) end;
