# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""
walk_corpus.py FOLDER WALKDUMP: the header walk against TShark, packet by packet,
over all captures of FOLDER (merged into one): addresses, protocol and ports of
the outermost IP header, and of the innermost one with all tunnels seen through.
"""
import collections
import os
import re
import subprocess
import sys

T = os.environ["T"]
PORTS = ("tcp", "udp", "sctp", "dccp")
NEXT = {"ipv6.hopopts": "ipv6.hopopts.nxt", "ipv6.dstopts": "ipv6.dstopts.nxt",
        "ipv6.routing": "ipv6.routing.nxt", "ipv6.fraghdr": "ipv6.fraghdr.nxt",
        "ah": "ah.next_header", "mipv6": "mip6.proto",
        "hip": "hip.proto", "shim6": "shim6.nxt"}
FIELDS = ("frame.interface_id frame.protocols ip.src ip.dst ip.proto ip.version "
          "ip.hdr_len ip.len ipv6.src ipv6.dst ipv6.nxt").split()
FIELDS += NEXT.values()
FIELDS += [f"{p}.{end}" for p in PORTS for end in ("srcport", "dstport")]


def captures(folder):
    for base, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if re.search(r"\.(pcap|pcapng|cap|dmp|trace)(\.gz)?$", name):
                yield os.path.join(base, name)


def merge(folder, merged):
    """What capinfos reads to its end; the rest has no end that all agree in."""
    good = [f for f in captures(folder) if subprocess.run(
        ["capinfos", "-c", f], capture_output=True).returncode == 0]
    subprocess.run(["mergecap", "-a", "-F", "pcapng", "-w", merged] + good,
                   check=True, capture_output=True)


def tshark(merged):
    options = "ip.defragment:FALSE ipv6.defragment:FALSE".split()
    command = ["tshark", "-n", "-r", merged, "-T", "fields", "-E",
               "occurrence=a"]
    command += [a for o in options for a in ("-o", o)]
    command += [a for f in FIELDS for a in ("-e", f)]
    out = subprocess.run(command, capture_output=True, text=True).stdout
    for line in out.splitlines():
        record = dict(zip(FIELDS, line.split("\t")))
        if record["frame.interface_id"]:  # else a block that is no packet
            yield record


def headers(record):
    """
    Each IP header in turn: source, target, protocol behind its extension
    headers, ports. One that can't be is None.
    """
    at = {f: iter(record[f].split(",")) for f in FIELDS[2:]}
    found = []

    def take(field):
        return next(at[field], "")

    for layer in record["frame.protocols"].split(":"):
        if layer == "ip":
            h = [take("ip.src"), take("ip.dst"), take("ip.proto"), "-", "-"]
            length, total = take("ip.hdr_len"), take("ip.len")
            bad = take("ip.version") != "4" or int(length or 0) < 20 or (
                0 < int(total or 0) < int(length))
            found.append(None if bad else h)
            if bad:
                break
        elif layer == "ipv6":
            found.append([take("ipv6.src"), take("ipv6.dst"),
                          take("ipv6.nxt"), "-", "-"])
        elif layer in ("icmp", "icmpv6"):
            break  # what is behind is quoted
        elif layer in NEXT and found and found[-1]:
            found[-1][2] = take(NEXT[layer])
        name = "udp" if layer == "udplite" else layer
        if name in PORTS:
            ports = [take(name + ".srcport"), take(name + ".dstport")]
            if found and found[-1] and found[-1][3] == "-":
                found[-1][3:] = ports
    return found


def walk(program, merged, depth):
    out = subprocess.run([program, merged, str(depth)], capture_output=True,
                         text=True, check=True).stdout
    return [line.split(" ")[2:] for line in out.splitlines()]


# Layers as TShark names them, and why it sees another packet there.
REASONS = [
    (r"mpls:pwethheuristic:pwethnocw", "it takes a control word for a frame"),
    (r"mipv6", "it takes 62, once used for it, for Mobility"),
]
INNER = REASONS + [
    (r"gre:wlan", "802.11 in GRE, by a vendor's type"),
    (r"udp:capwap\.data", "CAPWAP is not seen through"),
    (r"udp:sflow", "samples are no tunnel"),
    (r"gtpprime", "nor is what charging tells of packets"),
    (r"udp:mpls", "MPLS in UDP is not seen through"),
    (r"ah:ipcomp", "it can decompress"),
    (r"ip:pim:", "nor are the packets that PIM registers"),
]


def explain(reasons, record, want, got):
    """Why they differ, or None."""
    for pattern, reason in reasons:
        if re.search(pattern, record["frame.protocols"]):
            return reason
    if "" in want:
        return "it does not show a header of which a part is missing"
    if want[:2] == got[:2] and got[5] in ("truncated", "tooDeep"):
        return "it goes on behind an extension header that is cut, or many"
    if want[:3] == got[:3] and want[3] == "-":
        return "it stops before a transport header that is cut"
    if want[4] in ("8472", "4789") and "udp" in record["frame.protocols"]:
        return "it does not look into VXLAN there"
    return None


def compare(what, reasons, records, walked, choose):
    explained, wrong, equal = collections.Counter(), 0, 0
    for number, (record, got) in enumerate(zip(records, walked), 1):
        found = headers(record)
        want = choose(found) if found else ["-"] * 5
        if want is None or want == got[:5]:
            equal += want is not None
            continue
        reason = explain(reasons, record, want, got)
        if reason:
            explained[reason] += 1
            continue
        wrong += 1
        if wrong <= 20:
            print(f"packet {number} {record['frame.protocols'][:80]}: "
                  f"TShark has {want}, we {got}")
    print(f"{what}: {equal} packets are equal, {wrong} are not")
    for reason, n in explained.most_common():
        print(f"\t{n} differ: {reason}")
    return wrong, equal


def main(folder, program):
    merged = T + "/merged.pcapng"
    merge(folder, merged)
    records = list(tshark(merged))
    outer, inner = walk(program, merged, 0), walk(program, merged, 8)
    if len(records) != len(outer) or len(records) != len(inner):
        sys.exit(f"{len(records)} packets, of which we find {len(outer)}")
    a = compare("outermost", REASONS, records, outer, lambda h: h[0])
    b = compare("innermost", INNER, records, inner,
                lambda h: h[-1])
    if a[0] or b[0] or a[1] < 25000 or b[1] < 20000:
        sys.exit("the headers differ")


if __name__ == "__main__":
    main(*sys.argv[1:])
