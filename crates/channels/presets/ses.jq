# Amazon SES events, through SNS or bare.
#
# Source of truth: "Examples of event data that Amazon SES publishes to Amazon SNS".
# Identifiers: the addresses that the mail went to; one touchpoint each, because one mail to two people joins nobody.
# Signed by SNS: `signature = { sns = { topics = ["arn:…"] } }`. Bare events (raw delivery) are not: give them a `key`.
# Event id: the mail's messageId, the event, its time and the place of the address.

# SNS wraps the event as text; with raw delivery it comes bare.
def items:
  .body | obj
  | if .Type == "Notification" then (.Message | tostring | fromjson) elif .Type == "UnsubscribeConfirmation" then empty else . end;

def touchpoints:
  if type != "object" or (.mail | type) != "object" then set_aside("wrong-type"; "wanted an event of SES, with `mail`") else
    .mail as $mail
    | (either(.eventType, .notificationType) // "received" | tostring) as $event
    | (.[$event | ascii_downcase] | obj) as $detail
    | (either($detail.timestamp, $mail.timestamp)) as $time
    | ($mail.destination | list | to_entries[]) as $to
    | {
        event_id: "\($mail.messageId):\($event):\($time):\($to.key)",
        type: (($event | word("Send=email_sent Delivery=email_delivered Open=email_opened Click=email_link_clicked
                  Bounce=email_bounced Complaint=email_reported_as_spam Reject=email_dropped
                  DeliveryDelay=email_deferred Subscription=newsletter_unsubscribed")) // ($event | name)),
        occurred_at: at($time),
        identifiers: [id("email"; $to.value)],
        traits: {},
        properties: ({url: $detail.link, subject: ($mail.commonHeaders | obj | .subject), bounce: $detail.bounceType,
          campaign: ($mail.tags | obj | .campaign | list | .[0])} | compact),
        consent: (if $event == "Complaint" then {email_marketing: false} else {} end)
      } end;
