# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""corpus_ipfix.py COLLECT FLOWS: runs COLLECT (corpus_collect) on each capture
below FLOWS that has IPFIX and compares its records with what is expected of it:

netgauze   all messages decoded, with raw values
logstash   a collector's own tests: number of records, values of fields
akvorado   likewise, names of its own
telegraf   likewise
tshark     number of records in each data set, addresses

Prints a line for each capture, and exits 1 if anything differs."""
import collections, glob, ipaddress, json, os, re, struct, subprocess, sys
from datetime import datetime, timezone

COLLECT, FLOWS = sys.argv[1:3]
UNKNOWN = object()   # a value that this test cannot compare


class Different(Exception):
    pass


# Where we have another opinion: how many records there are, and why.
OPINION = {
    "go-ipfix/process.global.pcap":
        (1, "TShark reads data by a template that was redefined before it"),
    "logstash/10-IPFIX.pcap":
        (13, "that collector reads the first of three messages only"),
    "logstash/50-IPFIX-Netscaler-with-variable-length-fields.pcap":
        (6, "the first three came before their templates and were held"),
    "vermont/correct-variable-length-template-and-data.pcap":
        (3, "TShark does not read this variable-length field"),
    "vflow/decoder.TestDecodeDataTpl.pcap":
        (4, "TShark was given the data before the templates"),
}


def collect(files):
    run = subprocess.run([COLLECT] + files, capture_output=True, text=True)
    if run.returncode:
        raise Different("status %d: %s" % (run.returncode, run.stderr[-500:]))
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return lines[:-1], lines[-1], run.stderr


def number(octets):
    return int.from_bytes(octets, "big")


def instant(octets, length):
    """A time as it may be encoded, in seconds; ms unless 4 octets."""
    return number(octets) / (1 if length == 4 else 1000)


PROTOCOL = {"ICMP": 1, "IGMP": 2, "TCP": 6, "UDP": 17, "GRE": 47, "ESP": 50,
            "IPv6ICMP": 58, "EIGRP": 88, "OSPFIGP": 89, "OSPF": 89, "PIM": 103,
            "VRRP": 112, "SCTP": 132}
TCP = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]


def same(name, octets, wanted):
    """True, False, or UNKNOWN if the two cannot be compared."""
    if isinstance(wanted, bool):
        return number(octets) == (1 if wanted else 2)
    if isinstance(wanted, int):
        signed = int.from_bytes(octets, "big", signed=True)
        return wanted in (number(octets), signed)
    if isinstance(wanted, float):
        form = {4: ">f", 8: ">d"}.get(len(octets))
        value = struct.unpack(form, octets)[0] if form else number(octets)
        return abs(value - wanted) <= abs(wanted) * 1e-6
    if isinstance(wanted, list):
        return list(octets) == wanted
    if isinstance(wanted, dict):
        if set(wanted) & set(TCP):
            bits = sum(1 << i for i, n in enumerate(TCP) if wanted.get(n))
            return (number(octets) & 255) == bits
        if list(wanted) == ["Unassigned"]:
            return number(octets) == wanted["Unassigned"]
        return UNKNOWN
    if name == "protocolIdentifier" and wanted in PROTOCOL:
        return number(octets) == PROTOCOL[wanted]
    if re.match(r"\d{4}-\d\d-\d\dT", wanted):
        if "Micro" in name or "Nano" in name:
            return UNKNOWN
        text = wanted.replace("Z", "+00:00")
        time = datetime.fromisoformat(text).timestamp()
        return abs(instant(octets, len(octets)) - time) < 0.002
    if re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", wanted):
        return octets.hex(":") == wanted.lower()
    try:
        return ipaddress.ip_address(wanted).packed == octets
    except ValueError:
        pass
    text = octets.rstrip(b"\0").decode("utf-8", "replace")
    if text == wanted:
        return True
    # An enumerated value shown by name.
    return UNKNOWN if len(octets) <= 4 else False


class Compared:
    def __init__(self):
        self.records = self.values = self.unknown = 0

    def value(self, where, name, octets, wanted):
        result = same(name, octets, wanted)
        if result is UNKNOWN:
            self.unknown += 1
        elif result:
            self.values += 1
        else:
            raise Different("%s: %s is %s, expected %r" %
                            (where, name, octets.hex(), wanted))


def fields(record):
    return [(f[0], bytes.fromhex(f[3])) for f in record["fields"]]


# ---- netgauze ----------------------------------------------------------------

def netgauze_records(path):
    for line in open(path):
        message = json.loads(line).get("IPFIX")
        for entry in message["sets"] if message else []:
            for record in entry.get("Data", {}).get("records", []):
                pairs = [next(iter(f.items())) for f in
                         record.get("scope_fields", []) + record["fields"]]
                yield message["observation_domain_id"], pairs


def compare_netgauze(records, path, compared):
    wanted = list(netgauze_records(path))
    if len(wanted) != len(records):
        raise Different("%d records, expected %d" %
                        (len(records), len(wanted)))
    # Several exporters may be printed in another order: compare per domain.
    queues = collections.defaultdict(collections.deque)
    for record in records:
        queues[record["domain"]].append(record)
    for i, (domain, pairs) in enumerate(wanted):
        where = "record %d of domain %d" % (i, domain)
        got = fields(queues[domain].popleft())
        names = [n for n, _ in got]
        if [n.lower() for n in names] != [n.lower() for n, _ in pairs]:
            raise Different("%s: fields %s, expected %s" %
                            (where, names, [n for n, _ in pairs]))
        for (name, octets), (_, value) in zip(got, pairs):
            compared.value(where, name, octets, value)
        compared.records += 1


# ---- logstash ----------------------------------------------------------------

def by_name(record):
    values = collections.defaultdict(list)
    for name, octets in fields(record):
        values[name].append(octets)
    return values


def compare_logstash(records, case, compared):
    count = case.get("event_count")
    if count is not None and count != len(records):
        raise Different("%d records, expected %d" % (len(records), count))
    wanted = [(e["event"], e["field"], e["value"]) for e in case["expect"]
              if e["op"] == "to_eq"]
    for event, i in case.get("json_compare", []):
        wanted += [(event, name, value) for name, value in
                   case["json_events"][i]["netflow"].items()]
    for event, name, value in wanted:
        if event >= len(records):
            raise Different("no record %d" % event)
        values = by_name(records[event])
        if name not in values:   # enterprise elements we have no name of
            compared.unknown += 1
            continue
        if isinstance(value, str) and "#{" in value:
            continue
        # The last of the same name is what that collector keeps.
        compared.value("record %d" % event, name, values[name][-1], value)
    compared.records += len({event for event, _, _ in wanted})


# ---- akvorado ----------------------------------------------------------------

def ethernet(octets):
    return number(octets)


AKVORADO = {
    "SrcAddr": ("sourceIPv4Address", "sourceIPv6Address"),
    "DstAddr": ("destinationIPv4Address", "destinationIPv6Address"),
    "SrcPort": ("sourceTransportPort",),
    "DstPort": ("destinationTransportPort",),
    "Proto": ("protocolIdentifier",),
    "Bytes": ("octetDeltaCount",),
    "Packets": ("packetDeltaCount",),
    "SrcMAC": ("sourceMacAddress",),
    "DstMAC": ("destinationMacAddress",),
}


def compare_akvorado(records, case, compared):
    """It makes two flows of a biflow; the forward ones are looked up."""
    found = [by_name(r) for r in records if not r["scope"]]
    for flow in case["flows"]:
        wanted = {k: v for k, v in flow.items() if k in AKVORADO}
        for values in found:
            good = 0
            for key, value in wanted.items():
                octets = next((values[n][0] for n in AKVORADO[key]
                               if n in values), None)
                if octets is None or same(key, octets, value) is not True:
                    break
                good += 1
            if good == len(wanted):
                compared.records += 1
                compared.values += good
                break
    if compared.records < len(found):
        raise Different("%d of %d records found among %d expected flows" %
                        (compared.records, len(found), len(case["flows"])))


# ---- telegraf ----------------------------------------------------------------

TELEGRAF = {
    "src": ("sourceIPv4Address", "sourceIPv6Address"),
    "dst": ("destinationIPv4Address", "destinationIPv6Address"),
    "src_port": ("sourceTransportPort",),
    "dst_port": ("destinationTransportPort",),
    "in_packets": ("packetDeltaCount",),
    "in_total_packets": ("packetTotalCount",),
    "in_bytes": ("octetDeltaCount",),
    "in_total_bytes": ("octetTotalCount",),
    "flow_start_ms": ("flowStartMilliseconds",),
    "flow_end_ms": ("flowEndMilliseconds",),
    "vlan_src": ("vlanId",),
}


def telegraf_value(text):
    if re.fullmatch(r"\d+[ui]", text):
        return int(text[:-1])
    return text.strip('"')


def compare_telegraf(records, path, compared):
    wanted = [line for line in open(path) if line.strip() and line[0] != "#"]
    records = [r for r in records if not r["scope"]] \
        if len(records) != len(wanted) else records
    if len(wanted) != len(records):
        raise Different("%d records, expected %d" %
                        (len(records), len(wanted)))
    found = [by_name(r) for r in records]
    for i, line in enumerate(wanted):
        pairs = re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', line)
        pairs = [(k, telegraf_value(v)) for k, v in pairs if k in TELEGRAF]
        for values in found:    # its order is not that of the records
            good = 0
            for key, value in pairs:
                octets = next((values[n][0] for n in TELEGRAF[key]
                               if n in values), None)
                if octets is None or same(key, octets, value) is not True:
                    break
                good += 1
            if good == len(pairs):
                break
        else:
            raise Different("no record for line %d: %s" % (i + 1, pairs))
        found.remove(values)
        compared.records += 1
        compared.values += len(pairs)


# ---- tshark ------------------------------------------------------------------

def tshark_flows(node):
    """All "Flow N" objects, in order."""
    for key, value in node.items():
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, dict):
                continue
            if re.match(r"Flow \d+", key):
                yield child
            else:
                yield from tshark_flows(child)


TSHARK = {"sourceIPv4Address": "cflow.srcaddr",
          "destinationIPv4Address": "cflow.dstaddr",
          "sourceIPv6Address": "cflow.srcaddrv6",
          "destinationIPv6Address": "cflow.dstaddrv6",
          "sourceTransportPort": "cflow.srcport",
          "destinationTransportPort": "cflow.dstport"}


def compare_tshark(records, path, compared):
    messages = [m for m in json.load(open(path))
                if m.get("cflow.version") == "10"]
    wanted = [f for m in messages for f in tshark_flows(m)]
    if len(wanted) != len(records):
        raise Different("%d records, TShark has %d" %
                        (len(records), len(wanted)))
    for i, (record, flow) in enumerate(zip(records, wanted)):
        for name, values in by_name(record).items():
            value = flow.get(TSHARK.get(name))
            if isinstance(value, str) and len(values) == 1:
                value = int(value) if value.isdigit() else value
                compared.value("record %d" % i, name, values[0], value)
        compared.records += 1


# ---- sFlow -------------------------------------------------------------------

def sflow_samples(node):
    """(sampling rate, input, output, octets of the frame) of raw headers"""
    for key, value in node.items():
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, dict):
                continue
            if "sflow.flow_sample.sampling_rate" not in child:
                yield from sflow_samples(child)
                continue
            for name, raw in child.items():
                for one in raw if isinstance(raw, list) else [raw]:
                    if name.startswith("Raw packet header"):
                        yield (int(child["sflow.flow_sample.sampling_rate"]),
                               int(one["sflow_245.header.frame_length"]) -
                               int(one["sflow_245.header.payload_stripped"]))


def compare_sflow(records, path, compared):
    if not os.path.exists(path):
        return
    wanted = [s for m in json.load(open(path)) for s in sflow_samples(m)]
    got = [(number(by_name(r)["samplingInterval"][0]),
            number(by_name(r)["dataLinkFrameSize"][0])) for r in records]
    if wanted != got:
        raise Different("samples %r, TShark has %r" % (got, wanted))
    compared.records += len(got)
    compared.values += 2 * len(got)


# ---- all ---------------------------------------------------------------------

def cases():
    """(name, captures, how to compare) for all of the folder."""
    def facts(origin):
        return json.load(open(os.path.join(FLOWS, origin, "FACTS.json")))

    done = set()
    for case in facts("logstash")["cases"]:
        path = os.path.join(FLOWS, "logstash",
                            os.path.basename(case.get("replay", "-")))
        if os.path.exists(path) and "IPFIX" in case["case"]:
            done.add(path)
            yield path, [path], "logstash", case
    for i, case in enumerate(facts("akvorado")["cases"]):
        if "5103" not in case["test"]:
            continue
        for path in glob.glob(os.path.join(FLOWS, "akvorado",
                                           "*-%s.pcap" % case["test"])):
            done.add(path)
            yield path, [path], "akvorado", case
    for path in sorted(glob.glob(os.path.join(FLOWS, "**", "*.pcap"),
                                 recursive=True)):
        if path in done:
            continue
        base = path[:-5]
        if open(path, "rb").read(4) == b"\n\r\r\n":   # pcapng
            continue
        for kind, name in (
                ("netgauze", base + "-flow.netgauze.json"),
                ("netgauze", base + "-flow.json"),
                ("telegraf", base + ".expected.out"),
                ("tshark", base + ".tshark.json"),
                (None, None)):
            if not name or os.path.exists(name):
                break
        if "sflow" in os.path.basename(path):
            kind, name = "sflow", base + ".tshark.json"
        yield path, [path], kind, name


COMPARE = {"netgauze": compare_netgauze, "logstash": compare_logstash,
           "akvorado": compare_akvorado, "telegraf": compare_telegraf,
           "tshark": compare_tshark, "sflow": compare_sflow}


def main():
    totals = collections.Counter()
    for path, files, kind, data in cases():
        name = os.path.relpath(path, FLOWS)
        compared = Compared()
        try:
            records, end, log = collect(files)
            version = re.search(r"NetFlow version \d|sFlow version \d", log)
            if not records and version:
                continue
            ledger = end["ledger"]
            lost = {k: v for k, v in ledger.items()
                    if k not in ("in", "exported")}
            silent = {"sequenceGap", "kernelDrop"}
            if ledger["in"] != ledger["exported"] + sum(
                    v for k, v in lost.items() if k not in silent):
                raise Different("ledger does not hold: %r" % ledger)
            if name in OPINION and len(records) == OPINION[name][0]:
                totals["differ for a reason"] += 1
                print("%-10s %s: %d records: %s" %
                      (kind, name, len(records), OPINION[name][1]))
                continue
            if kind:
                COMPARE[kind](records, data, compared)
            totals["passed" if kind else "only read"] += 1
            print("%-10s %s: %d records, %d values same, %d not comparable%s"
                  % (kind or "read", name, len(records), compared.values,
                     compared.unknown, ", lost %s" % lost if lost else ""))
        except Different as error:
            totals["failed"] += 1
            print("%-10s %s: DIFFERENT: %s" % (kind or "read", name, error))
            for line in log.splitlines()[:5]:
                print("           " + line)
    print(", ".join("%s: %d" % item for item in totals.items()))
    return 1 if totals["failed"] else 0


sys.exit(main())
