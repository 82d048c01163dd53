: "${WORK:=$(mktemp -d)}"
export_entry=data/custody/{{log}}/{{export_seq}}.json
sed 's/.*"entries":\[\([^]]*\)\].*/\1/' data/export.json | tr -d '"' | tr , '\n' | grep . | sort > "$WORK/listed"
find data/segments data/custody \( -name entry.json -o -path 'data/custody/*.json' \) ! -path "$export_entry" \
  -exec sha256sum {} + | cut -c1-64 | sort > "$WORK/here"
test "$(sha256sum data/export.json | cut -c1-64)" = "$(sed 's/.*"list_sha256":"\([0-9a-f]*\)".*/\1/' "$export_entry")" &&
diff "$WORK/listed" "$WORK/here" && echo "OK: the bundle holds exactly what the station listed"
