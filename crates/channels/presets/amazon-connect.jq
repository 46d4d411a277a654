# Amazon Connect's contact records, as Kinesis has them.
#
# Source of truth: "Data model for contact records" in the administrator's guide.
# Identifiers: CustomerEndpoint (a telephone number or a mail address), CustomerId, and what the contact flow asked and
#   put into Attributes: map those with `fields.identifiers`, as Attributes.member_no. Contacts of one conversation share
#   InitialContactId, a bridge.
# Event id: ContactId with LastUpdateTimestamp: a record comes again when somebody adds to it, and may name more then.

def items: .body | if type == "array" then .[] else . end | select(. != null);

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for a contact record") else
    (.CustomerEndpoint | obj) as $endpoint
    | (.Attributes | obj) as $attributes
    | {
        event_id: (if .ContactId == null then digest else "\(.ContactId):\(.LastUpdateTimestamp // "")" end),
        type: (if .Channel == "CHAT" then "chat_started" elif .Channel == "EMAIL" then "email_received" else (.InitiationMethod | word("INBOUND=call_received OUTBOUND=call_placed CALLBACK=callback_requested TRANSFER=call_transferred"))
              // "contact_recorded" end),
        channel: (if .Channel == "CHAT" then "chat" elif .Channel == "EMAIL" then "email" else null end),
        occurred_at: at(.InitiationTimestamp),
        identifiers: [
          (if $endpoint.Type == "TELEPHONE_NUMBER" then id("phone"; $endpoint.Address) elif $endpoint.Type == "EMAIL_ADDRESS" then id("email"; $endpoint.Address) else empty end),
          id("connect_customer_id"; .CustomerId), id("connect_contact_id"; either(.InitialContactId, .ContactId)),
          ids($source.fields.identifiers)
        ],
        traits: renamed($source.fields.traits),
        properties: ({contact_id: .ContactId, queue: (.Queue | obj | .Name), agent: (.Agent | obj | .Username), disconnected_at: .DisconnectTimestamp,
          disconnect_reason: .DisconnectReason, attributes: $attributes} | compact)
      } end;
