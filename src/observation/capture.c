/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void
capture_flush(struct capture *c)
{
	if (!c->frame_count)
		return;
	observer_frames(c->observer, c->frame, c->frame_count);
	c->frame_count = 0;
}

/* ---- filters ------------------------------------------------------------- */

/*
 * Some numbers in files are not those that libpcap calculates with on this
 * system; see pcap-linktype(7).
 */
static int
dlt_of(uint32_t link)
{
	static const struct {
		uint32_t link;
		int dlt;
	} other[] = {
		{100, DLT_ATM_RFC1483}, {101, DLT_RAW},
		{102, DLT_SLIP_BSDOS},  {103, DLT_PPP_BSDOS},
		{106, DLT_ATM_CLIP},
	};

	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (other[i].link == link)
			return other[i].dlt;
	return (int)link;
}

const char *
capture_link_name(uint32_t link)
{
	return pcap_datalink_val_to_name(dlt_of(link));
}

static int
compile(const char *expression, uint32_t link, struct bpf_program *program,
	char **error)
{
	pcap_t *dead = pcap_open_dead(dlt_of(link), SNAP_DEFAULT);
	int rc = 0;

	if (!dead)
		return -ENOMEM;
	if (pcap_compile(dead, program, expression, 1,
			 PCAP_NETMASK_UNKNOWN) < 0)
		rc = text_error(error, -EINVAL, "filter \"%s\": %s", expression,
				pcap_geterr(dead));
	pcap_close(dead);
	return rc;
}

int
capture_filter_check(const char *filter, char **error)
{
	struct bpf_program program;
	int rc = compile(filter, DLT_EN10MB, &program, error);

	if (rc == 0)
		pcap_freecode(&program);
	return rc;
}

static struct filter *
find_filter(struct capture *c, uint32_t link)
{
	for (unsigned i = 0; i < c->filter_count; i++)
		if (c->filter[i].link == link)
			return &c->filter[i];
	return NULL;
}

int
capture_add_filter(struct capture *c, uint32_t link, char **error)
{
	struct filter *f;
	int rc;

	if (!c->expression || find_filter(c, link))
		return 0;
	if (c->filter_count == FILTERS_MAX)
		return text_error(error, -ENOSPC,
				  "more than %d link types, and a filter",
				  FILTERS_MAX);
	f = &c->filter[c->filter_count];
	f->link = link;
	rc = compile(c->expression, link, &f->program, error);
	if (rc == 0)
		c->filter_count++;
	return rc;
}

bool
capture_takes(struct capture *c, const struct frame *frame)
{
	const struct filter *f = find_filter(c, frame->link);

	return f && bpf_filter(f->program.bf_insns, frame->data,
			       frame->wire_length, frame->length) != 0;
}

/* ---- opening and closing -------------------------------------------------- */

int
capture_open(struct event_base *base, const struct capture_conf *conf,
	     struct capture **out, char **error)
{
	struct capture *c = calloc(1, conf->interface ? capture_live_size()
						      : capture_file_size());
	int rc = 0;

	*error = NULL;
	if (!c)
		return -ENOMEM;
	c->base = base;
	c->observer = conf->observer;
	c->finished = conf->finished;
	c->arg = conf->arg;
	c->name = strdup(conf->name);
	if (conf->interface)
		c->interface = strdup(conf->interface);
	if (conf->filter)
		c->expression = strdup(conf->filter);
	if (!c->name || (conf->interface && !c->interface) ||
	    (conf->filter && !c->expression))
		rc = -ENOMEM;
	if (rc == 0)
		rc = conf->interface ? capture_live_open(conf, c, error)
				     : capture_file_open(conf, c, error);
	if (rc < 0) {
		capture_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
capture_stop(struct capture *c)
{
	if (c->ops)
		c->ops->stop(c);
}

void
capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->ops) {
		c->ops->stop(c);
		c->ops->free(c);
	}
	for (unsigned i = 0; i < c->filter_count; i++)
		pcap_freecode(&c->filter[i].program);
	free(c->expression);
	free(c->interface);
	free(c->name);
	free(c);
}

const char *
capture_interface(const struct capture *c)
{
	return c->interface;
}

uint64_t
capture_take_drops(struct capture *c)
{
	return atomic_exchange_explicit(&c->untold_drops, 0,
					memory_order_relaxed);
}

void
capture_report(struct capture *c, struct report *report)
{
	c->ops->report(c, report);
	report_uint(report, "packets", c->packets);
	report_uint(report, "octets", c->octets);
	report_uint(report, "filtered", c->filtered);
}

void
capture_progress(const struct capture *c, uint64_t *done, uint64_t *total)
{
	c->ops->progress(c, done, total);
}
