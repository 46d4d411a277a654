# Salesforce change data capture.
#
# Source of truth: "Change Data Capture Developer Guide", the header's fields.
# Identifiers: each of recordIds, shortened to its 15 characters that tell records apart, Email, Phone, MobilePhone.
# Event id: transactionKey and sequenceNumber, with the record's id where an event is about several.
# A GAP event holds no fields, and a wildcard in recordIds names no record: both are set aside, and the record is to be
# read again.

def items: .body | if type == "array" then .[] else . end | select(. != null);

def touchpoints:
  (if type == "object" and (.payload | type) == "object" then .payload else . end)
  | if type != "object" or (.ChangeEventHeader | type) != "object" then set_aside("wrong-type"; "wanted a change event, with `ChangeEventHeader`") else
    . as $change | .ChangeEventHeader as $header
    | ($header.changeType | tostring) as $kind
    | ($header.recordIds | list) as $records
    | if $kind | startswith("GAP_") then set_aside("gap-event"; "the event holds no fields: read the records again")
      elif $records | any(tostring | endswith("*")) then set_aside("wildcard-records"; "`recordIds` names no record: read them again")
      else
        ($records | length) as $count
        | $records[] | tostring | .[0:15] as $record
        | ($header.entityName | tostring) as $entity
        | {
            event_id: "\($header.transactionKey):\($header.sequenceNumber)" + (if $count > 1 then ":\($record)" else "" end),
            type: (($kind | word("CREATE=created UPDATE=updated DELETE=deleted UNDELETE=restored")) // ($kind | snake)
              | (if $entity == "Contact" or $entity == "Lead" then "contact" elif $entity == "Opportunity" then "opportunity"
                 elif $entity == "Account" then "account" else $entity | snake end) + "_" + .),
            occurred_at: at($header.commitTimestamp),
            identifiers: [
              (if $entity == "Contact" or $entity == "Lead" or $entity == "Account" then scoped("salesforce_id"; $record) else empty end),
              scoped("salesforce_id"; $change | .ContactId, .ConvertedContactId, .MasterRecordId | given | tostring | .[0:15]),
              # An event about several records says the same of all of them, which their addresses are not.
              (if $count == 1 and $kind != "DELETE" then id("email"; $change.Email), id("phone"; $change.Phone, $change.MobilePhone) else empty end)
            ] | unique,
            traits: (if $entity == "Contact" or $entity == "Lead" then $change
                | fetch("first_name=Name.FirstName last_name=Name.LastName job_title=Title lead_source=LeadSource")
              else {} end),
            properties: ({entity: $entity, changed: $header.changedFields, stage: $change.StageName} | compact),
            context: {account: (either($change.AccountId) | if . then tostring | .[0:15] else null end)}
          }
      end
  end;
