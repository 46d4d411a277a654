# Twilio's callbacks for calls and messages: forms, or JSON.
#
# Source of truth: Twilio's pages on voice and messaging webhooks.
# Identifiers: the customer's number, which the direction tells: who called in, or who was called; WaId of WhatsApp.
# Event id: CallSid or MessageSid with the status and, where there is one, SequenceNumber.
# Time: Timestamp of calls; messages bring none, so it is that of receipt.

def items: .body | select(type == "object");

# A number without the channel before it.
def number: given | tostring | ltrimstr("whatsapp:") | ltrimstr("sms:");

def touchpoints:
  (either(.MessageSid, .SmsSid, .SmsMessageSid)) as $message
  | either(.MessageStatus, .SmsStatus, .CallStatus) as $status
  | (if $message then $status == null or $status == "received" or $status == "receiving"
     else (either(.Direction) // "inbound") == "inbound" end) as $inbound
  | {
      event_id: (if either($message, .CallSid) == null then digest else
        [either($message, .CallSid), $status, .SequenceNumber] | map(given | tostring) | join(":") end),
      type: (if $message then if $inbound then "message_received" else "message_\($status)" | snake end
        else {ringing: (if $inbound then "call_received" else "call_placed" end),
              queued: "call_placed", initiated: "call_placed", "in-progress": "call_answered", completed: "call_completed",
              busy: "call_missed", "no-answer": "call_missed", failed: "call_failed", canceled: "call_missed"}[$status | tostring]
          // "call_updated" end),
      channel: (if $message == null then "phone"
        elif ([.From, .To] | any(tostring | startswith("whatsapp:"))) then "chat" else "sms" end),
      occurred_at: at(.Timestamp),
      identifiers: [
        id("phone"; if $inbound then either(.From, .Caller) else either(.To, .Called) end | number),
        id("phone"; .ForwardedFrom | number | select($inbound | not)),
        id("whatsapp_id"; .WaId)
      ],
      traits: ({country: (if $inbound then .FromCountry else .ToCountry end)} | compact),
      properties: ({direction: .Direction, status: $status, duration: .CallDuration, text: .Body, company_number: (if $inbound then .To else .From end)} | compact)
    };
