# HubSpot webhooks: lists of changes of contacts, companies and deals.
#
# Source of truth: HubSpot's webhooks API guide.
# Identifiers: the contact's id in the portal (set `scope` to the portal), and mail or telephone where they are what
#   changed; both contacts of a merge.
# Event id: eventId with subscriptionId; the number of the attempt is no part of it.

def items: .body | if type == "array" then .[] else . end | select(. != null);

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for a change") else
    (either(.subscriptionType) // "received" | tostring) as $type
    | ($type | startswith("contact.")) as $of_contact
    | if $type == "contact.privacyDeletion" then
        set_aside("erasure-request"; "HubSpot asks for the erasure of a contact: an operator has to decide")
      else {
        event_id: (if .eventId == null then digest else "\(.eventId):\(.subscriptionId // "")" end),
        type: (($type | word("contact.creation=contact_created contact.propertyChange=contact_updated
                  contact.deletion=contact_deleted contact.merge=contacts_merged deal.creation=opportunity_created
                  deal.propertyChange=opportunity_updated company.propertyChange=account_updated")) // ($type | name)),
        occurred_at: at(.occurredAt),
        identifiers: [
          scoped("hubspot_contact_id"; if $of_contact then .objectId else null end),
          scoped("hubspot_contact_id"; .primaryObjectId, (.mergedObjectIds | list | .[])),
          (if $of_contact and (.propertyName == "email") then id("email"; .propertyValue) else empty end),
          (if $of_contact and (.propertyName == "phone" or .propertyName == "mobilephone") then id("phone"; .propertyValue) else empty end)
        ] | unique,
        traits: (if $of_contact and (.propertyName | type) == "string" and .propertyName != "email" and .propertyName != "phone" and .propertyName != "mobilephone"
          then {(.propertyName | snake): (if .propertyValue == "" then null else .propertyValue end)} else {} end),
        properties: fetch("property=propertyName change_source=changeSource object_id=objectId")
      } end end;
