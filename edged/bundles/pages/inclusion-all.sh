: "${WORK:=$(mktemp -d)}"
cat > "$WORK/inclusion.sh" <<'END'
{{inclusion.sh}}
END
(bad=0; for entry in data/segments/*/entry.json data/custody/*/*/*.json; do
  proof=${entry%.json}.tlog-proof
  log=data/logs/$(sed 's/.*,"epoch":"\([^"]*\)".*,"station":"\([^"]*\)".*/\2\/\1/' "$entry")
  sed '1,/^$/d' "$proof" > "$WORK/end"; at=$log/$(sed -n 2p "$WORK/end")
  { cmp -s "$WORK/end" "$at/checkpoint.cosigned" || cmp "$WORK/end" "$at/checkpoint"; } &&
  sh "$WORK/inclusion.sh" "$entry" "$proof" && echo "OK: $entry" || { echo "NOT IN THE LOG: $entry"; bad=1; }
done; exit $bad)
