# SPDX-FileCopyrightText: Conflux authors
# SPDX-License-Identifier: Apache-2.0
"""corpus_flows.py COLLECT FLOWS: runs COLLECT (corpus_collect) on each capture
below FLOWS and compares its records with what is expected of it:

netgauze   all messages decoded, with raw values
logstash   a collector's own tests: number of records, values of fields
akvorado   likewise, names of its own
telegraf   likewise
facts      likewise, of several others
tshark     number of records in each data set, addresses, counters, times

Prints a line for each capture, and exits 1 if anything differs."""
import collections, glob, ipaddress, json, os, re, struct, subprocess, sys
from datetime import datetime, timezone

COLLECT, FLOWS = sys.argv[1:3]
UNKNOWN = object()   # a value that this test cannot compare


class Different(Exception):
    pass


# Where we have another opinion: how many records there are, and why.
OPINION = {
    "graylog-plugin-netflow/nprobe-netflow9.pcap":
        (154, "two of them are options, which are not counted there"),
    "graylog-plugin-netflow/netflow-v9-2-1.pcap":
        (3, "one of them is of options, which are not counted there"),
    "fluent-plugin-netflow/00-parse-netflow-v9-binary-data-before-loading-"
    "corresponding-te.pcap":
        (0, "its template never comes"),
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


V9_NAMES = {
    "in_bytes": "octetDeltaCount", "in_pkts": "packetDeltaCount",
    "out_bytes": "postOctetDeltaCount", "out_pkts": "postPacketDeltaCount",
    "ipv4_src_addr": "sourceIPv4Address", "src": "sourceIPv4Address",
    "ipv4_dst_addr": "destinationIPv4Address", "dst": "destinationIPv4Address",
    "ipv4_next_hop": "ipNextHopIPv4Address",
    "bgp_ipv4_next_hop": "bgpNextHopIPv4Address",
    "l4_src_port": "sourceTransportPort", "sport": "sourceTransportPort",
    "l4_dst_port": "destinationTransportPort",
    "dport": "destinationTransportPort", "pkts": "packetDeltaCount",
    "bytes": "octetDeltaCount", "proto": "protocolIdentifier",
    "protocol": "protocolIdentifier", "tcp_flags": "tcpControlBits",
    "src_tos": "ipClassOfService", "src_as": "bgpSourceAsNumber",
    "dst_as": "bgpDestinationAsNumber", "src_mask": "sourceIPv4PrefixLength",
    "dst_mask": "destinationIPv4PrefixLength",
    "input_snmp": "ingressInterface", "output_snmp": "egressInterface",
    "forwarding_status": "forwardingStatus",
    "direction": "flowDirection", "flow_sampler_id": "samplerId",
    "ingress_vrf_id": "ingressVRFID", "egress_vrf_id": "egressVRFID",
    "ip_protocol_version": "ipVersion", "in_src_mac": "sourceMacAddress",
    "in_dst_mac": "destinationMacAddress", "out_src_mac": "postSourceMacAddress",
    "out_dst_mac": "postDestinationMacAddress", "src_vlan": "vlanId",
    "dst_vlan": "postVlanId", "conn_id": "flowId",
    "icmp_code": "icmpCodeIPv4", "fw_event": "firewallEvent",
    "xlate_src_addr_ipv4": "postNATSourceIPv4Address",
    "xlate_dst_addr_ipv4": "postNATDestinationIPv4Address",
    "xlate_src_port": "postNAPTSourceTransportPort",
    "xlate_dst_port": "postNAPTDestinationTransportPort",
    "event_time_msec": "observationTimeMilliseconds",
    "in_permanent_bytes": "octetTotalCount",
    "flow_start_msec": "flowStartMilliseconds",
    "flow_end_msec": "flowEndMilliseconds",
    "first_switched": "flowStartMilliseconds",
    "last_switched": "flowEndMilliseconds",
    "total_flows_exp": "exportedFlowRecordTotalCount",
    "total_pkts_exp": "exportedMessageTotalCount",
    "sampling_algorithm": "samplingAlgorithm",
    "sampling_interval": "samplingInterval",
    "scope_system": "exportingProcessId",
    "if_desc": "interfaceDescription",
    "application_name": "applicationName",
    "application_description": "applicationDescription",
    "ip_dscp": "ipDiffServCodePoint", "flows": "deltaFlowCount",
    "flow_end_reason": "flowEndReason", "fw_ext_event": "e9id234",
    "username": "e9id7232", "app_id": "e25461id23933",
    "user_id": "e25461id23934", "rev_flow_delta_bytes": "e0id65",
}


def fields(record):
    return [(f[0], bytes.fromhex(f[3])) for f in record["fields"]]


# ---- netgauze ----------------------------------------------------------------

def netgauze_absolute(message, name, value):
    """Times of NetFlow count from the start of the exporter."""
    if not name.endswith("SysUpTime") or "unix_time" not in message:
        return name, value
    text = message["unix_time"].replace("Z", "+00:00")
    ms = int(datetime.fromisoformat(text).timestamp()) * 1000
    return (name.replace("SysUpTime", "Milliseconds"),
            ms - message["sys_up_time"] + value)


def netgauze_records(path):
    for line in open(path):
        line = json.loads(line)
        message = line.get("IPFIX") or line.get("NetFlowV9")
        for entry in message["sets"] if message else []:
            for record in entry.get("Data", {}).get("records", []):
                pairs = [netgauze_absolute(message, *next(iter(f.items())))
                         for f in
                         record.get("scope_fields", []) + record["fields"]]
                yield message.get("observation_domain_id",
                                  message.get("source_id")), pairs


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


# It does not know that sysUpTime wraps.
WRONG_TIMES = {"Netflow 5 valid 01": ("first_switched",)}


def logstash_switched(octets, wanted):
    """It forgets to borrow a second when milliseconds become negative: what it
    expects of a time is up to a second later than that."""
    time = datetime.fromisoformat(wanted.replace("Z", "+00:00")).timestamp()
    return round(time * 1000) - number(octets) in (0, 1000)


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
        if name in WRONG_TIMES.get(case["case"], ()):
            compared.unknown += 1
            continue
        if name == "icmp_type":    # which number has the code in it?
            name = ("icmpTypeIPv4" if "icmpTypeIPv4" in values
                    else "icmpTypeCodeIPv4")
        if name in ("first_switched", "last_switched") and \
                logstash_switched(values[V9_NAMES[name]][-1], value):
            compared.values += 1
            continue
        name = V9_NAMES.get(name, name)
        if name == "applicationId" or name == "application_id":
            continue               # shown as text of its own kind
        if name not in values:   # enterprise elements we have no name of
            compared.unknown += 1
            continue
        if isinstance(value, str) and "#{" in value:
            continue
        # The last of the same name is what that collector keeps.
        compared.value("record %d" % event, name, values[name][-1], value)
    compared.records += len({event for event, _, _ in wanted})


# ---- akvorado ----------------------------------------------------------------

AKVORADO = {
    "SrcAddr": ("sourceIPv4Address", "sourceIPv6Address"),
    "DstAddr": ("destinationIPv4Address", "destinationIPv6Address"),
    "SrcAddrNAT": ("postNATSourceIPv4Address",),
    "DstAddrNAT": ("postNATDestinationIPv4Address",),
    "SrcPortNAT": ("postNAPTSourceTransportPort",),
    "DstPortNAT": ("postNAPTDestinationTransportPort",),
    "SrcPort": ("sourceTransportPort",),
    "DstPort": ("destinationTransportPort",),
    "Proto": ("protocolIdentifier",),
    "Bytes": ("octetDeltaCount",),
    "Packets": ("packetDeltaCount",),
    "SrcMAC": ("sourceMacAddress",),
    "DstMAC": ("destinationMacAddress",),
    "InIf": ("ingressInterface",),
    "OutIf": ("egressInterface",),
    "SrcAS": ("bgpSourceAsNumber",),
    "DstAS": ("bgpDestinationAsNumber",),
    "SrcNetMask": ("sourceIPv4PrefixLength", "sourceIPv6PrefixLength"),
    "DstNetMask": ("destinationIPv4PrefixLength",
                   "destinationIPv6PrefixLength"),
    "TCPFlags": ("tcpControlBits",),
    "FlowDirection": ("flowDirection",),
    "ForwardingStatus": ("forwardingStatus",),
    "IngressVRFID": ("ingressVRFID",),
    "EgressVRFID": ("egressVRFID",),
    "SrcVlan": ("vlanId",),
}
# A next hop may be that of BGP; interfaces of biflows are not told there.
AKVORADO_BIFLOW = ("InIf", "OutIf", "TCPFlags")


def sampling_rates(records):
    """All that options and records tell, by name."""
    return {number(octets) for r in records for name, octets in fields(r)
            if name in ("samplingInterval", "samplerRandomInterval",
                        "samplingPacketInterval")}


def compare_akvorado(records, case, compared):
    """Each expected flow is there; of biflows it makes two flows."""
    biflow = "5103" in case["test"]
    found = [by_name(r) for r in records if not r["scope"]]
    unmatched = list(found)
    for flow in case["flows"]:
        wanted = {k: v for k, v in flow.items() if k in AKVORADO and
                  not (biflow and k in AKVORADO_BIFLOW)}
        for values in unmatched:
            good = 0
            for key, value in wanted.items():
                octets = next((values[n][0] for n in AKVORADO[key]
                               if n in values), None)
                # It has 0 where it was not told, and we have no field.
                if octets is None and value == 0:
                    good += 1
                    continue
                if octets is None or same(key, octets, value) is not True:
                    break
                good += 1
            if good == len(wanted):
                unmatched.remove(values)
                compared.records += 1
                compared.values += good
                break
        else:
            if not biflow:
                raise Different("no record for %r" % wanted)
        rate = flow.get("SamplingRate", 0)
        if rate > 1 and rate not in sampling_rates(records):
            raise Different("sampling of 1 in %d is not told" % rate)
        compared.values += rate > 1
    if biflow and unmatched:
        raise Different("%d of %d records are not expected" %
                        (len(unmatched), len(found)))


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
    "in_snmp": ("ingressInterface",),
    "out_snmp": ("egressInterface",),
    "next_hop": ("ipNextHopIPv4Address",),
    "bgp_src_as": ("bgpSourceAsNumber",),
    "bgp_dst_as": ("bgpDestinationAsNumber",),
    "src_mask": ("sourceIPv4PrefixLength",),
    "dst_mask": ("destinationIPv4PrefixLength",),
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
TSHARK_NETFLOW = {"octetDeltaCount": "cflow.octets",
                  "packetDeltaCount": "cflow.packets",
                  "ingressInterface": "cflow.inputint",
                  "egressInterface": "cflow.outputint",
                  "protocolIdentifier": "cflow.protocol",
                  "bgpSourceAsNumber": "cflow.srcas",
                  "bgpDestinationAsNumber": "cflow.dstas"}


def tshark_records(path):
    """(message, flow) of all messages; those of version 5 are PDUs."""
    for message in json.load(open(path)):
        if message.get("cflow.version") not in ("5", "9", "10"):
            continue
        if message["cflow.version"] == "5":
            for name, pdu in message.items():
                if re.match(r"pdu \d+/\d+", name):
                    yield message, pdu
        else:
            for flow in tshark_flows(message):
                yield message, flow


def tshark_time(message, flow, which):
    """Milliseconds since 1970 of a time of the uptime, or None."""
    uptime = flow.get("cflow.timedelta_tree", {}).get(which)
    if uptime is None or "cflow.sysuptime" not in message:
        return None
    stamp = message["cflow.timestamp_tree"]
    before = (round(float(message["cflow.sysuptime"]) * 1000) -
              round(float(uptime) * 1000))
    before = (before + (1 << 31)) % (1 << 32) - (1 << 31)
    return (int(stamp["cflow.unix_secs"]) * 1000 +
            int(stamp.get("cflow.unix_nsecs", 0)) // 1000000 - before)


def compare_tshark(records, path, compared):
    wanted = list(tshark_records(path))
    if len(wanted) != len(records):
        raise Different("%d records, TShark has %d" %
                        (len(records), len(wanted)))
    for i, (record, (message, flow)) in enumerate(zip(records, wanted)):
        names = dict(TSHARK)
        if message["cflow.version"] != "10":
            names.update(TSHARK_NETFLOW)
        for name, values in by_name(record).items():
            value = flow.get(names.get(name))
            if isinstance(value, str) and len(values) == 1:
                value = int(value) if value.isdigit() else value
                compared.value("record %d" % i, name, values[0], value)
            which = {"flowStartMilliseconds": "cflow.timestart",
                     "flowEndMilliseconds": "cflow.timeend"}.get(name)
            value = which and tshark_time(message, flow, which)
            if value is not None and message["cflow.version"] != "10":
                compared.value("record %d" % i, name, values[0], value)
        compared.records += 1


# ---- facts -------------------------------------------------------------------

def compare_facts(records, case, compared):
    """Numbers of records, and some of their fields by the names of NetFlow."""
    for key in ("records", "events", "total_records"):
        if case.get(key) is not None and case[key] != len(records):
            raise Different("%d records, expected %d" %
                            (len(records), case[key]))
    if "records_per_file" in case and \
            sum(case["records_per_file"]) != len(records):
        raise Different("%d records" % len(records))
    for key in ("record", "contains", "first", "rec2", "rec3"):
        wanted = {V9_NAMES.get(k, k): v for k, v in case.get(key, {}).items()
                  if k not in ("version", "flow_seq_num", "flowset_id",
                               "first_switched", "last_switched")
                  or isinstance(v, str)}
        if not wanted:
            continue
        for record in records:
            values = by_name(record)
            if all(n in values and
                   same(n, values[n][-1], v) is not False
                   for n, v in wanted.items()):
                compared.values += len(wanted)
                break
        else:
            raise Different("no record has %r" % wanted)
    if "data_src_ipv4" in case:
        got = [str(ipaddress.ip_address(o)) for r in records
               for n, o in fields(r) if n == "sourceIPv4Address"]
        if got != case["data_src_ipv4"]:
            raise Different("sources %r" % got)
        compared.values += len(got)
    compared.records += len(records)


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


SFLOW_COUNTERS = {
    "interface": "ingressInterface", "interface_type": "ingressInterfaceType",
    "in_bytes": "octetTotalCount", "out_bytes": "postOctetTotalCount",
    "in_unicast_packets_total": "ingressUnicastPacketTotalCount",
    "in_mcast_packets_total": "ingressMulticastPacketTotalCount",
    "in_broadcast_packets_total": "ingressBroadcastPacketTotalCount",
    "in_dropped_packets": "droppedPacketTotalCount",
    "out_unicast_packets_total": "egressUnicastPacketTotalCount",
    "out_mcast_packets_total": "postMCastPacketTotalCount",
    "out_broadcast_packets_total": "egressBroadcastPacketTotalCount",
    "out_dropped_packets": "notSentPacketTotalCount",
}


def compare_sflow_counters(records, path, compared):
    """What telegraf has of the counters of interfaces."""
    wanted = [dict(re.findall(r"(\w+)=(\d+)u", line)) for line in open(path)
              if "in_unicast_packets_total" in line]
    counters = [by_name(r) for r in records if r["scope"]]
    if len(wanted) != len(counters):
        raise Different("%d of counters, expected %d" %
                        (len(counters), len(wanted)))
    for values, want in zip(counters, wanted):
        for key, name in SFLOW_COUNTERS.items():
            if key in want:
                compared.value("counters", name, values[name][0],
                               int(want[key]))


def akvorado_facts(path):
    for case in json.load(open(os.path.join(os.path.dirname(path),
                                            "FACTS.json")))["cases"]:
        if os.path.basename(case["replay"]) == os.path.basename(path):
            return case


def compare_sflow_packets(records, case, compared):
    """Addresses, ports, sampling and interfaces of sampled packets."""
    found = [by_name(r) for r in records if not r["scope"]]
    for flow in case["flows"]:
        parts = [ipaddress.ip_address(flow[k]).packed
                 for k in ("SrcAddr", "DstAddr")]
        if "SrcPort" in flow:
            parts.append(flow["SrcPort"].to_bytes(2, "big") +
                         flow["DstPort"].to_bytes(2, "big"))
        for values in found:
            section = b"".join(o for n, v in values.items()
                               if "Section" in n for o in v)
            if all(p in section for p in parts) and \
                    number(values["samplingInterval"][0]) == \
                    flow["SamplingRate"] and \
                    number(values["ingressInterface"][0]) == \
                    flow.get("InIf", 0):
                found.remove(values)
                break
        else:
            raise Different("no packet of %r" % flow)
        compared.values += len(parts) + 2


def compare_sflow(records, path, compared):
    base = path.replace(".tshark.json", "")
    if os.path.exists(base + ".expected.out"):
        compare_sflow_counters(records, base + ".expected.out", compared)
    if "akvorado" in path:
        case = akvorado_facts(base + ".pcap")
        if case and not case.get("skip"):
            compare_sflow_packets(records, case, compared)
    if not os.path.exists(path):
        return
    wanted = [s for m in json.load(open(path)) for s in sflow_samples(m)]
    got = [(number(by_name(r)["samplingInterval"][0]),
            number(by_name(r)["dataLinkFrameSize"][0])) for r in records
           if "dataLinkFrameSize" in by_name(r)]
    if wanted != got:
        raise Different("samples %r, TShark has %r" % (got, wanted))
    compared.records += len(got)
    compared.values += 2 * len(got)


# ---- all ---------------------------------------------------------------------

def is_sflow(path):
    """By the port of the first packet; they are all made the same way."""
    octets = open(path, "rb").read(78)
    return octets[76:78] == (6343).to_bytes(2, "big")


def cases():
    """(name, captures, how to compare) for all of the folder."""
    def facts(origin):
        return json.load(open(os.path.join(FLOWS, origin, "FACTS.json")))

    done = set()
    for origin in ("logstash", "akvorado"):
        for case in facts(origin)["cases"]:
            path = os.path.join(FLOWS, origin,
                                os.path.basename(case.get("replay", "-")))
            if os.path.exists(path) and not is_sflow(path) and \
                    (origin == "logstash" or case.get("flows")):
                done.add(path)
                yield path, [path], origin, case
    for origin in ("fluent-plugin-netflow", "graylog-plugin-netflow",
                   "libnetflow9"):
        for case in facts(origin)["cases"]:
            names = [case.get("replay") or case.get("pcap") or
                     case.get("file") or ""]
            names = case.get("files_in_order", names) \
                if "records_per_file" in case else names
            paths = [os.path.join(FLOWS, origin, os.path.basename(
                name.replace(".dat", ".pcap"))) for name in names]
            if all(os.path.exists(path) for path in paths):
                done.update(paths)
                yield paths[0], paths, "facts", case
    for path in sorted(glob.glob(os.path.join(FLOWS, "**", "*.pcap"),
                                 recursive=True)):
        if path in done:
            continue
        base = path[:-5]
        for kind, name in (
                ("netgauze", base + "-flow.netgauze.json"),
                ("netgauze", base + "-flow.json"),
                ("telegraf", base + ".expected.out"),
                ("tshark", base + ".tshark.json"),
                (None, None)):
            if not name or os.path.exists(name):
                break
        if "sflow" in os.path.basename(path) or is_sflow(path):
            kind, name = "sflow", base + ".tshark.json"
        yield path, [path], kind, name


COMPARE = {"netgauze": compare_netgauze, "logstash": compare_logstash,
           "akvorado": compare_akvorado, "telegraf": compare_telegraf,
           "tshark": compare_tshark, "sflow": compare_sflow,
           "facts": compare_facts}


def main():
    totals = collections.Counter()
    for path, files, kind, data in cases():
        name = os.path.relpath(path, FLOWS)
        compared = Compared()
        try:
            records, end, log = collect(files)
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
