(bad=0; for file in data/derivatives/*/*; do
  test -e "$file" || { echo "there are none"; continue; }
  grep -rqF "\"sha256\":\"$(sha256sum "$file" | cut -c1-64)\"" data/custody &&
  echo "OK: $file" || { echo "NOT IN THE LEDGER: $file"; bad=1; }
done; exit $bad)
