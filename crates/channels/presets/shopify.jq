# Shopify webhooks: orders, customers, checkouts, carts, refunds.
#
# Source of truth: Shopify's webhook reference, a payload a topic.
# Identifiers: the customer's id within the shop (set `scope` to the shop), mail and telephone of order and customer, cart
#   and checkout tokens as short-lived bridges, the order's id, and what the theme put into note_attributes: anonymousId
#   (RudderStack: rudderAnonymousId), user_id, loyalty_card. user_id of an order is the till's staff, not the customer.
# Event id: topic, the object's id and X-Shopify-Event-Id (one action of the merchant; the same when it is sent again).

def items:
  {topic: either(.headers["x-shopify-topic"], (.path | ltrimstr("/"))),
   event: either(.headers["x-shopify-event-id"], .headers["x-shopify-webhook-id"]),
   triggered: .headers["x-shopify-triggered-at"], data: .body}
  | select(.data != null);

def noted($names): .note_attributes | list | .[] | obj | select(.name as $name | $names | any(. == $name)) | .value;

def marketing:
  {email_marketing: (.email_marketing_consent | obj | .state), sms_marketing: (.sms_marketing_consent | obj | .state)}
  | with_entries(.value |= {subscribed: true, unsubscribed: false, redacted: false}[tostring]) | with_entries(select(.value != null));

def touchpoints:
  (.topic // "") as $topic | .event as $event | .triggered as $triggered | .data
  | if type != "object" then set_aside("wrong-type"; "wanted an object")
    elif ($topic | startswith("customers/redact")) or ($topic | startswith("shop/redact")) then
      set_aside("erasure-request"; "Shopify asks for the erasure of a customer: an operator has to decide")
    else
      ($topic | startswith("customers/")) as $of_customer
      | (if $of_customer then . else .customer | obj end) as $customer
      | ($topic | split("/") | .[0] // "") as $thing
      | (if $thing == "orders" then .id elif $thing == "refunds" or $thing == "fulfillments" then .order_id else null end) as $order
      | {
          event_id: (if $event then "\($topic):\(.id // .token // ""):\($event)" else digest end),
          type: (($topic | word("orders/create=order_completed orders/cancelled=order_cancelled orders/fulfilled=order_shipped
                  orders/paid=order_paid orders/updated=order_updated orders/edited=order_updated
                  refunds/create=order_refunded checkouts/create=checkout_started
                  checkouts/update=checkout_updated carts/create=cart_updated carts/update=cart_updated
                  customers/create=account_created customers/update=contact_updated
                  customers/delete=account_deleted fulfillments/create=order_shipped"))
                // ($topic | if . == "" then "received" else name end)),
          channel: (if .source_name == "pos" then "store" else null end),
          occurred_at: at(if ($topic | endswith("/create")) then .processed_at, .created_at else .updated_at end, $triggered, .created_at),
          identifiers: ([
            scoped("shopify_customer_id"; $customer.id),
            id("email"; .email, .contact_email, $customer.email), id("phone"; .phone, $customer.phone),
            id("cart_token"; .cart_token, (if $thing == "carts" then .token else null end)),
            id("checkout_token"; .checkout_token, (if $thing == "checkouts" then .token else null end)),
            scoped("order_id"; $order),
            id("anonymous_id"; noted(["anonymousId", "anonymous_id", "rudderAnonymousId"])),
            id("user_id"; noted(["user_id", "userId"])), id("loyalty_card"; noted(["loyalty_card", "member_card"]))
          ] | unique),
          traits: ($customer | fetch("first_name last_name tags country=default_address.country_code orders_in_shop=orders_count")),
          properties: ({order_id: $order, order_name: .name, store_id: .location_id, sales_channel: .source_name,
            total: first(money(either(.total_price, (.transactions | list | .[0] | obj | .amount)); .currency), null),
            products: ([.line_items | list | .[] | obj | fetch("product_id sku title quantity price")] | if length > 0 then . else null end),
            product_id: (.line_items | list | .[0] | obj | .product_id), cancel_reason, financial_status} | compact),
          consent: ($customer | marketing)
        }
    end;
