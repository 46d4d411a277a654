# Square webhooks: payments, refunds, orders, customers, loyalty.
#
# Source of truth: Square's API description, whose event schemas carry examples.
# Identifiers: the customer's id at the merchant, mail and telephone of payment and customer, the telephone number that a
#   loyalty account is mapped to, the loyalty account, and the order's id as a bridge.
# Event id: event_id, which a repeated delivery keeps.

def items: .body | select(. != null);

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for an event") else
    .type as $type | .created_at as $created
    | (.event_id) as $id
    | (.data | obj | .object | obj) as $object
    | (either($object.payment, $object.refund, $object.customer, $object.order, $object.order_created, $object.order_updated,
        $object.loyalty_account, $object.loyalty_event) | obj) as $thing
    | ($thing.amount_money // $thing.total_money | obj) as $money
    | (($type | tostring) | startswith("customer.")) as $of_customer
    | {
        event_id: (if $id == null then digest else $id end),
        type: ({"payment.created": (if $thing.status == "COMPLETED" then "order_completed" else "payment_started" end),
                "payment.updated": (if $thing.status == "COMPLETED" then "order_completed" else "payment_updated" end),
                "refund.created": "order_refunded", "customer.created": "contact_created", "customer.updated": "contact_updated",
                "customer.deleted": "account_deleted",
                "loyalty.event.created": (($thing.type | word("ACCUMULATE_POINTS=points_earned CREATE_REWARD=points_redeemed REDEEM_REWARD=coupon_used
                  EXPIRE_POINTS=points_expired")) // "points_adjusted")}[$type | tostring]
              // (either($type) // "received" | name)),
        occurred_at: at(either($thing.updated_at, $created)),
        identifiers: [
          scoped("square_customer_id"; $thing.customer_id, (if $of_customer then $thing.id else null end)),
          id("email"; $thing.buyer_email_address, $thing.email_address),
          id("phone"; $thing.phone_number, ($thing.mapping | obj | .phone_number)),
          scoped("square_loyalty_account"; $thing.loyalty_account_id, (if $object.loyalty_account then $thing.id else null end)),
          scoped("order_id"; $thing.order_id, (if $object.order then $thing.id else null end))
        ],
        traits: (if $of_customer then $thing | fetch("first_name=given_name last_name=family_name birthday company=company_name") else {} end),
        properties: ({order_id: $thing.order_id, store_id: $thing.location_id, status: $thing.status,
          reference_id: $thing.reference_id,
          total: first({amount: first(minor($money.amount; $money.currency)), currency: $money.currency}, null),
          points: ($thing | .accumulate_points // .redeem_reward | obj | .points)} | compact)
      } end;
