(bad=0; for folder in data/segments/*/; do (
  cd "$folder" && name=$(ls | grep -vxE 'entry\.json|entry\.tlog-proof|chunks\.sha256') &&
  test "$(sha256sum "./$name" | cut -c1-64)" = "$(sed 's/.*"sha256":"\([0-9a-f]*\)".*/\1/' entry.json)" &&
  sm3=$(sed -n 's/.*"sm3":"\([0-9a-f]*\)".*/\1/p' entry.json) &&
  { test -z "$sm3" || test "$(openssl dgst -sm3 -r "./$name" | cut -c1-64)" = "$sm3"; } &&
  split -b 8M --filter='sha256sum | cut -c1-64' "./$name" | diff - chunks.sha256 &&
  test "$(sha256sum chunks.sha256 | cut -c1-64)" = \
    "$(sed 's/.*"chunks":{"count":[0-9]*,"sha256":"\([0-9a-f]*\)".*/\1/' entry.json)" &&
  echo "OK: $folder$name" ) || { echo "DIFFERENT: $folder"; bad=1; }
done; exit $bad)
