for entry in data/segments/*/entry.json data/custody/*/*/*.json; do
  sed 's/^{"actor":"\([^"]*\)".*"seq":\([0-9]*\),.*"time":"\([^"]*\)","type":"\([^"]*\)","v":1}$/\2 \3 \4, by \1/' "$entry"
  echo
done | sort -k2,2 -k1,1n
