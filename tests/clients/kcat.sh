#!/bin/sh
# kcat against a broker: every codec in, every record out, by partition, by group, with keys and headers.
#
#     kcat.sh 127.0.0.1:9092 TOPIC        (with one partition and nothing in it: kcat makes none)
set -eu
broker=$1
topic=$2
for codec in none gzip snappy lz4 zstd; do
    printf 'k:%s\n' "$codec" | timeout 30 kcat -b "$broker" -P -t "$topic" -K: -z "$codec" -H codec="$codec"
done
wanted='0 k none codec=none
1 k gzip codec=gzip
2 k snappy codec=snappy
3 k lz4 codec=lz4
4 k zstd codec=zstd'
found=$(timeout 30 kcat -b "$broker" -C -t "$topic" -o beginning -e -q -f '%o %k %s %h\n')
[ "$found" = "$wanted" ] || { echo "wanted $wanted, found $found" >&2; exit 1; }
found=$(timeout 30 kcat -b "$broker" -C -t "$topic" -p 0 -o 3 -c 1 -q -f '%s')
[ "$found" = lz4 ] || { echo "wanted lz4 at offset 3, found $found" >&2; exit 1; }
found=$(timeout 30 kcat -b "$broker" -G "group-$topic" -X auto.offset.reset=earliest -e -q "$topic" 2>/dev/null | wc -l)
[ "$found" -eq 5 ] || { echo "wanted 5 records for a group, found $found" >&2; exit 1; }
timeout 30 kcat -b "$broker" -L -t "$topic" | grep -q "partition 0, leader" || { echo "no leader" >&2; exit 1; }
echo "$(kcat -V 2>&1 | sed -n 's/^Version //p'): 5 codecs, offsets, headers and a group"
