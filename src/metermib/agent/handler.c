/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Net-SNMP's requests, turned into reads and changes of the MIB. The whole MIB
 * is one registration with one handler, not one per table: so a SET comes in
 * one piece whatever tables it is about, and the next object of the flow table
 * is found without Net-SNMP's table helpers.
 *
 * The phases of a SET: values alone are checked in RESERVE1, all together in
 * RESERVE2, and they take effect in COMMIT; nothing has to be undone.
 */
#include "snmp.h"

static const oid root_oid[] = {1, 3, 6, 1, 2, 1, 40};
static const oid sys_descr_oid[] = {1, 3, 6, 1, 2, 1, 1, 1};
static const oid sys_up_time_oid[] = {1, 3, 6, 1, 2, 1, 1, 3};

enum { ROOT_LENGTH = OID_LENGTH(root_oid) };

/* Parts behind the root; one before or beside it gives an empty one. */
static void
relative(const oid *name, size_t length, struct mib_oid *out)
{
	out->length = 0;
	if (length <= ROOT_LENGTH ||
	    netsnmp_oid_equals(name, ROOT_LENGTH, root_oid, ROOT_LENGTH))
		return;
	for (size_t i = ROOT_LENGTH; i < length && out->length < MIB_OID_SIZE;
	     i++)
		out->id[out->length++] = (uint32_t)name[i];
}

static void
answer(netsnmp_variable_list *var, const struct value *value)
{
	struct counter64 wide;
	u_long narrow = (u_long)value->number;
	long integer = (long)value->number;

	switch (value->type) {
	case VALUE_INTEGER:
		snmp_set_var_typed_value(var, ASN_INTEGER, &integer,
					 sizeof(integer));
		break;
	case VALUE_TIME_TICKS:
		snmp_set_var_typed_value(var, ASN_TIMETICKS, &narrow,
					 sizeof(narrow));
		break;
	case VALUE_COUNTER32:
		snmp_set_var_typed_value(var, ASN_COUNTER, &narrow,
					 sizeof(narrow));
		break;
	case VALUE_COUNTER64:
		wide.high = (u_long)(value->number >> 32);
		wide.low = (u_long)(value->number & UINT32_MAX);
		snmp_set_var_typed_value(var, ASN_COUNTER64, &wide,
					 sizeof(wide));
		break;
	default:
		snmp_set_var_typed_value(var, ASN_OCTET_STR,
					 (const char *)value->octets,
					 value->length);
	}
}

static void
get(struct metermib_agent *agent, netsnmp_agent_request_info *info,
    netsnmp_request_info *request)
{
	netsnmp_variable_list *var = request->requestvb;
	struct value value;
	struct mib_oid at;

	relative(var->name, var->name_length, &at);
	if (!mib_get(&agent->mib, &at, &value)) {
		netsnmp_set_request_error(info, request, SNMP_NOSUCHINSTANCE);
		return;
	}
	answer(var, &value);
	agent->counters.objects++;
}

static void
get_next(struct metermib_agent *agent, netsnmp_agent_request_info *info,
	 netsnmp_request_info *request)
{
	netsnmp_variable_list *var = request->requestvb;
	/* RFC 3584: SNMPv1 goes on as if there were no Counter64. */
	bool v1 = info->asp && info->asp->pdu &&
		  info->asp->pdu->version == SNMP_VERSION_1;
	oid name[ROOT_LENGTH + MIB_OID_SIZE];
	struct value value;
	struct mib_oid at;

	relative(var->name, var->name_length, &at);
	/* An AgentX master may ask for "this one or the next". */
	if (!(request->inclusive && mib_get(&agent->mib, &at, &value)) &&
	    !mib_next(&agent->mib, &at, v1, &value))
		return;
	memcpy(name, root_oid, sizeof(root_oid));
	for (unsigned i = 0; i < at.length; i++)
		name[ROOT_LENGTH + i] = at.id[i];
	snmp_set_var_objid(var, name, ROOT_LENGTH + at.length);
	answer(var, &value);
	agent->counters.objects++;
}

/* Returns an SNMP error-status. */
static int
read_value(const netsnmp_variable_list *var, struct value *value)
{
	switch (var->type) {
	case ASN_INTEGER:
		/* Below zero becomes larger than any range. */
		value_number(value, VALUE_INTEGER,
			     (uint64_t)(int64_t)*var->val.integer);
		return SNMP_ERR_NOERROR;
	case ASN_TIMETICKS:
		value_number(value, VALUE_TIME_TICKS,
			     (uint32_t)*var->val.integer);
		return SNMP_ERR_NOERROR;
	case ASN_OCTET_STR:
		value_octets(value, var->val.string, var->val_len);
		return SNMP_ERR_NOERROR;
	default:
		return SNMP_ERR_WRONGTYPE;
	}
}

static int
add_to_change(struct metermib_agent *agent, const netsnmp_variable_list *var)
{
	enum control_table table;
	struct control_row row;
	struct value value;
	struct mib_oid at;
	unsigned sub_id;
	int err;

	relative(var->name, var->name_length, &at);
	if (!mib_control(&at, &table, &sub_id, &row))
		return mib_get(&agent->mib, &at, &value) ? SNMP_ERR_NOTWRITABLE
							 : SNMP_ERR_NOCREATION;
	err = read_value(var, &value);
	if (err)
		return err;
	return (int)change_add(agent->change, table, sub_id, row, &value);
}

static void
begin_change(struct metermib_agent *agent, netsnmp_agent_request_info *info,
	     netsnmp_request_info *requests)
{
	change_free(agent->change);
	agent->change = change_new(agent->meter, agent->mib.rfc2064);
	for (netsnmp_request_info *r = requests; r; r = r->next) {
		int err = agent->change ? add_to_change(agent, r->requestvb)
					: SNMP_ERR_RESOURCEUNAVAILABLE;

		if (err) {
			netsnmp_set_request_error(info, r, err);
			return;
		}
	}
}

static void
check(struct metermib_agent *agent, netsnmp_agent_request_info *info,
      netsnmp_request_info *requests)
{
	netsnmp_request_info *r = requests;
	size_t item = 0;
	int err = (int)change_check(agent->change, &item);

	if (!err)
		return;
	while (item-- > 0 && r->next)
		r = r->next;
	netsnmp_set_request_error(info, r, err);
}

static int
handle(netsnmp_mib_handler *handler, netsnmp_handler_registration *registration,
       netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
	struct metermib_agent *agent = handler->myvoid;

	switch (info->mode) {
	case MODE_GET:
		for (; requests; requests = requests->next)
			get(agent, info, requests);
		break;
	case MODE_GETNEXT:
		for (; requests; requests = requests->next)
			get_next(agent, info, requests);
		break;
	case MODE_SET_RESERVE1:
		begin_change(agent, info, requests);
		break;
	case MODE_SET_RESERVE2:
		if (agent->change)
			check(agent, info, requests);
		break;
	case MODE_SET_COMMIT:
		if (agent->change && change_commit(agent->change))
			netsnmp_set_request_error(info, requests,
						  SNMP_ERR_COMMITFAILED);
		/* fallthrough */
	case MODE_SET_FREE:
	case MODE_SET_UNDO:
		change_free(agent->change);
		agent->change = NULL;
		break;
	}
	return SNMP_ERR_NOERROR;
}

/* sysDescr.0 and sysUpTime.0: what a meter that stands alone has to have. */
static int
handle_system(netsnmp_mib_handler *handler,
	      netsnmp_handler_registration *registration,
	      netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
	struct metermib_agent *agent = handler->myvoid;
	struct value value;

	if (registration->rootoid[OID_LENGTH(sys_descr_oid) - 1] == 1)
		value_octets(&value, agent->description,
			     strlen(agent->description));
	else
		value_number(&value, VALUE_TIME_TICKS,
			     (uint32_t)agent->meter->uptime);
	for (; requests && info->mode == MODE_GET; requests = requests->next)
		answer(requests->requestvb, &value);
	return SNMP_ERR_NOERROR;
}

static netsnmp_handler_registration *
registration_new(struct metermib_agent *agent, const char *name,
		 Netsnmp_Node_Handler *handler, const oid *root, size_t length,
		 int modes)
{
	netsnmp_handler_registration *registration =
		netsnmp_create_handler_registration(name, handler, root, length,
						    modes);

	if (registration)
		registration->handler->myvoid = agent;
	return registration;
}

int
handler_register(struct metermib_agent *agent)
{
	netsnmp_handler_registration *r;

	r = registration_new(agent, "flowMIB", handle, root_oid, ROOT_LENGTH,
			     HANDLER_CAN_RWRITE);
	if (!r || netsnmp_register_handler(r) != MIB_REGISTERED_OK)
		return -1;
	if (agent->subagent)
		return 0;
	r = registration_new(agent, "sysDescr", handle_system, sys_descr_oid,
			     OID_LENGTH(sys_descr_oid), HANDLER_CAN_RONLY);
	if (!r || netsnmp_register_scalar(r) != MIB_REGISTERED_OK)
		return -1;
	r = registration_new(agent, "sysUpTime", handle_system, sys_up_time_oid,
			     OID_LENGTH(sys_up_time_oid), HANDLER_CAN_RONLY);
	if (!r || netsnmp_register_scalar(r) != MIB_REGISTERED_OK)
		return -1;
	return 0;
}

void
handler_unregister(struct metermib_agent *agent)
{
	change_free(agent->change);
	agent->change = NULL;
}
