# Meta: Messenger, Instagram messages and comments, lead ads.
#
# Source of truth: Meta's webhook pages for Messenger and the Instagram platform.
# Identifiers: the sender's id, which is one within a page (psid) or an account (ig_scoped_id): the id of the entry is its
#   scope; leadgen_id, with which the lead itself is fetched.
# Event id: the message's mid, the comment's id, else a digest.

# Documented examples have an object or a list of them at the top.
def items:
  .body | if type == "array" then .[] else . end | obj
  | .object as $object | .entry | list | .[] | obj
  | .id as $account | .time as $time
  | ((.messaging, .standby | list | .[] | {event: ., kind: "messaging"}), (.changes | list | .[] | {event: ., kind: "change"}))
  | . + {object: $object, account: $account, time: $time};

def touchpoints:
  .object as $object | .account as $account | .time as $time | .kind as $kind | .event | obj
  | (if $object == "instagram" then "ig_scoped_id" else "psid" end) as $namespace
  | if $kind == "messaging" then
      (.message | obj) as $message
      # What the page itself says comes back as an echo; the customer is then whom it was sent to.
      | (if $message.is_echo == true then .recipient else .sender end | obj | .id) as $customer
      | {
          event_id: either($message.mid, (.postback | obj | .mid), digest),
          type: (if $message.is_echo == true then "message_sent" elif .message then "message_received" elif .postback then "postback_sent"
            elif .optin then "opted_in" elif .referral then "referral_opened" elif .read then "message_read" else "message_event" end),
          occurred_at: at(.timestamp, $time),
          identifiers: [id($namespace; $customer | given | "\($account):\(.)")],
          traits: {},
          properties: ({text: $message.text, postback: (.postback | obj | .payload), ref: (.referral | obj | .ref)} | compact)
        }
    else
      .field as $field | (.value | obj) as $value | ($value.from | obj) as $from
      # The page's own comments and posts are no customer's.
      | select($from.id == null or ($from.id | tostring) != ($account | tostring))
      | {
          event_id: either($value.id, $value.comment_id, $value.leadgen_id, digest) | tostring,
          type: (($field | word("comments=comment_posted feed=comment_posted mentions=mentioned leadgen=lead_submitted"))
            // (either($field) // "received" | name)),
          occurred_at: at($value.created_time, $time),
          identifiers: [id($namespace; $from.id | given | "\($account):\(.)"), id("leadgen_id"; $value.leadgen_id)],
          traits: ({social_name: $from.username} | compact),
          properties: ({text: either($value.text, $value.message), post_id: either($value.post_id, ($value.media | obj | .id)),
            form_id: $value.form_id, ad_id: $value.ad_id} | compact)
        }
    end;
