/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Each element of a packet against packets made for it: the octets that its
 * definition asks for, written by hand. NULL: packets like that do not tell it.
 */
#include "observed.h"

static const char qinq_syn[] =
	"02000000000d02000000000a88a8b064810060c8080048b800401234"
	"40003d062bfac0000201c63364020707040000000094040000000401"
	"01bb0102030400000000800240003a190000020405b4040201030307"
	"0000";

static const char ipv6_udp[] =
	"02000000000d02000000000a86dd62e12345001d003f20010db80000"
	"0000000000000000000120010db80000000000000000000000023c00"
	"0104000000001100010400000000003514e9000d4b6f68656c6c6f";

static const char mpls_icmp[] =
	"02000000000d02000000000a884700010a400001103f0001233e4500"
	"002000070000010117d0c0000201e000000503043835000000006162"
	"6364";

static const char gtpu[] =
	"02000000000d02000000000a080045000049000100004011f69fc000"
	"0201c00002020868086800352f0336ff0025010203040a0b00850110"
	"09004500001d00020000401166cc0a0000010a000002000100020009"
	"73d678";

static const char gtpu_plain[] =
	"02000000000d02000000000a080045000041000100004011f6a7c000"
	"0201c000020208680868002d49bb30ff001d010203044500001d0002"
	"0000401166cc0a0000010a00000200010002000973d678";

static const char later_fragment[] =
	"02000000000d02000000000a08004500001cbeef00b940113725c000"
	"0201c00002023132333435363738";

static const char first_fragment[] =
	"02000000000d02000000000a080045000024beef2000401117d6c000"
	"0201c000020203e807d005d0abcd3132333435363738";

static const char wlan[] =
	"080200000200000000010200000000020200000000030000aaaa0300"
	"000008004500001c000100004011f6ccc0000201c000020200070008"
	"00087bcb";

static const char beacon[] =
	"00000e000e00000000028509a000"
	"80000000ffffffffffff020000000002020000000002000000000000"
	"000000006400010403010600046e657431";

static const char pbb[] =
	"02000000000d02000000000a88e7601234560200000000cc02000000"
	"00dd08004500001c000100004011f6ccc0000201c000020200070008"
	"00087bcb";

static const char srh[] =
	"02000000000d02000000000a86dd6000000000302b4020010db80000"
	"0000000000000000000120010db800000000000000000000000b1104"
	"04010120abcd20010db800000000000000000000000a20010db80000"
	"0000000000000000000b0007000800080000";

static const char ah[] =
	"02000000000d02000000000a080045000034000100004033f692c000"
	"0201c000020211040000112233440000000100000000000000000000"
	"00000007000800080000";

static const char esp6[] =
	"02000000000d02000000000a86dd600000000010324020010db80000"
	"0000000000000000000120010db800000000000000000000000b5566"
	"7788000000010000000000000000";

static const char nvgre[] =
	"02000000000d02000000000a08004500004600010000402ff684c000"
	"0201c0000202200065580012340502000000000d02000000000a0800"
	"4500001c00010000401166ce0a0000010a000002003500350008eb71";

static const char vxlan[] =
	"02000000000d02000000000a08004500004e000100004011f69ac000"
	"0201c0000202138812b5003a2b3e0800000000002a0002000000000d"
	"02000000000a08004500001c00010000401166ce0a0000010a000002"
	"003500350008eb71";

static const char tcp_data[] =
	"02000000000d02000000000a080045000032000100004006f6c1c000"
	"0201c000020200500401aabbccdd1122334451390200634000033031"
	"323334353637383900000000";

static const char igmp[] =
	"02000000000d02000000000a08004500001c00010000010217ddc000"
	"0201e0000001161408e9e0010101";

static const char icmpv6[] =
	"02000000000d02000000000a86dd6000000000083a01fe8000000000"
	"00000000000000000001ff1500000000000000000000000000028000"
	"822000010002";

static const char udplite[] =
	"02000000000d02000000000a08004500001f000100004088f652c000"
	"0201c00002020007000800081234616263";

static const char pseudo_wire[] =
	"02000000000d02000000000a88470001013f0000002a02000000000c"
	"02000000000b08004500001c000100004011f6ccc0000201c0000202"
	"0007000800087bcb";

/* Destination options twice, a fragment that goes on, and then no more. */
static const char long_chain[] =
	"02000000000d02000000000a86dd60000000001c3c4020010db80000"
	"0000000000000000000120010db80000000000000000000000023c00"
	"0104000000002c00010400000000110000010000002a00350007";

/* MDS, EXP of three lengths, NOP, APC, UEXP, UCMP, EOL; behind 5 octets. */
static const char udp_options[] =
	"02000000000d02000000000a080045000048000100004011f6a0c000"
	"0201c00002029c401388000d000068656c6c6f00efe5040405dc7f04"
	"9858017fff0008e2d4aabb7f049858020601020304fe06c3d90909c0"
	"0200";

static const char udp_options6[] =
	"02000000000d02000000000a86dd60000000001e114020010db80000"
	"0000000000000000000a20010db800000000000000000000000b9c40"
	"1388000c00006576656ee7e10505040002070a000000010000000200";

static const char udp_bad_sum[] =
	"02000000000d02000000000a080045000048000100004011f6a0c000"
	"0201c00002029c401388000d000068656c6c6f00eee4040405dc7f04"
	"9858017fff0008e2d4aabb7f049858020601020304fe06c3d90909c0"
	"0200";

static const char udp_fragment[] =
	"02000000000d02000000000a080045000032000100004011f6b6c000"
	"0201c00002029c4013880008000076be030a00140000000100007f04"
	"0102060600000000";

static const char tcp_shared[] =
	"02000000000d02000000000a080045000040000100004006f6b3c000"
	"0201c0000202000100020000000100000000b0022000666c00000204"
	"05b4fd06f9890102fe06e2d4c3d9fe04acc1fd04f989";

static const char tcp_unknown[] =
	"02000000000d02000000000a080045000034000100004006f6bfc000"
	"0201c0000202000100020000000100000000800220006e6300000204"
	"05b4fd06123456780000";

struct expected {
	const char *packet;
	uint16_t id;
	const char *octets;
};

#define TIME_NS 1700000000123456789u

static const struct expected expected[] = {
	{qinq_syn, 1, "0000000000000040"},
	{qinq_syn, 2, "0000000000000001"},
	{qinq_syn, 85, "0000000000000040"},
	{qinq_syn, 86, "0000000000000001"},
	{qinq_syn, 198, "0000000000001000"},
	{qinq_syn, 199, "0000000000001000"},
	{qinq_syn, 4, "06"},
	{qinq_syn, 5, "b8"},
	{qinq_syn, 6, "0002"},
	{qinq_syn, 7, "0401"},
	{qinq_syn, 11, "01bb"},
	{qinq_syn, 180, NULL},
	{qinq_syn, 182, "0401"},
	{qinq_syn, 183, "01bb"},
	{qinq_syn, 8, "c0000201"},
	{qinq_syn, 12, "c6336402"},
	{qinq_syn, 44, "c0000201"},
	{qinq_syn, 45, "c6336402"},
	{qinq_syn, 27, NULL},
	{qinq_syn, 25, "0000000000000040"},
	{qinq_syn, 26, "0000000000000040"},
	{qinq_syn, 224, "0000000000000040"},
	{qinq_syn, 352, "0000000000000056"},
	{qinq_syn, 353, "0000000000000056"},
	{qinq_syn, 428, "0000000000001ce4"},
	{qinq_syn, 429, "0000000000001ce4"},
	{qinq_syn, 430, "0000000000000001"},
	{qinq_syn, 431, "0000000000000001"},
	{qinq_syn, 422, "0000000000000056"},
	{qinq_syn, 423, "0000000000000056"},
	{qinq_syn, 401, "0000000000000000"},
	{qinq_syn, 402, "0000000000000000"},
	{qinq_syn, 218, "0000000000000001"},
	{qinq_syn, 219, "0000000000000000"},
	{qinq_syn, 220, "0000000000000000"},
	{qinq_syn, 221, "0000000000000000"},
	{qinq_syn, 222, "0000000000000000"},
	{qinq_syn, 223, "0000000000000000"},
	{qinq_syn, 322, "6553f100"},
	{qinq_syn, 323, "0000018bcfe5687b"},
	{qinq_syn, 195, "2e"},
	{qinq_syn, 196, "05"},
	{qinq_syn, 60, "04"},
	{qinq_syn, 192, "3d"},
	{qinq_syn, 52, "3d"},
	{qinq_syn, 53, "3d"},
	{qinq_syn, 189, "20"},
	{qinq_syn, 207, "08"},
	{qinq_syn, 190, "0040"},
	{qinq_syn, 191, NULL},
	{qinq_syn, 193, NULL},
	{qinq_syn, 204, "00000020"},
	{qinq_syn, 54, "00001234"},
	{qinq_syn, 88, "0000"},
	{qinq_syn, 197, "40"},
	{qinq_syn, 208, "00100081"},
	{qinq_syn, 206, "00"},
	{qinq_syn, 31, NULL},
	{qinq_syn, 184, "01020304"},
	{qinq_syn, 185, "00000000"},
	{qinq_syn, 186, "4000"},
	{qinq_syn, 187, "0000"},
	{qinq_syn, 188, "20"},
	{qinq_syn, 209, "000000000000001f"},
	{qinq_syn, 520,
	 "000000000000000000000000000000000000000000000000"
	 "000000000000001f"},
	{qinq_syn, 238, "0007"},
	{qinq_syn, 503, "3a19"},
	{qinq_syn, 205, NULL},
	{qinq_syn, 32, NULL},
	{qinq_syn, 56, "02000000000a"},
	{qinq_syn, 80, "02000000000d"},
	{qinq_syn, 256, "0800"},
	{qinq_syn, 240, "16"},
	{qinq_syn, 241, "0040"},
	{qinq_syn, 242, "0056"},
	{qinq_syn, 58, "0064"},
	{qinq_syn, 243, "0064"},
	{qinq_syn, 244, "05"},
	{qinq_syn, 388, "01"},
	{qinq_syn, 245, "00c8"},
	{qinq_syn, 246, "03"},
	{qinq_syn, 389, "02"},
	{qinq_syn, 411, NULL},
	{qinq_syn, 70, NULL},
	{qinq_syn, 10, NULL},
	{qinq_syn, 14, NULL},
	{qinq_syn, 61, NULL},
	{qinq_syn, 34, NULL},
	{qinq_syn, 312, "0056"},
	{qinq_syn, 408, "0001"},
	{qinq_syn, 103, "0056"},
	{qinq_syn, 409, "0000"},
	{ipv6_udp, 1, "0000000000000045"},
	{ipv6_udp, 198, "0000000000001299"},
	{ipv6_udp, 4, "11"},
	{ipv6_udp, 5, "2e"},
	{ipv6_udp, 7, "0035"},
	{ipv6_udp, 11, "14e9"},
	{ipv6_udp, 180, "0035"},
	{ipv6_udp, 181, "14e9"},
	{ipv6_udp, 182, NULL},
	{ipv6_udp, 6, NULL},
	{ipv6_udp, 27, "20010db8000000000000000000000001"},
	{ipv6_udp, 28, "20010db8000000000000000000000002"},
	{ipv6_udp, 169, "20010db8000000000000000000000002"},
	{ipv6_udp, 170, "20010db8000000000000000000000001"},
	{ipv6_udp, 8, NULL},
	{ipv6_udp, 31, "00012345"},
	{ipv6_udp, 60, "06"},
	{ipv6_udp, 192, "3f"},
	{ipv6_udp, 195, "0b"},
	{ipv6_udp, 196, "01"},
	{ipv6_udp, 189, "28"},
	{ipv6_udp, 207, NULL},
	{ipv6_udp, 190, NULL},
	{ipv6_udp, 191, "001d"},
	{ipv6_udp, 193, "00"},
	{ipv6_udp, 204, "0000001d"},
	{ipv6_udp, 224, "0000000000000045"},
	{ipv6_udp, 64, "00000003"},
	{ipv6_udp, 515,
	 "000000000000000000000000000000000000000000000000"
	 "0000000000000003"},
	{ipv6_udp, 517, "01"},
	{ipv6_udp, 518, "00000010"},
	{ipv6_udp, 88, "0000"},
	{ipv6_udp, 197, "00"},
	{ipv6_udp, 54, NULL},
	{ipv6_udp, 205, "000d"},
	{ipv6_udp, 503, "4b6f"},
	{ipv6_udp, 401, "0000000000000005"},
	{ipv6_udp, 402, "0000000000000001"},
	{ipv6_udp, 256, "86dd"},
	{ipv6_udp, 240, "0e"},
	{ipv6_udp, 241, "0045"},
	{ipv6_udp, 206, "00"},
	{mpls_icmp, 1, "0000000000000020"},
	{mpls_icmp, 70, "00010a"},
	{mpls_icmp, 71, "000110"},
	{mpls_icmp, 72, "000123"},
	{mpls_icmp, 73, NULL},
	{mpls_icmp, 200, "40"},
	{mpls_icmp, 203, "05"},
	{mpls_icmp, 201, "0000000c"},
	{mpls_icmp, 202, "00000003"},
	{mpls_icmp, 194, "00000020"},
	{mpls_icmp, 32, "0304"},
	{mpls_icmp, 176, "03"},
	{mpls_icmp, 177, "04"},
	{mpls_icmp, 139, NULL},
	{mpls_icmp, 206, "01"},
	{mpls_icmp, 256, "8847"},
	{mpls_icmp, 7, NULL},
	{mpls_icmp, 401, NULL},
	{mpls_icmp, 316,
	 "00010a400001103f0001233e4500002000070000010117d0"
	 "c0000201e0000005030438350000000061626364"},
	{mpls_icmp, 317,
	 "4500002000070000010117d0c0000201e000000503043835"
	 "0000000061626364"},
	{mpls_icmp, 504, "030438350000000061626364"},
	{mpls_icmp, 314, "030438350000000061626364"},
	{gtpu, 505, "36"},
	{gtpu, 506, "ff"},
	{gtpu, 507, "01020304"},
	{gtpu, 508, "0a0b"},
	{gtpu, 509, "09"},
	{gtpu, 510, "01"},
	{gtpu, 8, "c0000201"},
	{gtpu, 7, "0868"},
	{gtpu, 351, NULL},
	{gtpu_plain, 505, "30"},
	{gtpu_plain, 507, "01020304"},
	{gtpu_plain, 508, NULL},
	{gtpu_plain, 509, NULL},
	{gtpu_plain, 510, NULL},
	{later_fragment, 1, "000000000000001c"},
	{later_fragment, 4, "11"},
	{later_fragment, 7, NULL},
	{later_fragment, 54, "0000beef"},
	{later_fragment, 88, "00b9"},
	{later_fragment, 197, "00"},
	{later_fragment, 205, NULL},
	{later_fragment, 204, "00000008"},
	{first_fragment, 7, "03e8"},
	{first_fragment, 54, "0000beef"},
	{first_fragment, 88, "0000"},
	{first_fragment, 197, "20"},
	{first_fragment, 205, "05d0"},
	{first_fragment, 401, "0000000000000008"},
	{wlan, 56, "020000000003"},
	{wlan, 80, "020000000001"},
	{wlan, 365, "020000000001"},
	{wlan, 367, "020000000002"},
	{wlan, 408, "0002"},
	{wlan, 240, NULL},
	{wlan, 256, NULL},
	{wlan, 8, "c0000201"},
	{wlan, 146, NULL},
	{wlan, 147, NULL},
	{beacon, 146, "06"},
	{beacon, 147, "6e657431"},
	{beacon, 56, "020000000002"},
	{beacon, 80, "ffffffffffff"},
	{beacon, 365, NULL},
	{beacon, 367, NULL},
	{beacon, 408, "0002"},
	{beacon, 1, NULL},
	{pbb, 411, "601234560200000000cc0200000000dd"},
	{pbb, 412, "00123456"},
	{pbb, 413, "03"},
	{pbb, 414, "0200000000dd"},
	{pbb, 415, "0200000000cc"},
	{pbb, 8, "c0000201"},
	{srh, 492, "20"},
	{srh, 493, "abcd"},
	{srh, 495, "20010db800000000000000000000000b"},
	{srh, 497,
	 "20010db800000000000000000000000a20010db800000000"
	 "000000000000000b"},
	{srh, 496,
	 "0401ee001020010db800000000000000000000000a"
	 "20010db800000000000000000000000b"},
	{srh, 498, "01"},
	{srh, 499,
	 "110404010120abcd20010db800000000000000000000000a"
	 "20010db800000000000000000000000b"},
	{srh, 4, "11"},
	{srh, 7, "0007"},
	{srh, 64, "00000020"},
	{srh, 518, "00000028"},
	{srh, 193, "2b"},
	{ah, 295, "11223344"},
	{ah, 4, "11"},
	{ah, 7, "0007"},
	{esp6, 295, "55667788"},
	{esp6, 4, "32"},
	{esp6, 64, "00002000"},
	{esp6, 7, NULL},
	{nvgre, 296, "00123405"},
	{nvgre, 351, "0200000000001234"},
	{nvgre, 4, "2f"},
	{nvgre, 8, "c0000201"},
	{vxlan, 351, "010000000000002a"},
	{vxlan, 8, "c0000201"},
	{vxlan, 11, "12b5"},
	{tcp_data, 1, "0000000000000032"},
	{tcp_data, 6, "0139"},
	{tcp_data, 218, "0000000000000000"},
	{tcp_data, 219, "0000000000000001"},
	{tcp_data, 220, "0000000000000000"},
	{tcp_data, 221, "0000000000000001"},
	{tcp_data, 222, "0000000000000001"},
	{tcp_data, 223, "0000000000000001"},
	{tcp_data, 187, "0003"},
	{tcp_data, 238, NULL},
	{tcp_data, 209, "0000000000000000"},
	{tcp_data, 401, "000000000000000a"},
	{tcp_data, 402, "0000000000000001"},
	{tcp_data, 352, "0000000000000044"},
	{tcp_data, 184, "aabbccdd"},
	{tcp_data, 185, "11223344"},
	{tcp_data, 313,
	 "45000032000100004006f6c1c0000201c000020200500401"
	 "aabbccdd1122334451390200634000033031323334353637"
	 "3839"},
	{tcp_data, 315,
	 "02000000000d02000000000a080045000032000100004006"
	 "f6c1c0000201c000020200500401aabbccdd112233445139"
	 "0200634000033031323334353637383900000000"},
	{igmp, 33, "16"},
	{igmp, 4, "02"},
	{igmp, 206, "01"},
	{icmpv6, 139, "8000"},
	{icmpv6, 178, "80"},
	{icmpv6, 179, "00"},
	{icmpv6, 32, NULL},
	{icmpv6, 206, "58"},
	{icmpv6, 192, "01"},
	{udplite, 205, "000b"},
	{udplite, 503, "1234"},
	{udplite, 401, "0000000000000003"},
	{ipv6_udp, 516, "04000100013c01"},
	{ipv6_udp, 519,
	 "030002"
	 "0000000000000000000000000000000000000000000000000000000000000003"
	 "00000010"},
	{srh, 516, "0400012b01"},
	{esp6, 516, "0400013201"},
	{icmpv6, 139, "8000"},
	{icmpv6, 516, NULL},
	{icmpv6, 519, NULL},
	{long_chain, 516, "0400013c022c01"},
	{long_chain, 518, "00000018"},
	{wlan, 366, "c0000202"},
	{wlan, 251, NULL},
	{pseudo_wire, 251, "0000002a"},
	{pseudo_wire, 8, "c0000201"},
	{udplite, 525, "0000000000000000000000000000000000000000000000000000000000000000"},
	{udp_options, 525,
	 "00000000000000000000000000000000"
	 "00000000000000000000000000000017"},
	{udp_options, 526, "0000000000000001"},
	{udp_options, 528, "03020f00029858e2d4"},
	{udp_options, 529, "03020f0002c3d9"},
	{udp_options, 205, "000d"},
	{udp_options6, 525,
	 "00000000000000000000000000000000"
	 "000000000000000000000000000000a1"},
	{udp_options6, 526, "0000000000000000"},
	{udp_options6, 528, NULL},
	/* Numbers of experiments that nobody asks for: their kinds are there. */
	{udp_options, 525,
	 "00000000000000000000000000000000"
	 "80000000000000000000000000000017"},
	{udp_options, 526, "4000000000000001"},
	{udp_bad_sum, 525,
	 "00000000000000000000000000000000"
	 "00000000000000000000000000000000"},
	{udp_bad_sum, 528, NULL},
	{udp_bad_sum, 529, NULL},
	{udp_fragment, 525,
	 "00000000000000000000000000000000"
	 "00000000000000000000000000000008"},
	{udp_fragment, 528, NULL},
	{tcp_shared, 520,
	 "00000000000000000000000000000000"
	 "00000000000000000000000000000004"},
	{tcp_shared, 523, "0302090002f989acc1"},
	{tcp_shared, 524, "03020a0004e2d4c3d9"},
	{tcp_unknown, 520,
	 "20000000000000000000000000000000"
	 "00000000000000000000000000000005"},
	{tcp_unknown, 523, NULL},
	{tcp_unknown, 524, NULL},
	{tcp_shared, 520,
	 "60000000000000000000000000000000"
	 "00000000000000000000000000000004"},
};

static struct observed sink;

static struct stage *
observer(struct ie_registry *registry, struct shape_table *shapes,
	 const struct observer_conf *conf)
{
	struct stage *stage;
	const char *error;

	CU_ASSERT_EQUAL_FATAL(
		observer_new(conf, registry, shapes, &stage, &error), 0);
	observed_init(&sink);
	CU_ASSERT_EQUAL_FATAL(stage_link(stage, &sink.stage), 0);
	return stage;
}

static void
compare(const struct expected *e)
{
	uint32_t length;
	const uint8_t *found =
		observed_field(&sink.record[0], 0, e->id, &length);
	uint8_t octets[256];
	bool same;

	if (!e->octets)
		same = !found;
	else
		same = found && length == from_hex(e->octets, octets) &&
		       memcmp(found, octets, length) == 0;
	if (!same) {
		printf("\n    element %u of %.60s...:", e->id, e->packet);
		for (uint32_t i = 0; found && i < length; i++)
			printf("%s%02x", i ? "" : " ", found[i]);
	}
	CU_ASSERT(same);
}

static uint32_t
link_of(const char *packet)
{
	return packet == wlan ? 105 : packet == beacon ? 127 : 1;
}

/* All the elements of one packet in one record. */
static size_t
one_packet(struct ie_registry *registry, struct shape_table *shapes,
	   const struct expected *e, size_t left)
{
	static const struct observer_conf conf = {
		.name = "test", .domain = 7, .non_ip = true};
	struct stage *stage = observer(registry, shapes, &conf);
	struct frame frame = {
		.time_ns = TIME_NS,
		.link = link_of(e->packet),
		.weight = 1,
		.direction = FRAME_UNKNOWN,
	};
	size_t octets = strlen(e->packet) / 2, n;
	/* Of its exact size, so that a reader beyond it is found. */
	uint8_t *data = malloc(octets);

	CU_ASSERT_FATAL(data != NULL);
	from_hex(e->packet, data);
	frame.data = data;
	frame.length = frame.wire_length = (uint32_t)octets;
	for (n = 0; n < left && e[n].packet == e->packet; n++)
		CU_ASSERT_EQUAL(
			observer_want(stage, ie_find(registry, 0, e[n].id), 0),
			0);
	observer_frames(stage, &frame, 1);
	CU_ASSERT_EQUAL_FATAL(sink.records, 1);
	for (size_t i = 0; i < n; i++)
		compare(&e[i]);
	stage_free(stage);
	free(data);
	return n;
}

static void
test_elements(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(100);
	size_t count = sizeof(expected) / sizeof(expected[0]);

	for (size_t i = 0; i < count;)
		i += one_packet(registry, shapes, &expected[i], count - i);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

/* Any of the octets may be the last that was captured. */
static void
test_cut(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(10000);
	static const struct observer_conf conf = {
		.name = "test",
		.tunnels = TUNNEL_GRE | TUNNEL_VXLAN | TUNNEL_GTPU,
		.tunnel_depth = 2,
		.non_ip = true,
	};
	struct stage *stage = observer(registry, shapes, &conf);
	size_t count = sizeof(expected) / sizeof(expected[0]);
	const struct ledger *l = &stage->ledger;
	const struct ie *ie;

	for (uint16_t id = 1; id < 600; id++) {
		ie = ie_find(registry, 0, id);
		if (ie && observer_knows(ie))
			CU_ASSERT_EQUAL(observer_want(stage, ie, 0), 0);
	}
	for (size_t i = 0; i < count; i++) {
		uint8_t octets[256];
		uint32_t length = from_hex(expected[i].packet, octets);

		if (i && expected[i].packet == expected[i - 1].packet)
			continue;
		for (uint32_t cut = 0; cut <= length; cut++) {
			uint8_t *data = malloc(cut + 1);
			struct frame frame = {
				.data = data + 1,
				.length = cut,
				.wire_length = length,
				.time_ns = TIME_NS,
				.link = link_of(expected[i].packet),
				.weight = 1,
				.direction = FRAME_UNKNOWN,
			};

			CU_ASSERT_FATAL(data != NULL);
			memcpy(data + 1, octets, cut);
			observed_init(&sink);
			observer_frames(stage, &frame, 1);
			free(data);
		}
	}
	CU_ASSERT(ledger_balanced(l));
	CU_ASSERT_EQUAL(l->lost[LOSS_NO_MEMORY], 0);
	stage_free(stage);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

/* Fixed lengths are padded, and sectionExportedOctets says how much is real. */
static void
test_sections(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(100);
	static const struct observer_conf conf = {.name = "test"};
	struct stage *stage = observer(registry, shapes, &conf);
	uint8_t data[256];
	struct frame frame = {
		.data = data,
		.length = from_hex(mpls_icmp, data),
		.wire_length = 58,
		.weight = 1,
	};
	const uint8_t *found;
	uint32_t length;

	frame.link = 1;
	CU_ASSERT_EQUAL(observer_want(stage, ie_find(registry, 0, 313), 40), 0);
	CU_ASSERT_EQUAL(observer_want(stage, ie_find(registry, 0, 410), 0), 0);
	observer_frames(stage, &frame, 1);
	CU_ASSERT_EQUAL_FATAL(sink.records, 1);
	found = observed_field(&sink.record[0], 0, 313, &length);
	CU_ASSERT_FATAL(found != NULL && length == 40);
	CU_ASSERT(memcmp(found, data + 26, 32) == 0);
	CU_ASSERT(memcmp(found + 32, "\0\0\0\0\0\0\0\0", 8) == 0);
	CU_ASSERT_EQUAL(observed_uint(&sink.record[0], 0, 410), 32);
	stage_free(stage);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

/* What the capture says, and packets that stand for several. */
static void
test_capture(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(100);
	static const struct observer_conf conf = {.name = "test",
						  .scale = true};
	static const uint16_t wants[] = {1, 2, 10, 14, 34, 61, 198, 252, 352};
	struct stage *stage = observer(registry, shapes, &conf);
	const struct observed_record *r = &sink.record[0];
	uint8_t data[256];
	struct frame frame = {
		.data = data,
		.length = from_hex(tcp_data, data),
		.wire_length = 1514,
		.link = 1,
		.interface = 3,
		.egress = 4,
		.weight = 10,
		.direction = FRAME_EGRESS,
	};

	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		CU_ASSERT_EQUAL(observer_want(stage, ie_find(registry, 0,
							     wants[i]),
					      0),
				0);
	observer_frames(stage, &frame, 1);
	CU_ASSERT_EQUAL_FATAL(sink.records, 1);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 1), 500);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 2), 10);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 10), 3);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 14), 4);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 252), 3);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 34), 10);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 61), 1);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 198), 25000);
	CU_ASSERT_EQUAL(observed_uint(r, 0, 352), 15140);
	stage_free(stage);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

/* The counter that IANA lacks. */
static void
test_fragments(void)
{
	struct ie_registry *registry = ie_registry_new(10);
	struct shape_table *shapes = shape_table_new(100);
	static const struct observer_conf conf = {.name = "test"};
	static const char *const packets[] = {first_fragment, later_fragment,
					      tcp_data};
	struct stage *stage = observer(registry, shapes, &conf);
	const struct ie *ie;
	uint8_t data[256];

	CU_ASSERT_EQUAL(observer_elements_add(registry), 0);
	CU_ASSERT_EQUAL(observer_elements_add(registry), 0);
	ie = ie_by_name(registry, "fragmentPacketDeltaCount");
	CU_ASSERT_FATAL(ie != NULL);
	CU_ASSERT(observer_knows(ie));
	CU_ASSERT_EQUAL(observer_want(stage, ie, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct frame frame = {.data = data, .link = 1, .weight = 1};

		frame.length = frame.wire_length = from_hex(packets[i], data);
		observer_frames(stage, &frame, 1);
		CU_ASSERT_EQUAL_FATAL(sink.records, i + 1);
		CU_ASSERT_EQUAL(observed_uint(&sink.record[i], ie->pen, ie->id),
				i < 2);
	}
	stage_free(stage);
	shape_table_free(shapes);
	ie_registry_free(registry);
}

static const struct unit_test tests[] = {
	{"each element of packets made for it", test_elements},
	{"all elements of packets that were cut", test_cut},
	{"sections of a fixed length", test_sections},
	{"what the capture says, and weights", test_capture},
	{"fragments are counted", test_fragments},
};

int
main(void)
{
	return unit_run("elements", tests, UNIT_COUNT(tests));
}
