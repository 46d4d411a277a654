# Smaregi, the point of sale: its notifications, and the transactions and members that are pulled from its API after them.
#
# Source of truth: Smaregi's platform API reference (getTransactions, members) and its webhook page.
# A notification names nobody: it holds ids only, and becomes no touchpoint. With `[source.pull]` they are pulled from the
# API and come here as `{contractId, transaction: {…}}` or `{contractId, member: {…}}`, which may be sent in as well.
# Identifiers: the member's card (customerCode), the member's id within the contract, mails and telephones of the member.
# Event id: contract, transaction and updDateTime, so that a correction is an event of its own; a copy is a copy.
# There is no signature: set `key` and `key_header` to the header that was agreed in Smaregi's settings.

def items:
  .body
  | if type == "array" then .[] else . end
  | select(. != null)
  | select((type == "object" and (has("transactionHeadIds") or has("customerIds"))) | not);

def kind:
  if .cancelDivision == "1" then "order_cancelled"
  else {"1": (if (.returnAmount // "0" | tonumber) > 0 and (.total // "0" | tonumber) <= 0 then "order_returned" else "order_completed" end),
        "6": "points_earned", "7": "points_redeemed", "8": "points_expired", "10": "layaway_made"}[.transactionHeadDivision | tostring]
       // "transaction_\(.transactionHeadDivision // "recorded")" end;

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object") else
    .contractId as $contract
    | if (.member | type) == "object" then .member | {
          event_id: "\($contract):member:\(.customerId):\(.updDateTime // "")",
          type: "contact_updated", occurred_at: at(.updDateTime, .insDateTime),
          identifiers: [id("loyalty_card"; .customerCode), id("smaregi_customer_id"; .customerId | given | "\($contract):\(.)"),
            id("phone"; .phoneNumber, .mobileNumber), id("email"; .mailAddress, .mailAddress2, .mailAddress3)] | unique,
          traits: fetch("last_name=lastName first_name=firstName last_name_kana=lastKana first_name_kana=firstKana birthday=birthDate points=point rank=rank"),
          consent: (if .mailReceiveFlag == "1" then {email_marketing: true} elif .mailReceiveFlag == "0" then {email_marketing: false} else {} end)
        }
      elif (.transaction | type) == "object" then .transaction
        # A sale without a member is nobody's.
        | select(either(.customerId, .customerCode) != null)
        | {
            event_id: "\($contract):\(.transactionHeadId):\(.updDateTime // "")",
            type: kind, occurred_at: at(.terminalTranDateTime, .transactionDateTime),
            identifiers: [id("loyalty_card"; .customerCode), id("smaregi_customer_id"; .customerId | given | "\($contract):\(.)")],
            traits: fetch("points=totalPoint"),
            properties: ({order_id: .transactionHeadId, store_id: .storeId, till: .terminalId, receipt: .terminalTranId,
              total: first(money(.total; "JPY"), null), points_earned: .newPoint, points_used: .spendPoint} | compact)
          }
      else set_aside("wrong-type"; "wanted `transaction` or `member`, as the API has them") end
  end;
