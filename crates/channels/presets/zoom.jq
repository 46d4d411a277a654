# Zoom's webinars and meetings.
#
# Source of truth: Zoom's webhook reference.
# Identifiers: mail and telephone of registrants and participants, the registrant's id within the webinar.
# Event id: Zoom gives none; event, the webinar's uuid, the person's id and event_ts name one.

def items: .body | select(. != null);

def touchpoints:
  if type != "object" then set_aside("wrong-type"; "wanted an object for an event") else
    (.payload | obj | .object | obj) as $object
    | (either($object.registrant, $object.participant) | obj) as $person
    | (either($person.participant_uuid, $person.id, $person.registrant_id, $person.user_id, $person.email) // "") as $who
    | {
        event_id: "\(.event):\($object.uuid // $object.id // ""):\($who):\(.event_ts)",
        type: ((.event | word("webinar.registration_created=webinar_registered webinar.registration_cancelled=webinar_cancelled
                  webinar.participant_joined=webinar_attended webinar.participant_left=webinar_left
                  meeting.registration_created=meeting_booked meeting.participant_joined=meeting_held
                  meeting.participant_left=meeting_left")) // (either(.event) // "received" | name)),
        occurred_at: at($person.join_time, $person.leave_time, .event_ts),
        identifiers: [
          id("email"; $person.email), id("phone"; $person.phone),
          id("zoom_registrant_id"; either($person.registrant_id, (if $object.registrant then $person.id else null end))
            | given | "\($object.id // ""):\(.)")
        ],
        traits: ($person | fetch("first_name last_name company=org job_title country")),
        properties: ({webinar_id: $object.id, topic: $object.topic, starts_at: $object.start_time, minutes: $object.duration,
          questions: ([$person.custom_questions | list | .[] | obj | {title, value}] | if length > 0 then . else null end)} | compact)
      } end;
