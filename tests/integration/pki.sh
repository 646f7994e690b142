#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# conflux pki: what it makes is checked by openssl, and by GnuTLS' certtool and
# psktool if they are there; what must not be overwritten is not.
. "${SRC:-.}/tests/integration/lib.sh"
need openssl
D=$T/pki

# pki STATUS ARGUMENT...: output in $T/out, messages in $T/err
pki()
{
	wanted=$1
	shift
	"$CONFLUX" pki "$@" >"$T/out" 2>"$T/err" </dev/null
	code=$?
	[ $code -eq "$wanted" ] && return
	cat "$T/out" "$T/err"
	fail "status $code, not $wanted: conflux pki $*"
}

# verified NAME: as a server and as a client, strictly, by that name
verified()
{
	for purpose in sslserver sslclient; do
		openssl verify -x509_strict -auth_level 2 -purpose $purpose \
			-crl_check -CRLfile "$D/crl.pem" -CAfile "$D/ca.pem" \
			-verify_hostname "$1" "$D/$1.pem" >"$T/verify" 2>&1 ||
			{
				cat "$T/verify"
				fail "openssl verify: $1 as $purpose"
			}
	done
	[ "$(openssl pkey -pubout -in "$D/$1.key")" = \
		"$(openssl x509 -pubkey -noout -in "$D/$1.pem")" ] ||
		fail "$1.key is not the key of $1.pem"
	command -v certtool >/dev/null || return 0
	certtool --verify --load-ca-certificate "$D/ca.pem" \
		--load-crl "$D/crl.pem" --verify-hostname "$1" \
		--verify-profile medium --infile "$D/$1.pem" >"$T/verify" 2>&1 ||
		{
			cat "$T/verify"
			fail "certtool --verify: $1"
		}
}

mode()
{
	equal "mode of $1" "$2" "$(stat -c %a "$D/$1")"
}

checksum()
{
	cat "$D"/*.pem "$D"/*.key | cksum
}

step "an authority and certificates in one command"
pki 0 "$D" collector.example.net exporter.example.net
for name in collector.example.net exporter.example.net; do
	verified $name
	mode $name.key 600
	mode $name.pem 644
	matches "what was made" "^$D/$name.pem: certificate of $name, until" \
		"$T/out"
	matches "how to use it" \
		"^    <cx:keyFile>$D/$name.key</cx:keyFile>" "$T/out"
	matches "who is the peer" \
		"^    <remoteSubjectFQDN>$name</remoteSubjectFQDN>" "$T/out"
done
mode ca.key 600
equal "leftovers" "" "$(find "$D" -name '.*' -type f)"

step "again: all is kept, names are added"
cp "$D/crl.pem" "$T/crl.pem"
mv "$D/crl.pem" "$T/old.pem"
before=$(checksum)
cp "$T/old.pem" "$D/crl.pem"
pki 0 "$D" collector.example.net exporter.example.net
matches "told" "^$D/exporter.example.net.pem: there already, and kept" "$T/out"
mv "$D/crl.pem" "$T/crl.pem"
equal "files" "$before" "$(checksum)"
mv "$T/crl.pem" "$D/crl.pem"
pki 0 -d 7 "$D" second.example.net,alias.example.net
verified second.example.net
openssl x509 -in "$D/second.example.net.pem" -noout \
	-checkhost alias.example.net >"$T/x509"
matches alias "Hostname alias.example.net does match" "$T/x509"
openssl x509 -in "$D/second.example.net.pem" -noout \
	-checkend $((8 * 86400)) >"$T/x509"
matches "seven days" "Certificate will expire" "$T/x509"

step "serial numbers and keys differ"
for f in "$D"/*.pem; do
	case $f in */crl.pem) continue ;; esac
	openssl x509 -in "$f" -noout -serial
done >"$T/serials"
equal serials "$(lines "$T/serials")" "$(sort -u "$T/serials" | wc -l)"
equal keys "$(find "$D" -name '*.key' | wc -l)" \
	"$(cat "$D"/*.key | grep -v -- - | tr -d '\n' | fold -w 184 |
		sort -u | wc -l)"

step "revoked"
number=$(openssl crl -in "$D/crl.pem" -noout -crlnumber | sed 's/.*0x//')
pki 0 -r exporter.example.net "$D"
openssl verify -crl_check -CRLfile "$D/crl.pem" -CAfile "$D/ca.pem" \
	"$D"/revoked/exporter.example.net-*.pem >"$T/verify" 2>&1 &&
	fail "openssl takes a revoked certificate"
matches "why not" "certificate revoked" "$T/verify"
[ -e "$D/exporter.example.net.pem" ] && fail "it is still there"
[ $((0x$(openssl crl -in "$D/crl.pem" -noout -crlnumber |
	sed 's/.*0x//'))) -gt $((0x$number)) ] ||
	fail "the list's number has not grown"
verified collector.example.net
pki 1 -r exporter.example.net "$D"
matches "once is enough" "there is no such certificate" "$T/err"
pki 0 "$D" exporter.example.net
verified exporter.example.net

step "renewed"
cp "$D/exporter.example.net.pem" "$T/old.pem"
pki 0 --renew "$D" exporter.example.net
verified exporter.example.net
openssl verify -crl_check -CRLfile "$D/crl.pem" -CAfile "$D/ca.pem" \
	"$T/old.pem" >/dev/null 2>&1 || fail "the old one is not valid any more"
# A name that begins like another one.
pki 0 "$D" exporter.example.net-two.example.net
pki 0 --renew "$D" exporter.example.net-two.example.net
pki 0 -r exporter.example.net "$D"
openssl verify -crl_check -CRLfile "$D/crl.pem" -CAfile "$D/ca.pem" \
	"$T/old.pem" >/dev/null 2>&1 && fail "the old one is not revoked"
equal "revoked ones" 3 "$(openssl crl -in "$D/crl.pem" -noout -text |
	grep -c 'Serial Number')"
equal "replaced ones" 1 "$(find "$D/replaced" -name '*.pem' | wc -l)"
pki 0 "$D" exporter.example.net

step "nothing is overwritten, nothing foreign is taken"
mv "$D/second.example.net.pem" "$T/second.pem"
before=$(checksum)
pki 1 "$D" second.example.net
matches why "second.example.net.key is there without its certificate" "$T/err"
pki 0 "$T/other" second.example.net
cp "$T/other/second.example.net.pem" "$D/foreign.example.net.pem"
pki 1 -r foreign.example.net "$D"
matches why "this certificate is not from ca.pem" "$T/err"
rm "$D/foreign.example.net.pem"
cp "$T/other/ca.key" "$T/other/ca.key.own"
cp "$D/ca.key" "$T/other/ca.key"
pki 1 "$T/other" x.example.net
matches why "ca.key: it is not the key of ca.pem" "$T/err"
mv "$T/other/ca.key.own" "$T/other/ca.key"
cp "$D/crl.pem" "$T/other/crl.pem"
pki 1 "$T/other" x.example.net
matches why "crl.pem: it is no revocation list of ca.pem" "$T/err"
rm "$T/other/ca.pem"
pki 1 "$T/other" x.example.net
matches why "ca.key is there without ca.pem" "$T/err"
equal "files" "$before" "$(checksum)"

step "usage"
for names in '*.example.net' 192.0.2.1 ../x a/b ca Exporter.example.net '' \
	x.example.net, "$(printf '%065d' 0).net"; do
	pki 2 "$D" "$names"
	matches "of $names" "^conflux pki: \"" "$T/err"
done
pki 2
pki 2 -d 0 "$D"
pki 2 -d 9999 "$D"
pki 2 -p "$D"
pki 2 -n "$D"
pki 2 -p "$D" a.example.net,b.example.net
pki 2 -r '../ca' "$D"
pki 1 "$T/no/such/folder" a.example.net
matches why "No such file" "$T/err"

step "pre-shared keys"
P=$T/psk
pki 0 -p "$P" exporter.example.net
pki 0 -p "$P" second.example.net
equal "identities" 2 "$(grep -cE '^[a-z.]+:[0-9a-f]{64}$' "$P/psk")"
equal "mode" 600 "$(stat -c %a "$P/psk")"
equal "mode" 600 "$(stat -c %a "$P/second.example.net.psk")"
equal "its own line" "$(tail -n 1 "$P/psk")" "$(cat "$P/second.example.net.psk")"
cp "$P/psk" "$T/before"
pki 0 -p "$P" second.example.net
matches "told" "second.example.net has a key already" "$T/out"
cmp -s "$P/psk" "$T/before" || fail "a key was replaced"
pki 0 -p -n "$P" second.example.net
cmp -s "$P/psk" "$T/before" && fail "the key was not replaced"
pki 0 -p -r second.example.net "$P"
equal "identities" exporter.example.net "$(cut -d: -f1 "$P/psk")"
pki 1 -p -r second.example.net "$P"
if command -v psktool >/dev/null; then
	psktool -u third.example.net -p "$P/psk" >/dev/null 2>&1 ||
		fail "psktool does not take the file"
	pki 0 -p "$P" fourth.example.net
	equal "identities" "exporter third fourth " \
		"$(sed 's/\.example.*//' "$P/psk" | tr '\n' ' ')"
fi

step "several at once: each waits its turn"
n=0
while [ $n -lt 5 ]; do
	"$CONFLUX" pki "$T/race" "n$n.example.net" >/dev/null 2>&1 &
	pids="${pids:-} $!"
	n=$((n + 1))
done
for pid in $pids; do
	wait "$pid" || fail "one of five at once"
done
D=$T/race
for n in 0 1 2 3 4; do
	verified "n$n.example.net"
done
exit 0
