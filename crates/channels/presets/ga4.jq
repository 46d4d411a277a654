# Google Analytics 4, Measurement Protocol.
#
# Source of truth: "Measurement Protocol (Google Analytics 4)", sending events.
# Identifiers: client_id, app_instance_id, user_id, and the hashes in user_data, which are in Google's spelling.
# Event id: Google has none; transaction_id names a purchase, anything else a digest of event, person and time. Events
#   without a time are equal when they are sent twice in one second, and count once.

def items:
  .body | if type == "array" then .[] else . end | obj | . as $body
  | .events | list | to_entries[]
  | {event: (.value | obj), place: .key, client_id: $body.client_id, app_instance_id: $body.app_instance_id, user_id: $body.user_id,
     user_data: ($body.user_data | obj), timestamp_micros: $body.timestamp_micros,
     user_properties: ($body.user_properties | obj), consent: ($body.consent | obj)};

def all_of: if type == "array" then .[] else . end;

def touchpoints:
  . as $all | .event as $event
  | ($event.params | obj) as $params
  | either($event.timestamp_micros, .timestamp_micros) as $time
  | {
      event_id: (if $params.transaction_id != null then "\($event.name):\($params.transaction_id)" else digest end),
      type: (($event.name | word("page_view=page_viewed screen_view=screen_viewed purchase=order_completed refund=order_refunded
                  view_item=product_viewed add_to_cart=product_added begin_checkout=checkout_started
                  login=signed_in sign_up=account_created search=products_searched generate_lead=lead_submitted"))
            // (either($event.name) // "received" | name)),
      channel: (if .app_instance_id != null then "app" else null end),
      occurred_at: at($time),
      identifiers: [
        id("user_id"; .user_id), id("ga_client_id"; .client_id), id("device_id"; .app_instance_id),
        id("email_sha256_google"; .user_data.sha256_email_address | all_of | select(is_hash)),
        id("phone_sha256"; .user_data.sha256_phone_number | all_of | select(is_hash))
      ],
      traits: (.user_properties | with_entries(.value |= (obj | .value)) | names | compact),
      properties: (($params | without(. == "items") | names)
        + {order_id: $params.transaction_id, total: first(money($params.value; $params.currency), null),
           page: $params.page_location, title: $params.page_title, product_id: ($params.items | list | .[0] | obj | .item_id)} | compact),
      consent: ({ad_user_data: .consent.ad_user_data, ad_personalization: .consent.ad_personalization}
        | with_entries(select(.value == "GRANTED" or .value == "DENIED") | .value |= (. == "GRANTED")))
    };
