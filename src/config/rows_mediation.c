/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of Intermediate Processes (RFC 6183 section 5), which the model of RFC
 * 6728 does not have.
 */
#include "rows.h"

static const struct conf_row kind_choice[] = {
	CONF_ROW(LEAF, "filter", .cx = true, .type = CONF_STRING, .min = 1,
		 .max = 65535,
		 .help = "Only Data Records that this expression takes are "
			 "passed on (conflux(1), EXPRESSIONS); the others are "
			 "counted as filtered. Options Data Records all pass. "
			 "In XML, < and & are written &lt; and &amp;, or as lt "
			 "and and."),
	CONF_ROW(LEAF, "splitBiflows", .cx = true, .type = CONF_EMPTY,
		 .help = "Biflows (RFC 5103) become two Flow Records, for "
			 "collectors that know no biflows: one of the forward "
			 "direction, without the reverse elements, and one of "
			 "the reverse direction, in which source and "
			 "destination, ingress and egress have changed places "
			 "and the reverse elements are the plain ones. Of "
			 "elements without a reverse it has those that are "
			 "Flow Keys and those that tell of the Flow as a whole "
			 "(times, identifiers, names), but no counters, flags "
			 "or values of single packets. A direction without "
			 "packets gives no record. Records that are no biflows "
			 "pass as they are."),
	CONF_LAST,
};

const struct conf_row conf_rows_mediation[] = {
	CONF_KEY_CX,
	CONF_ROW(CHOICE, "ProcessType", .cx = true, .mandatory = true,
		 .rows = kind_choice),
	CONF_MEDIATED("Intermediate Process that gets the records that this "
		      "one passes on."),
	CONF_ROW(LEAF_LIST, "cache", .cx = true, .type = CONF_REF,
		 .ref = "cache",
		 .help = "Cache that merges the records that this one passes "
			 "on. Not behind another cache."),
	CONF_ROW(LEAF_LIST, "exportingProcess", .cx = true, .type = CONF_REF,
		 .ref = "exportingProcess",
		 .help = "Exporting Process that gets the records that this "
			 "one passes on."),
	CONF_LAST,
};
