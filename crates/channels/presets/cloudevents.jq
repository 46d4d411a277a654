# CloudEvents 1.0 over HTTP (binary, structured, batch) and on Kafka (binary, structured).
#
# Source of truth: the CloudEvents specification with its HTTP and Kafka bindings.
# Identifiers: `fields.identifiers`, paths into the data, or attributes as `ce.subject`; or the data's own `identifiers`,
#   where it has the form of a canonical touchpoint.
# Event id: source and id, which together name an event.

def attributes($mark): .headers | with_entries(select(.key | startswith($mark)) | .key |= .[($mark | length):]);

# Over HTTP, values are percent-encoded.
def unescaped: with_entries(.value |= if type == "string" then @urid else . end);

def binary($mark): attributes($mark) + {data: .body};

def items:
  if .headers["ce-specversion"] then (attributes("ce-") | unescaped) + {data: .body}
  elif .headers["ce_specversion"] then binary("ce_")
  elif (.body | type) == "array" then .body[]
  elif .body == null then empty
  else .body end;

def touchpoints:
  if type != "object" or (.specversion | type) != "string" then
    set_aside("wrong-type"; "wanted a CloudEvent, with `specversion`")
  else
    . as $event
    | "\(.source):\(.id)" as $id
    | (if .data_base64 then (.data_base64 | base64url | try fromjson catch .) else .data end) as $data
    # Without datacontenttype the data is JSON where it reads as that.
    | ($data | if type == "string" then try fromjson catch . else . end | obj)
    | if ($source.fields.identifiers | length) == 0 and (.identifiers | type) == "array" then
        {event_id: $id, type: (.type // $event.type | name), occurred_at: at($event.time),
         identifiers, traits: (.traits | obj), properties: (.properties | obj), consent: (.consent | obj), context: (.context | obj)}
      else
        .ce = ($event | del(.data) | del(.data_base64))
        | by_fields($id; $event.type | name; $event.time) | del(.properties.ce)
      end
  end;
