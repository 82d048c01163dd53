: "${WORK:=$(mktemp -d)}"
(bad=0; for checkpoint in data/logs/*/*/*/checkpoint; do
  awk 'NF==0{exit}{print}' "$checkpoint" > "$WORK/body"
  awk 'NF==0{s=1;next} s{print $3; exit}' "$checkpoint" | base64 -d | tail -c +5 > "$WORK/sig"
  openssl x509 -in "${checkpoint%/*/*}/station.pem" -noout -pubkey > "$WORK/pub.pem"
  openssl pkeyutl -verify -pubin -inkey "$WORK/pub.pem" -rawin -in "$WORK/body" -sigfile "$WORK/sig" || bad=1
done; exit $bad)
