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
