# sh inclusion.sh ENTRY PROOF: hash the entry, then hash upwards along the proof, and compare with the checkpoint's root
bin() { printf "$(printf '\\%03o' $(printf %s "$1" | sed 's/../0x& /g'))"; }      # hex digits to bytes
hex() { base64 -d | od -An -v -tx1 | tr -d ' \n'; }                               # base64 to hex digits
node() { { printf '\001'; bin "$1"; bin "$2"; } | sha256sum | cut -c1-64; }       # RFC 6962: SHA-256(01 || left || right)
h=$({ printf '\000'; cat "$1"; } | sha256sum | cut -c1-64)                        # RFC 6962: SHA-256(00 || entry)
i=$(sed -n 's/^index //p' "$2"); n=$(($(sed '1,/^$/d' "$2" | sed -n 2p) - 1))
for line in $(sed -n '/^index /,/^$/p' "$2" | sed 1d); do
  p=$(echo "$line" | hex)
  if [ $((i & 1)) = 1 ] || [ "$i" = "$n" ]; then
    h=$(node "$p" "$h"); while [ $((i & 1)) = 0 ] && [ "$i" != 0 ]; do i=$((i >> 1)); n=$((n >> 1)); done
  else h=$(node "$h" "$p"); fi
  i=$((i >> 1)); n=$((n >> 1))
done
[ "$n" = 0 ] && [ "$h" = "$(sed '1,/^$/d' "$2" | sed -n 3p | hex)" ]
