# Files of tills, loyalty programmes, catalogue orders and call centres. Which column means what stands in the settings,
# under `fields`.
#
# Identifiers: `fields.identifiers`, by column. Event id: `fields.event_id` (such as shop, till, receipt and day), else
# the file's digest and the row's number, so that the same file dropped twice counts once.

def items: {row: .body, file: (.file | obj)};

def touchpoints:
  "\(.file.sha256 // ""):\(.file.row // "")" as $id
  | .row
  | if type != "object" then set_aside("wrong-type"; "wanted an object for a row")
    else by_fields(if $id == ":" then digest else $id end; "row_imported"; null) end;
