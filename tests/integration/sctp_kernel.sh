#!/bin/sh
# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
#
# SCTP by the kernel. Few machines of tests have it, so this boots user-mode
# Linux, whose files are those of this machine (hostfs, read only), and runs in
# it: the unit tests of SCTP; confluxd to confluxd, kernel to kernel, in clear and
# with DTLS, whose associations are replaced; usrsctp and the kernel with each
# other, in UDP; softflowd as a peer.
. "${SRC:-.}/tests/integration/lib.sh"

modules=$(echo /usr/lib/uml/modules/*/kernel)
outside()
{
	need linux.uml busybox python3
	# Its processes are where the shadow memory would be.
	! grep -qE '__asan_init|__tsan_init' "$CONFLUXD" ||
		skip "a sanitizer is built in"
	[ -f "$modules/net/sctp/sctp.ko" ] || skip "no module sctp in $modules"
	cat >"$T/init" <<-INIT
	#!/bin/sh
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	export PATH SRC="$SRC" BUILD="$BUILD" SCTP_INSIDE=yes
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t tmpfs tmpfs /run
	mkdir /run/t /run/tmp
	mount -t hostfs none /run/t -o "$T"
	export TMPDIR=/run/tmp
	cd /run
	sh "$SRC/tests/integration/sctp_kernel.sh" >/run/t/inside 2>&1
	echo \$? >/run/t/status
	busybox halt -f
	INIT
	chmod +x "$T/init"
	start uml linux.uml mem=512M root=/dev/root rootfstype=hostfs \
		rootflags=/ ro "init=$T/init" con=null con0=null,fd:1 quiet
	wait_exit "$PID" 240
	cat "$T/inside" || fail "it did not boot"
	code=$(cat "$T/status")
	[ "$code" = 77 ] && skip "inside: $(sed -n 's/^skipped: //p' "$T/inside")"
	equal "status inside" 0 "$code"
}

prepare()
{
	ip link set lo up || fail "no loopback interface"
	for module in net/ipv4/udp_tunnel net/ipv6/ip6_udp_tunnel \
		lib/crc-ccitt net/ipv6/ipv6 crypto/hmac net/sctp/sctp; do
		busybox insmod "$modules/$module.ko" || fail "$module"
	done
}

# ends SENDER FROM RECEIVER TO WAYS [SHORT]: see sctp.sh
ends()
{
	step "$1 to $3"
	SCTP_SENDER=$1 SCTP_FROM=$2 SCTP_RECEIVER=$3 SCTP_TO=$4 \
		SCTP_WAYS=$5 SCTP_SHORT=${6:-} \
		sh "$SRC/tests/integration/sctp.sh" || fail "$1 to $3"
}

# What softflowd exports of a file of packets, told by its own words.
softflowd_peer()
{
	command -v softflowd >/dev/null || {
		step "softflowd is not there"
		return
	}
	step "softflowd"
	port=$(free_port)
	"$MKPCAP" -n 500 -o "$T/in.pcap" >/dev/null || fail mkpcap
	cat >"$T/collect.xml" <<-XML
	<ipfix xmlns="urn:ietf:params:xml:ns:yang:ietf-ipfix-psamp"
	    xmlns:cx="urn:conflux:config:1">
	  <cx:controlSocket>$T/collect.sock</cx:controlSocket>
	  <collectingProcess><name>in</name>
	    <sctpCollector><name>sctp</name><localPort>$port</localPort>
	    </sctpCollector>
	    <exportingProcess>out</exportingProcess></collectingProcess>
	  <exportingProcess><name>out</name>
	    <destination><name>file</name><fileWriter>
	      <file>file://$T/soft.ipfix</file></fileWriter></destination>
	  </exportingProcess>
	</ipfix>
	XML
	start collect "$CONFLUXD" -c "$T/collect.xml"
	collect=$PID
	wait_for 10 "$CONFLUX" status -s "$T/collect.sock"
	# It reads files with short names only.
	(cd "$T" && timeout 30 softflowd -d -r in.pcap -v 10 -P sctp \
		-n "127.0.0.1:$port" -c soft.ctl -p soft.pid) \
		>"$T/soft.out" 2>&1
	sleep 1
	stop "$collect"
	"$CONFLUX" read -f json "$T/soft.ipfix" >"$T/soft.json"
	ledger_holds "$T/collect.err"
	flows=$(sed -n 's/^Flows exported: \([0-9]*\) .*/\1/p' "$T/soft.out")
	echo "softflowd exported $flows flows"
	[ "$flows" -gt 400 ] || fail "softflowd exported little"
	equal "flows of softflowd" "$flows" \
		"$(grep -c octetDeltaCount "$T/soft.json")"
}

if [ "${SCTP_INSIDE:-}" != yes ]; then
	outside
	exit 0
fi
prepare
step "unit tests by the kernel"
SCTP_TEST_STACK=kernel "$BUILD/tests/unit/net/sctp_test" >"$T/unit" 2>&1 || {
	cat "$T/unit"
	fail "unit tests"
}
softflowd_peer
ends kernel "" kernel "" template
step "DTLS, kernel to kernel"
SCTP_STACK=kernel sh "$SRC/tests/integration/dtls_sctp.sh" ||
	fail "DTLS by the kernel"
echo 9899 >/proc/sys/net/sctp/udp_port
echo 9899 >/proc/sys/net/sctp/encap_port
ends userland 9900 kernel 9899 plain short
ends kernel 9899 userland 9900 unordered short
exit 0
