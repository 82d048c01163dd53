: "${WORK:=$(mktemp -d)}"
cat > "$WORK/inclusion.sh" <<'END'
{{inclusion.sh}}
END
(bad=0; for entry in data/segments/*/entry.json data/custody/{{log}}/*.json; do
  proof=${entry%.json}.tlog-proof
  sed '1,/^$/d' "$proof" | cmp - data/logs/{{log}}/{{size}}/checkpoint &&
  sh "$WORK/inclusion.sh" "$entry" "$proof" && echo "OK: $entry" || { echo "NOT IN THE LOG: $entry"; bad=1; }
done; exit $bad)
