# SendGrid's event webhook: a list of events.
#
# Source of truth: SendGrid's event webhook reference.
# Identifiers: the address that the mail went to. An opening or a click is by whoever has the mail: a forwarded letter
#   and a security scanner open it too, so these say little about the device they come from, and no ip is kept.
# Event id: sg_event_id; the same event comes often.

def items: .body | if type == "array" then .[] else . end | select(. != null);

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for an event") else
    {
      event_id: either(.sg_event_id, digest),
      type: ((.event | word("processed=email_sent delivered=email_delivered deferred=email_deferred dropped=email_dropped
                  bounce=email_bounced open=email_opened click=email_link_clicked
                  spamreport=email_reported_as_spam unsubscribe=newsletter_unsubscribed
                  group_unsubscribe=newsletter_unsubscribed group_resubscribe=newsletter_subscribed")) // (either(.event) // "received" | name)),
      occurred_at: at(.timestamp),
      identifiers: [id("email"; .email)],
      traits: {},
      properties: fetch("url reason category group=asm_group_id message_id=sg_message_id by_machine=sg_machine_open"),
      consent: (if .event == "unsubscribe" or .event == "spamreport" then {email_marketing: false} else {} end)
    } end;
