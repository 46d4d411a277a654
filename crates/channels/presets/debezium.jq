# Change events of Debezium: with the schema's wrapper or without, flattened by ExtractNewRecordState, and tombstones.
# Which column means what stands in the settings, under `fields`.
#
# Source of truth: Debezium's documentation of its connectors and of `ExtractNewRecordState`.
# Identifiers: `fields.identifiers`, by column of `after` (of `before` for a deletion).
# Event id: the place of the change in the database's log with the operation; else the record's place in the topic.

# A tombstone says nothing that the deletion before it has not said.
def items:
  .record as $record
  | .body
  | if type == "object" and (.payload | type) == "object" and has("schema") then .payload else . end
  | if . == null then empty
    elif type == "array" then .[] | {change: ., record: $record}
    else {change: ., record: $record} end;

# Columns that were something and are null now: as traits they remove.
def emptied($before; $after):
  [$source.fields.traits | to_entries[] | .key as $path | .value as $trait
    | select(($before | dig($path)) != null and ($after | dig($path)) == null) | {key: $trait, value: null}]
  | from_entries;

def touchpoints:
  .record as $record | .change
  | if type != "object" then set_aside("wrong-type"; "wanted an object for a change") else
    . as $change
    | (has("op") and (has("after") or has("before"))) as $whole
    | (if $whole then .op else (.__op // (if .__deleted == "true" or .__deleted == true then "d" else "u" end)) end) as $op
    # Truncations and messages of the log are about no row.
    | select($op != "t" and $op != "m")
    | (if $whole then if $op == "d" then .before else .after end | obj else without(startswith("__")) end) as $row
    | (.source | obj) as $from
    | (if $whole then either($from.ts_ms, .ts_ms) else either(.__source_ts_ms, .__ts_ms) end) as $time
    | (either($from.lsn, .__lsn, (if $from.pos != null then "\($from.file // "")/\($from.pos)/\($from.row // 0)" else null end),
        $from.scn, $from.change_lsn, $from.commit_lsn)) as $position
    | (if $position != null
        then "\(either($from.db, .__db) // "").\(either($from.schema) // "").\(either($from.table, .__table) // ""):\($position):\($op):\(if $from.lsn != null then ($row | tojson | sha256 | .[0:12]) else "" end)"
        elif $record != null then "\($record.topic)/\($record.partition)/\($record.offset)"
        else ($change | digest) end) as $id
    | $row
    | by_fields($id; ($op | word("c=record_created r=record_read u=record_updated d=record_deleted")) // "record_updated"; $time)
    | (if $whole and $op == "u" then emptied($change.before | obj; $change.after | obj) else {} end) as $gone
    | .traits = (if $op == "d" then {} else .traits + $gone end)
    | .properties.table = either($from.table, $change.__table)
    | .properties |= compact
  end;
