/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of state that several places of the model share: Transport Sessions
 * and the (Options) Templates in them. A configuration never holds them; they
 * are here so that it can be told so, and because what a running daemon shows
 * has these names.
 */
#include "rows.h"

static const struct conf_row field_rows[] = {
	CONF_ROW(LEAF, "ieId", .state = true, CONF_RANGE(1, 32767)),
	CONF_ROW(LEAF, "ieLength", .state = true, CONF_U16, .units = "octets"),
	CONF_ROW(LEAF, "ieEnterpriseNumber", .state = true, CONF_U32),
	CONF_ROW(LEAF, "isFlowKey", .state = true, .type = CONF_EMPTY),
	CONF_ROW(LEAF, "isScope", .state = true, .type = CONF_EMPTY),
	CONF_LAST,
};

const struct conf_row conf_rows_template[] = {
	CONF_ROW(LEAF, "observationDomainId", .state = true, CONF_U32),
	CONF_ROW(LEAF, "templateId", .state = true, CONF_RANGE(256, 65535)),
	CONF_ROW(LEAF, "setId", .state = true, CONF_U16),
	CONF_ROW(LEAF, "accessTime", .state = true, .type = CONF_TIME),
	CONF_ROW(LEAF, "templateDataRecords", .state = true, CONF_U64),
	CONF_ROW(LEAF, "templateDiscontinuityTime", .state = true,
		 .type = CONF_TIME),
	CONF_ROW(LIST, "field", .state = true, .rows = field_rows),
	CONF_LAST,
};

const struct conf_row conf_rows_session[] = {
	CONF_ROW(LEAF, "ipfixVersion", .state = true, CONF_U16),
	CONF_ROW(LEAF, "sourceAddress", .state = true, .type = CONF_ADDRESS),
	CONF_ROW(LEAF, "destinationAddress", .state = true,
		 .type = CONF_ADDRESS),
	CONF_ROW(LEAF, "sourcePort", .state = true, CONF_U16),
	CONF_ROW(LEAF, "destinationPort", .state = true, CONF_U16),
	CONF_ROW(LEAF, "sctpAssocId", .state = true, CONF_U32),
	CONF_ROW(LEAF, "status", .state = true, .type = CONF_ENUM,
		 CONF_VALUES("inactive", "active", "unknown")),
	CONF_ROW(LEAF, "rate", .state = true, CONF_U32,
		 .units = "octets per second"),
	CONF_ROW(LEAF, "bytes", .state = true, CONF_U64, .units = "octets"),
	CONF_ROW(LEAF, "messages", .state = true, CONF_U64,
		 .units = "IPFIX Messages"),
	CONF_ROW(LEAF, "discardedMessages", .state = true, CONF_U64,
		 .units = "IPFIX Messages"),
	CONF_ROW(LEAF, "records", .state = true, CONF_U64,
		 .units = "Data Records"),
	CONF_ROW(LEAF, "templates", .state = true, CONF_U32,
		 .units = "Templates"),
	CONF_ROW(LEAF, "optionsTemplates", .state = true, CONF_U32,
		 .units = "Options Templates"),
	CONF_ROW(LEAF, "transportSessionStartTime", .state = true,
		 .type = CONF_TIME),
	CONF_ROW(LEAF, "transportSessionDiscontinuityTime", .state = true,
		 .type = CONF_TIME),
	CONF_ROW(LIST, "template", .state = true, .rows = conf_rows_template),
	CONF_LAST,
};
