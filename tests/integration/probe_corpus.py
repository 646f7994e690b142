# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""
probe_corpus.py FOLDER PART: compares what the probe makes of captures with

counts       capinfos: packets of each file, all link types, tunnels seen through
zeek         its connection logs: packets and IP octets of each direction; Zeek
             tells of a tunnel and of what is in it, so each connection must be
             what we see with or without looking into tunnels
ipfixprobe   its biflows of one capture: packets, octets, flags
packets      TShark, packet by packet: time, size, addresses of the outermost IP
             header; all captures are merged into one of all link types
"""
import collections
import csv
import glob
import json
import os
import re
import subprocess
import sys

import probe

T = os.environ["T"]
TUNNELS = "".join(f"<cx:tunnel>{t}</cx:tunnel>" for t in
                  "ipInIp gre erspan vxlan geneve gtpU teredo".split())
TUNNELS += "<cx:tunnelDepth>8</cx:tunnelDepth>"

# Where Zeek's connections are others than our flows, and why.
ZEEK = {
    "ntp/misordered-ntp.pcap": "Zeek makes the later packet the first one",
    "tunnels/gre-aruba-amsdu.pcap": "802.11 inside GRE, by a vendor's type",
    "tunnels/Teredo.pcap": "Teredo between hosts, on ports of their own",
    "tunnels/teredo_bubble_with_payload.pcap": "the same",
    "tunnels/gtp/gtp2_different_udp_port.pcap":
        "Zeek counts a datagram in two fragments as one packet, with one "
        "header",
}


def confluxd(conf):
    run = subprocess.run([os.environ["CONFLUXD"], "-c", conf],
                         capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"confluxd: {run.returncode}: {run.stderr[-2000:]}")
    return run.stderr


def captures(folder):
    for base, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if re.search(r"\.(pcap|pcapng|cap|dmp|trace)(\.gz)?$", name):
                yield os.path.join(base, name)


def meter(capture, tunnels=""):
    """Packets, octets of each flow."""
    conf, out = T + "/corpus.xml", T + "/corpus.ipfix"
    probe.conf(conf, out, [
        f"capture=<cx:captureFile>{capture}</cx:captureFile>{tunnels}",
        "fields=octetDeltaCount packetDeltaCount"])
    confluxd(conf)
    lines = subprocess.check_output(
        [os.environ["CONFLUX"], "read", "-f", "json", out], text=True)
    return {probe.flow_of(d): (d["packetDeltaCount"], d["octetDeltaCount"])
            for d in map(json.loads, lines.splitlines())
            if "protocolIdentifier" in d}


def counts(folder):
    files = list(captures(folder))
    wanted, wrong = {}, 0
    for i in range(0, len(files), 100):
        lines = subprocess.run(
            ["capinfos", "-T", "-c", "-r", "-M"] + files[i:i + 100],
            capture_output=True, text=True).stdout.splitlines()
        for line in lines:
            name, _, number = line.partition("\t")
            wanted[name] = number
    # One Observation Point each, all in one daemon.
    points = "".join(
        f"<observationPoint><name>{i}</name>"
        f"<observationDomainId>{i}</observationDomainId>"
        f"<cx:captureFile>{f}</cx:captureFile>"
        f"<selectionProcess>selection</selectionProcess>{TUNNELS}"
        f"</observationPoint>" for i, f in enumerate(files))
    conf = T + "/counts.xml"
    probe.conf(conf, T + "/counts.ipfix",
               [f"capture=<cx:captureFile>{files[0]}</cx:captureFile>",
                f"root={points}"])
    log = confluxd(conf)
    got = dict(re.findall(r"ledger: observationPoint (\d+): in (\d+)", log))
    for i, f in enumerate(files):
        if f in wanted and wanted[f] != got.get(str(i)):
            print(f"{os.path.relpath(f, folder)}: capinfos {wanted[f]}, "
                  f"we {got.get(str(i))}")
            wrong += 1
    if wrong:
        sys.exit(f"{wrong} of {len(files)} files differ")
    if len(wanted) < len(files) * 9 // 10:
        sys.exit(f"capinfos tells of {len(wanted)} files only")
    print(f"{len(files)} files, {sum(map(int, got.values()))} packets; "
          f"{len(files) - len(wanted)} of them capinfos does not open")


def connections(log):
    want, names = collections.Counter(), None
    with open(log, errors="replace") as f:
        for line in f:
            if line.startswith("#fields"):
                names = line.rstrip("\n").split("\t")[1:]
            if line.startswith("#") or not names:
                continue
            r = dict(zip(names, line.rstrip("\n").split("\t")))
            protocol = {"tcp": 6, "udp": 17}.get(r.get("proto"))
            if not protocol or "id.orig_h" not in r or len(r) < 18:
                continue
            a, b = r["id.orig_h"], r["id.resp_h"]
            p, q = int(r["id.orig_p"]), int(r["id.resp_p"])
            for key, who in (((a, b, p, q, protocol), "orig"),
                             ((b, a, q, p, protocol), "resp")):
                if r[who + "_pkts"] not in ("-", "0"):
                    want[key, 0] += int(r[who + "_pkts"])
                    want[key, 1] += int(r[who + "_ip_bytes"])
    return {key: (n, want[key, 1]) for (key, i), n in want.items() if i == 0}


def zeek(folder):
    folder += "/zeek"
    equal = reasons = flows = wrong = 0
    for log in sorted(glob.glob(folder + "/**/*.conn.log", recursive=True)):
        capture = log[:-len(".conn.log")]
        name = os.path.relpath(capture, folder)
        want = connections(log)
        if name in ZEEK:
            reasons += 1
            print(f"{name}: {ZEEK[name]}")
            continue
        outer, inner = meter(capture), meter(capture, TUNNELS)
        for key, value in want.items():
            if value not in (outer.get(key), inner.get(key)):
                print(f"{name}: {key}: Zeek {value}, we {outer.get(key)}, "
                      f"in tunnels {inner.get(key)}")
                wrong += 1
        equal += 1
        flows += len(want)
    if wrong:
        sys.exit(f"{wrong} directions differ")
    print(f"{equal} captures, {flows} directions of connections are equal; "
          f"{reasons} captures differ for a reason")


def ipfixprobe(folder):
    folder += "/ipfixprobe"
    conf, out = T + "/mixed.xml", T + "/mixed.ipfix"
    probe.conf(conf, out, [
        f"capture=<cx:captureFile>{folder}/inputs/mixed.pcap</cx:captureFile>",
        "cache=naturalCache",
        "head=<cx:biflow>true</cx:biflow><activeTimeout>300</activeTimeout>"
        "<idleTimeout>30</idleTimeout>",
        "fields=packetDeltaCount octetDeltaCount tcpControlBits "
        "reversePacketDeltaCount reverseOctetDeltaCount "
        "reverseTcpControlBits"])
    confluxd(conf)
    lines = subprocess.check_output(
        [os.environ["CONFLUX"], "read", "-f", "json", out], text=True)
    got, want = collections.Counter(), collections.Counter()
    for d in map(json.loads, lines.splitlines()):
        got[probe.flow_of(d) + tuple(d.get(n, 0) for n in (
            "packetDeltaCount", "reversePacketDeltaCount", "octetDeltaCount",
            "reverseOctetDeltaCount", "tcpControlBits",
            "reverseTcpControlBits"))] += 1
    with open(folder + "/mixed.pcap.basic.expected") as f:
        for r in csv.reader(f):
            if r[2].isdigit():
                want[(r[1], r[0]) + tuple(int(r[i]) for i in (
                    12, 11, 14, 9, 10, 2, 3, 15, 16))] += 1
    for record in list((want - got)) + list((got - want)):
        print("only one has", record)
    if want != got or not want:
        sys.exit("the biflows differ")
    print(f"{sum(want.values())} biflows are equal")


# Between IP and the wire, and not what it seems: cut, encrypted, of no version.
UNKNOWN_LINKS = {"avsp"}


def tshark_packets(merged):
    fields = ("frame.time_epoch frame.len frame.protocols ip.version "
              "ip.hdr_len ip.len ip.src ip.dst ipv6.version ipv6.src "
              "ipv6.dst").split()
    options = "ip.defragment:FALSE ipv6.defragment:FALSE".split()
    command = ["tshark", "-r", merged, "-T", "fields", "-E", "occurrence=f"]
    command += [a for o in options for a in ("-o", o)]
    command += [a for f in fields for a in ("-e", f)]
    lines = subprocess.run(command, capture_output=True,
                           text=True).stdout.splitlines()
    for line in lines:
        r = dict(zip(fields, line.split("\t")))
        layers = r["frame.protocols"].split(":")
        if UNKNOWN_LINKS & set(layers):
            continue
        six = "ipv6" in layers and (
            "ip" not in layers or layers.index("ipv6") < layers.index("ip"))
        end = r["ipv6.dst" if six else "ip.dst"]
        # An IP header that ends too soon, or has lengths that can't be.
        if not end or (not six and (
                r["ip.version"] != "4" or int(r["ip.hdr_len"] or 0) < 20 or
                0 < int(r["ip.len"] or 0) < int(r["ip.hdr_len"]))):
            continue
        yield (r["frame.time_epoch"], min(int(r["frame.len"]), 65535),
               r["ipv6.src" if six else "ip.src"], end)


def packets(folder):
    merged, conf = T + "/merged.pcapng", T + "/packets.xml"
    good = [f for f in captures(folder) if subprocess.run(
        ["capinfos", "-c", f], capture_output=True).returncode == 0]
    subprocess.run(["mergecap", "-a", "-F", "pcapng", "-w", merged] + good,
                   check=True, capture_output=True)
    probe.conf(conf, T + "/packets.ipfix", [
        f"capture=<cx:captureFile>{merged}</cx:captureFile>",
        "cache=immediateCache", "head=", "keys=",
        "fields=observationTimeNanoseconds dataLinkFrameSize "
        "sourceIPv4Address destinationIPv4Address sourceIPv6Address "
        "destinationIPv6Address"])
    confluxd(conf)
    lines = subprocess.check_output(
        [os.environ["CONFLUX"], "read", "-f", "json", T + "/packets.ipfix"],
        text=True)
    got = collections.Counter()
    for d in map(json.loads, lines.splitlines()):
        got[d["dataLinkFrameSize"],
            d.get("sourceIPv4Address") or d.get("sourceIPv6Address"),
            d.get("destinationIPv4Address") or
            d.get("destinationIPv6Address")] += 1
    want = collections.Counter(p[1:] for p in tshark_packets(merged))
    missing = want - got
    for key, n in list(missing.items())[:20]:
        print(f"{n} packets that we do not have: {key}")
    print(f"{sum(want.values())} IP packets, {sum(missing.values())} of them "
          "we do not see so")
    # Some have a header that is wrong in a way TShark looks over.
    if sum(missing.values()) > 5 or sum(want.values()) < 19000:
        sys.exit("packets differ")


if __name__ == "__main__":
    {"counts": counts, "zeek": zeek, "packets": packets,
     "ipfixprobe": ipfixprobe}[sys.argv[2]](os.path.normpath(sys.argv[1]))
